"""One form for the losses of pairs, and mixtures of pairs in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives.checks import positive, same_length
from unalike.objectives.masked import pair_masks
from unalike.objectives.mixing import beta_weights, mix
from unalike.objectives.precision import full_precision

Curve = Callable[[Tensor], Tensor]


def _same(values: Tensor) -> Tensor:
    return values


@dataclass(frozen=True, kw_only=True)
class PairForm:
    """A loss of pairs: ``outer(sigma_positive(sum rho_positive(s)) + sigma_negative(sum rho_negative(s)))``.

    Paper: Venkataramanan et al., "It Takes Two to Tango: Mixup for Deep Metric Learning", ICLR 2022.

    Args:
        rho_positive: cost of a positive's similarity, element by element; falls.
        rho_negative: cost of a negative's similarity; rises.
        sigma_positive: what is made of the sum over an anchor's positives.
        sigma_negative: what is made of the sum over its negatives.
        outer: what is made of both together, the paper's tau.
    """

    rho_positive: Curve
    rho_negative: Curve
    sigma_positive: Curve = _same
    sigma_negative: Curve = _same
    outer: Curve = _same


def contrastive_form(*, margin: float = 0.5) -> PairForm:
    """The contrastive loss as a pair form: positives cost ``-s``, negatives ``relu(s - margin)``.

    Paper: Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006, in the form
    of table 1 of Metrix (ICLR 2022).

    Example:
        >>> import torch
        >>> from unalike.objectives import contrastive_form
        >>> contrastive_form(margin=0.5).rho_negative(torch.tensor([0.25, 0.75]))
        tensor([0.0000, 0.2500])
    """
    return PairForm(rho_positive=torch.neg, rho_negative=lambda s: (s - margin).relu())


def multi_similarity_form(*, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5) -> PairForm:
    """The multi-similarity loss (without mining) as a pair form; see `multi_similarity`.

    Raises:
        SettingsError: alpha or beta is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import multi_similarity_form
        >>> multi_similarity_form().rho_positive(torch.tensor([0.5]))
        tensor([1.])
    """
    positive(alpha=alpha, beta=beta)
    return PairForm(
        rho_positive=lambda s: (-alpha * (s - base)).exp(),
        rho_negative=lambda s: (beta * (s - base)).exp(),
        sigma_positive=lambda x: x.log1p() / alpha,
        sigma_negative=lambda x: x.log1p() / beta,
    )


def proxy_anchor_form(*, margin: float = 0.1, scale: float = 32.0) -> PairForm:
    """The Proxy-Anchor loss as a pair form, with proxies for anchors; see `proxy_anchor`.

    Averaged over anchors it differs from `proxy_anchor` only where a class has no sample in the batch, since that one
    divides the positives' part by the number of classes present.

    Raises:
        SettingsError: scale is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import proxy_anchor_form
        >>> proxy_anchor_form().rho_positive(torch.tensor([0.1]))
        tensor([1.])
    """
    positive(scale=scale)
    return PairForm(
        rho_positive=lambda s: (-scale * (s - margin)).exp(),
        rho_negative=lambda s: (scale * (s + margin)).exp(),
        sigma_positive=torch.log1p,
        sigma_negative=torch.log1p,
    )


@full_precision
def generalised_pairs(similarities: Tensor, labels: Tensor, *, form: PairForm, known: Tensor | None = None) -> Tensor:
    """The loss of a pair form for pairs that may be positive in part.

    ``mean_a outer(sigma+(sum_v y_av rho+(s_av)) + sigma-(sum_v (1 - y_av) rho-(s_av)))``.

    Paper: Venkataramanan et al., "It Takes Two to Tango: Mixup for Deep Metric Learning", ICLR 2022.

    Args:
        similarities: of anchors and examples ``(A, V)``.
        labels: 1 for a positive pair, 0 for a negative one, between for a mixture ``(A, V)``.
        form: the loss.
        known: which pairs count ``(A, V)`` bool; all where None.

    Data: pairs with labels.
    Cost: O(A V) time and memory.

    Raises:
        DataError: the shapes differ.

    Example:
        >>> import torch
        >>> from unalike.objectives import contrastive_form, generalised_pairs
        >>> form = contrastive_form(margin=0.5)
        >>> float(generalised_pairs(torch.tensor([[0.75, 0.75]]), torch.tensor([[1.0, 0.0]]), form=form))
        -0.5
    """
    if similarities.shape != labels.shape or similarities.ndim != 2:
        raise DataError(
            f"got similarities {tuple(similarities.shape)}, labels {tuple(labels.shape)}; expected (A, V) each"
        )
    counts = torch.ones_like(similarities) if known is None else known.to(similarities.dtype)
    alike = (counts * labels * form.rho_positive(similarities)).sum(dim=1)
    different = (counts * (1 - labels) * form.rho_negative(similarities)).sum(dim=1)
    return form.outer(form.sigma_positive(alike) + form.sigma_negative(different)).mean()


class PairsToMix(NamedTuple):
    """What is mixed for each anchor, by row of the batch.

    ``partners`` ``(A,)``: a positive, or the anchor itself, -1 where it is no row; ``negatives`` ``(A, M)``; ``shares``
    ``(A, M)`` of the partner, which are the mixtures' labels; ``known`` ``(A, M)`` bool.
    """

    partners: Tensor
    negatives: Tensor
    shares: Tensor
    known: Tensor


class Mixtures(NamedTuple):
    """Mixed examples for each anchor: ``vectors`` ``(A, M, D)``, ``labels`` ``(A, M)`` in [0, 1], ``known`` bool."""

    vectors: Tensor
    labels: Tensor
    known: Tensor


@full_precision
@torch.no_grad()
def pairs_to_mix(
    embeddings: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    anchors: tuple[Tensor, Tensor] | None = None,
    alpha: float = 2.0,
    hardest: int = 3,
) -> PairsToMix:
    """Choose what is mixed for each anchor, and how: `pair_mixtures` mixes the embeddings, a system may mix inputs.

    Paper: Venkataramanan et al., "It Takes Two to Tango: Mixup for Deep Metric Learning", ICLR 2022.

    Args:
        embeddings: unit vectors ``(B, D)``, by which negatives are hard.
        labels: one class a row ``(B,)``; rows below zero are left out.
        generator: source of all randomness.
        anchors: vectors ``(A, D)`` and classes ``(A,)`` of other anchors, such as proxies; the embeddings where None.
        alpha: of the shares' Beta distribution.
        hardest: negatives that are mixed for each anchor.

    Data: as of `pair_mixtures`.
    Cost: O(A B D) time, O(A B) memory.

    Raises:
        DataError: embeddings and labels differ in length.

    Example:
        >>> import torch
        >>> from unalike.objectives import pairs_to_mix
        >>> chosen = pairs_to_mix(torch.eye(2), torch.tensor([0, 1]), generator=torch.Generator().manual_seed(0))
        >>> chosen.partners.tolist(), chosen.negatives[:, 0].tolist()  # alone in their class: mixed themselves
        ([0, 1], [1, 0])
    """
    same_length(embeddings=embeddings, labels=labels)
    centres, classes = (embeddings, labels) if anchors is None else anchors
    alike, different = pair_masks(labels) if anchors is None else pair_masks(classes, labels)
    device = embeddings.device
    scores = (centres @ embeddings.T).masked_fill(~different, -torch.inf)
    found, negatives = scores.topk(min(hardest, len(embeddings)), dim=1)
    some = alike.any(dim=1)
    chances = torch.where(some[:, None], alike, True).to(generator.device, torch.float32)
    partners = torch.multinomial(chances, 1, generator=generator).squeeze(1).to(device)
    own = torch.rand(len(centres), generator=generator, device=generator.device).to(device) < 0.5
    rows = torch.arange(len(centres), device=device)
    itself = rows if anchors is None else torch.full_like(rows, -1)
    shares = beta_weights(negatives.shape, alpha, generator=generator, like=embeddings)
    return PairsToMix(torch.where(own | ~some, itself, partners), negatives, shares, found > -torch.inf)


@full_precision
def pair_mixtures(
    embeddings: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    anchors: tuple[Tensor, Tensor] | None = None,
    alpha: float = 2.0,
    hardest: int = 3,
) -> Mixtures:
    """Mix each anchor's hardest negatives with a positive of it, or with the anchor itself, half of the time each.

    ``v = w x + (1 - w) n``, brought to unit length, with w from Beta(alpha, alpha); as a pair with the anchor it is
    positive to the degree w.

    Paper: Venkataramanan et al., "It Takes Two to Tango: Mixup for Deep Metric Learning", ICLR 2022 (mixing of
    embeddings). Which of the positives is mixed is drawn anew for each anchor. The authors' release, of the contrastive
    loss alone, draws the kind of mixture and the share once a step; it mixes embeddings with all negatives and pictures
    with the hardest one.

    Args:
        embeddings: unit vectors ``(B, D)``.
        labels: one class a row ``(B,)``; rows below zero are left out.
        generator: source of all randomness.
        anchors: vectors ``(A, D)`` and classes ``(A,)`` of other anchors, such as proxies; the embeddings where None.
        alpha: the Beta distribution's; 2 in the paper.
        hardest: negatives that are mixed for each anchor; 3 in the paper.

    Data: labels, with several classes in a batch. An anchor without a positive is mixed itself; one with fewer
    negatives has fewer mixtures.
    Cost: O(A B D) time, O(A B + A hardest D) memory.

    Raises:
        DataError: embeddings and labels differ in length.

    Example:
        >>> import torch
        >>> from unalike.objectives import pair_mixtures
        >>> made = pair_mixtures(torch.eye(4), torch.tensor([0, 0, 1, 1]), generator=torch.Generator().manual_seed(0))
        >>> made.vectors.shape, made.known.sum(dim=1)
        (torch.Size([4, 3, 4]), tensor([2, 2, 2, 2]))
    """
    chosen = pairs_to_mix(embeddings, labels, generator=generator, anchors=anchors, alpha=alpha, hardest=hardest)
    centres = embeddings if anchors is None else anchors[0]
    first = torch.where((chosen.partners < 0)[:, None], centres, embeddings[chosen.partners])[:, None]
    mixed = mix(first, embeddings[chosen.negatives], chosen.shares[..., None], renormalize=True)
    return Mixtures(mixed, chosen.shares, chosen.known)


@full_precision
def metrix(
    embeddings: Tensor,
    labels: Tensor,
    *,
    form: PairForm,
    generator: torch.Generator,
    anchors: tuple[Tensor, Tensor] | None = None,
    weight: float = 0.4,
    alpha: float = 2.0,
    hardest: int = 3,
) -> Tensor:
    """Metrix: a pair loss on the batch, plus the same loss on mixtures of each anchor's pairs.

    `generalised_pairs` of all pairs, plus ``weight`` times that of `pair_mixtures`. Mixtures of inputs or of inner
    layers, made elsewhere, go to `generalised_pairs` with their mixed labels.

    Paper: Venkataramanan et al., "It Takes Two to Tango: Mixup for Deep Metric Learning", ICLR 2022.

    Args:
        embeddings: unit vectors ``(B, D)``.
        labels: one class a row ``(B,)``; rows below zero are left out.
        form: the loss: `contrastive_form`, `multi_similarity_form`, `proxy_anchor_form` (with anchors), or one's own.
        generator: source of all randomness.
        anchors: vectors ``(A, D)`` and classes ``(A,)`` of other anchors, such as proxies; the embeddings where None.
        weight: of the mixtures; 0.4 in the paper.
        alpha: of the mixing weights' Beta distribution.
        hardest: negatives that are mixed for each anchor.

    Data: labels, with several samples of several classes in a batch.
    Cost: O(A B D) time, O(A B + A hardest D) memory.

    Raises:
        DataError: embeddings and labels differ in length.

    Example:
        >>> import torch
        >>> from unalike.objectives import metrix, multi_similarity_form
        >>> rows, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
        >>> generator = torch.Generator().manual_seed(0)
        >>> bool(metrix(rows, labels, form=multi_similarity_form(), generator=generator) > 0)
        True
    """
    same_length(embeddings=embeddings, labels=labels)
    centres, classes = (embeddings, labels) if anchors is None else anchors
    alike, different = pair_masks(labels) if anchors is None else pair_masks(classes, labels)
    plain = generalised_pairs(centres @ embeddings.T, alike.to(embeddings.dtype), form=form, known=alike | different)
    if not weight:
        return plain
    mixed = pair_mixtures(embeddings, labels, generator=generator, anchors=anchors, alpha=alpha, hardest=hardest)
    similarities = torch.einsum("ad,amd->am", centres, mixed.vectors)
    return plain + weight * generalised_pairs(similarities, mixed.labels, form=form, known=mixed.known)
