"""What decoders choose tokens by: functions of next-token logits and of hidden states."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unalike.errors import SettingsError


def contrast(expert: Tensor, amateur: Tensor, weight: float | Tensor) -> Tensor:
    """What the expert says beyond the amateur: ``(1 + weight) * expert - weight * amateur``, on logits.

    Shi et al., *Trusting Your Evidence: Hallucinate Less with Context-aware Decoding* (2023). The softmax of the
    result weighs the expert's probabilities by how much it raises them over the amateur's.

    Args:
        expert: ``(B, V)`` logits; a token that stands at minus infinity stays there.
        amateur: ``(B, V)`` logits.
        weight: a number, or ``(B,)`` one for each row; 0 leaves the expert as it is.

    Raises:
        SettingsError: the two have different shapes.

    Example:
        >>> contrast(torch.tensor([[2.0, 1.0]]), torch.tensor([[2.0, 0.0]]), 1.0).tolist()
        [[2.0, 2.0]]
    """
    _check_shapes(expert, amateur)
    share = torch.as_tensor(weight, dtype=expert.dtype, device=expert.device).reshape(-1, 1)
    # Minus infinity less minus infinity is not a number: what was ruled out stays so.
    return torch.where(expert == -math.inf, expert, (1 + share) * expert - share * amateur)


def jensen_shannon(first: Tensor, second: Tensor, *, base: float = math.e) -> Tensor:
    """Jensen-Shannon divergence of the distributions that two rows of logits give: ``(B,)``.

    Lin, *Divergence Measures Based on the Shannon Entropy* (1991). 0 where both say the same, ``log(2) / log(base)``
    where they share no token.

    Args:
        first: ``(B, V)`` logits.
        second: ``(B, V)`` logits.
        base: of the logarithm; e gives nats, 2 gives values up to 1.

    Raises:
        SettingsError: the two have different shapes, or a base that is not above 1.

    Example:
        >>> round(float(jensen_shannon(torch.tensor([[99.0, 0]]), torch.tensor([[0, 99.0]]), base=2)), 3)
        1.0
    """
    _check_shapes(first, second)
    if not base > 1:
        raise SettingsError(f"got base={base}; expected a number above 1")
    one, other = first.float().log_softmax(-1), second.float().log_softmax(-1)
    middle = torch.logaddexp(one, other) - math.log(2)
    # Where a token is impossible for both, its share is 0 and not the difference of two infinities.
    parts = [torch.where(each == -math.inf, 0.0, each.exp() * (each - middle)) for each in (one, other)]
    return (sum(parts).sum(-1) / (2 * math.log(base))).clamp(min=0)  # type: ignore[union-attr]


def plausible(logits: Tensor, share: float) -> Tensor:
    """Which tokens have at least ``share`` of the probability of the likeliest one: ``(B, V)`` of booleans.

    Li et al., *Contrastive Decoding: Open-ended Text Generation as Optimization* (2023), equation 2: a contrast alone
    would also raise tokens that neither side thinks likely.

    Args:
        logits: ``(B, V)``.
        share: from 0, every token, to 1, the likeliest alone.

    Raises:
        SettingsError: a share outside of 0 to 1.

    Example:
        >>> plausible(torch.tensor([[0.6, 0.3, 0.1]]).log(), 0.4).tolist()
        [[True, True, False]]
    """
    if not 0 <= share <= 1:
        raise SettingsError(f"got a plausible share of {share}; expected a number from 0 to 1")
    if share == 0:
        return torch.ones_like(logits, dtype=torch.bool)
    return logits >= logits.amax(-1, keepdim=True) + math.log(share)


def nucleus(logits: Tensor, share: float) -> Tensor:
    """Which tokens are in the nucleus, the fewest likeliest that have ``share`` together: ``(B, V)`` of booleans.

    Holtzman et al., *The Curious Case of Neural Text Degeneration* (2020).

    Args:
        logits: ``(B, V)``.
        share: above 0, to 1 for every token.

    Raises:
        SettingsError: a share that is not above 0 and at most 1.

    Example:
        >>> nucleus(torch.tensor([[0.6, 0.3, 0.1]]).log(), 0.7).tolist()
        [[True, True, False]]
    """
    if not 0 < share <= 1:
        raise SettingsError(f"got a nucleus of {share}; expected a number above 0 and at most 1")
    ordered, order = logits.float().softmax(-1).sort(dim=-1, descending=True, stable=True)
    # A token is in as long as those before it have not reached the share.
    inside = ordered.cumsum(-1) - ordered < share
    return torch.zeros_like(inside).scatter(-1, order, inside)


def largest_cosine(candidates: Tensor, earlier: Tensor, mask: Tensor) -> Tensor:
    """Cosine of each candidate with the earlier token that is most alike: ``(B, K)``.

    The degeneration penalty of Su et al., *A Contrastive Framework for Neural Text Generation* (2022), equation 5.

    Args:
        candidates: ``(B, K, D)`` hidden states.
        earlier: ``(B, L, D)`` hidden states, of length 1.
        mask: ``(B, L)`` booleans, false at padding; each row has a token at least.

    Example:
        >>> unit = torch.eye(2)[None]
        >>> largest_cosine(unit * 3, unit, torch.tensor([[True, False]])).tolist()
        [[1.0, 0.0]]
    """
    cosines = nn.functional.normalize(candidates.float(), dim=-1) @ earlier.transpose(1, 2)
    return cosines.masked_fill(~mask[:, None], -math.inf).amax(-1)


def _check_shapes(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise SettingsError(
            f"got logits of {tuple(first.shape)} and {tuple(second.shape)}; expected one vocabulary and one batch"
        )
