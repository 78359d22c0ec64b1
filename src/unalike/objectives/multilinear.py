"""Symile: any number of modalities in one score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.errors import SettingsError
from unalike.objectives.checks import at_least, finite, positive, several_views
from unalike.objectives.precision import full_precision
from unalike.objectives.score import score_sums


@full_precision
def symile(
    views: Sequence[Tensor],
    *,
    logit_scale: float | Tensor,
    generator: torch.Generator | None = None,
    negatives: Literal["shuffled", "all"] = "shuffled",
) -> Tensor:
    """Symile: each modality tells the true tuple of all others from tuples of the product of marginals.

    The score of a tuple is the multilinear inner product ``sum_d a_d b_d c_d ...`` times the scale. For each
    modality as anchor: the cross-entropy of the sample's own tuple among candidates; averaged over anchors.

    Paper: Saporta, Puli, Goldstein, Ranganath, "Contrasting with Symile: Simple Model-Agnostic Representation Learning
    for Unlimited Modalities", NeurIPS 2024. The other modalities are permuted each on its own, so that
    negatives come from the product of marginals; now and then a permuted tuple is a true one, as in the paper.

    Args:
        views: two or more modalities, each unit vectors ``(B, D)``, B >= 2.
        logit_scale: what scores are multiplied by, one over the temperature; a tensor gets its gradient.
        generator: source of the permutations; needed for ``"shuffled"``.
        negatives: ``"shuffled"``, B - 1 permuted tuples for each anchor; or ``"all"``, every other combination of the
            batch's rows, B^(V - 1) - 1 of them.

    Data: tuples over two or more modalities.
    Cost: V times 8 B^2 D flops and O(B D) memory; with ``"all"`` B^(V - 2) times as much of both.

    Raises:
        DataError: fewer than two modalities, different shapes, or one sample.
        SettingsError: shuffled negatives without a generator, or a scale that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import symile
        >>> signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        >>> third = signs * signs.flip(0)  # tells nothing of one of them, everything of both
        >>> bool(symile([signs, signs.flip(0), third], logit_scale=1.0, negatives="all") < torch.tensor(4.0).log())
        True
    """
    several_views(views)
    at_least(2, views[0], "a negative is another sample")
    if negatives == "shuffled" and generator is None:
        raise SettingsError("shuffled negatives need a generator for the permutations; give one, or negatives='all'")
    positive(logit_scale=logit_scale)
    finite(logit_scale=logit_scale)
    scale = torch.as_tensor(logit_scale, device=views[0].device)
    true = math.prod((view.double() for view in views[1:]), start=views[0].double()).sum(dim=1) * scale
    losses = []
    for number, anchor in enumerate(views):
        others = [view for other, view in enumerate(views) if other != number]
        if negatives == "shuffled":
            tuples = [_permuted(view, generator) for view in others]
            sums = score_sums(anchor, math.prod(tuples[1:], start=tuples[0]), temperature=1 / scale)
            losses.append(softplus(sums.negative - true).mean())
        else:
            losses.append(softplus(_all_others(anchor, others, scale) - true).mean())
    return torch.stack(losses).mean().to(views[0].dtype)


def _permuted(view: Tensor, generator: torch.Generator | None) -> Tensor:
    order = torch.randperm(len(view), generator=generator, device=None if generator is None else generator.device)
    return view[order.to(view.device)]


def _all_others(anchor: Tensor, others: list[Tensor], scale: Tensor) -> Tensor:
    """Log of the summed exponentials over all combinations of rows but the anchor's own."""
    first, *rest = others
    found = []
    for shifts in product(range(len(anchor)), repeat=len(rest)):
        tuples = math.prod((view.roll(shift, 0) for view, shift in zip(rest, shifts, strict=True)), start=first)
        sums = score_sums(anchor, tuples, temperature=1 / scale)
        found.append(sums.negative)
        if any(shifts):  # row i of unshifted tuples is the anchor's own; of others it is one more negative
            found.append(sums.positive)
    return torch.stack(found).logsumexp(dim=0)
