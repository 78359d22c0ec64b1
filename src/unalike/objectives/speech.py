"""Contrast among the moments of one utterance, and what keeps a codebook in use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from unalike.errors import DataError
from unalike.objectives.checks import positive
from unalike.objectives.precision import full_precision


@full_precision
def within_sequence(
    contexts: Tensor, targets: Tensor, *, hidden: Tensor, temperature: float, codes: Tensor | None = None
) -> Tensor:
    """Each hidden moment tells its own quantised content from that of the other hidden moments of its utterance.

    The cross-entropy of cosines over the temperature, averaged over all hidden moments that have a distractor. A
    distractor with the same code as the target is the target, and is left out.

    Paper: Baevski et al., "wav2vec 2.0", NeurIPS 2020, equation 3; W2v-BERT (Chung et al., 2021), section 3.2. Both
    draw 100 distractors; here all other hidden moments of the utterance are.

    Args:
        contexts: ``(B, L, D)``.
        targets: ``(B, L, D)``.
        hidden: bool ``(B, L)``, true at the moments that were hidden from the contexts.
        temperature: above 0.
        codes: int64 ``(B, L)``; None leaves no distractor out.

    Data: sequences, part of which was hidden.
    Cost: 2 B L^2 D flops, O(B L^2) memory.

    Raises:
        DataError: shapes differ.
        SettingsError: the temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import within_sequence
        >>> moments = torch.eye(4)[None]
        >>> loss = within_sequence(moments, moments, hidden=torch.ones(1, 4, dtype=torch.bool), temperature=0.1)
        >>> bool(loss < 1e-3)
        True
    """
    positive(temperature=temperature)
    if contexts.shape != targets.shape or contexts.ndim != 3 or hidden.shape != contexts.shape[:2]:
        raise DataError(
            f"contexts {tuple(contexts.shape)}, targets {tuple(targets.shape)}, hidden {tuple(hidden.shape)}; expected"
            " (B, L, D) twice and (B, L)"
        )
    scores = normalize(contexts, dim=-1) @ normalize(targets, dim=-1).transpose(1, 2) / temperature
    own = torch.eye(hidden.shape[1], dtype=torch.bool, device=hidden.device)
    seen = hidden[:, None, :] & hidden[:, :, None]
    if codes is not None:
        seen = seen & (codes[:, None, :] != codes[:, :, None])
    distractors = seen & ~own
    counted = distractors.any(2)
    if not bool(counted.any()):
        return scores.sum() * 0.0
    scores = scores.masked_fill(~(distractors | own), -torch.inf)
    each = scores.logsumexp(2) - scores.diagonal(dim1=1, dim2=2)
    return each[counted].mean()


def code_perplexity(probabilities: Tensor) -> Tensor:
    """How many codes are in use, as the exponential of the entropy of their mean: 1 to the number of codes.

    Args:
        probabilities: ``(N, codes)``, rows that add up to one.

    Example:
        >>> import torch
        >>> from unalike.objectives import code_perplexity
        >>> round(float(code_perplexity(torch.eye(4))), 4)
        4.0
    """
    mean = probabilities.float().mean(0)
    return torch.special.entr(mean).sum().exp()


def code_diversity(probabilities: Tensor) -> Tensor:
    """The share of the codebook that is not in use, to be made small: ``(V - perplexity) / V``.

    Paper: Baevski et al., "wav2vec 2.0", NeurIPS 2020, equation 4, in the form of the authors' code.

    Args:
        probabilities: ``(N, codes)``, rows that add up to one, before the noise of the draw.

    Data: sequences; no labels.
    Cost: O(N codes) time and memory.

    Example:
        >>> import torch
        >>> from unalike.objectives import code_diversity
        >>> float(code_diversity(torch.eye(4).repeat(2, 1)).abs() < 1e-6)
        1.0
    """
    return 1 - code_perplexity(probabilities) / probabilities.shape[1]


@full_precision
def masked_codes(logits: Tensor, codes: Tensor, *, hidden: Tensor) -> Tensor:
    """Cross-entropy of the codes of what is hidden: masked language modelling on sounds.

    Paper: Chung et al., "W2v-BERT", ASRU 2021, section 3.3.

    Args:
        logits: ``(B, L, codes)``.
        codes: int64 ``(B, L)``.
        hidden: bool ``(B, L)``; what is not hidden costs nothing.

    Data: sequences; no labels.
    Cost: O(B L codes) time and memory.

    Example:
        >>> import torch
        >>> from unalike.objectives import masked_codes
        >>> hidden = torch.tensor([[True, False]])
        >>> float(masked_codes(torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.long), hidden=hidden).exp().round())
        4.0
    """
    if not bool(hidden.any()):
        return logits.sum() * 0.0
    return cross_entropy(logits[hidden], codes[hidden])
