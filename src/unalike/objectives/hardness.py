"""What a temperature does: the shares of the gradient, and losses that set the hardness in other ways."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unalike.errors import SettingsError
from unalike.objectives.checks import at_least, finite, positive, same_shape
from unalike.objectives.contrastive import info_nce
from unalike.objectives.masked import EVERY, own
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise
from unalike.objectives.score import count_negatives
from unalike.pairing import SameIndex, TopHardest, alike, sparing


@torch.no_grad()
@full_precision
def gradient_shares(queries: Tensor, keys: Tensor, *, temperature: float) -> Tensor:
    """How InfoNCE's push on a query is divided among its negatives: a Boltzmann distribution.

    ``r_ij = exp(s_ij / t) / sum_{k != i} exp(s_ik / t)``: the gradient with respect to a negative's score, relative to
    the gradient with respect to the positive's.

    Paper: Wang, Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021.

    Args:
        queries: unit vectors ``(B, D)``, B >= 2.
        keys: the positive of each row ``(B, D)``; the others' positives are its negatives.
        temperature: above zero.

    Returns:
        Shares ``(B, B)``, each row summing to one, zero on the diagonal. A measurement, without gradient.

    Cost: O(B^2 D) time, O(B^2) memory.

    Raises:
        DataError: the shapes differ, or there is one row. SettingsError: temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import gradient_shares
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> gradient_shares(rows, rows, temperature=0.1)[0]  # the third row is the harder negative of the first
        tensor([0.0000, 0.0025, 0.9975])
    """
    same_shape(queries=queries, keys=keys)
    at_least(2, queries, "a negative is another sample")
    positive(temperature=temperature)
    scores = queries @ keys.T / temperature
    return scores.masked_fill(own(EVERY, len(keys), scores), -torch.inf).softmax(dim=1)


def hard_contrastive(
    queries: Tensor, keys: Tensor, *, temperature: float, share: float, same: Tensor | None = None
) -> Tensor:
    """Hard contrastive loss: InfoNCE over the hardest share of each query's negatives.

    Paper: Wang, Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021.

    Args:
        queries: unit vectors ``(B, D)``, B >= 2.
        keys: the positive of each row ``(B, D)``; the others' positives are its negatives.
        temperature: above zero.
        share: of the B - 1 negatives, in (0, 1]; at least one is kept.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: pairs of views; no labels.
    Cost: 2 B^2 D flops to find the hardest, O(B k D) for the loss; memory O(strip B + B k).

    Raises:
        DataError: the shapes differ, or there is one row. SettingsError: the weight is not finite.
        SettingsError: temperature is not above zero, or share is not in (0, 1].

    Example:
        >>> import torch
        >>> from unalike.objectives import hard_contrastive
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> round(float(hard_contrastive(rows, rows, temperature=1.0, share=0.5)), 4)  # one negative each
        0.5698
    """
    same_shape(queries=queries, keys=keys)
    hardest = TopHardest(_kept(queries, share), sparing(SameIndex(), same))
    return info_nce(queries, keys, temperature=temperature, pairing=hardest)


@full_precision
def simple_contrastive(queries: Tensor, keys: Tensor, *, weight: float, same: Tensor | None = None) -> Tensor:
    """Simple contrastive loss: InfoNCE without hardness; every negative is pushed alike.

    ``-mean_i s_ii + weight * mean_{i != j} s_ij``: what InfoNCE tends to as its temperature rises.

    Paper: Wang, Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021, where negatives are summed: the
    paper's lambda is ``weight / (B - 1)``.

    Args:
        queries: unit vectors ``(B, D)``, B >= 2.
        keys: the positive of each row ``(B, D)``; the others' positives are its negatives.
        weight: of the negatives; 1 is the limit of InfoNCE.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: pairs of views; no labels.
    Cost: O(B D) time and memory: the scores are summed before they are made.

    Raises:
        DataError: the shapes differ, or there is one row.

    Example:
        >>> import torch
        >>> from unalike.objectives import simple_contrastive
        >>> float(simple_contrastive(torch.eye(3), torch.eye(3), weight=1.0))
        -1.0
    """
    same_shape(queries=queries, keys=keys)
    at_least(2, queries, "a negative is another sample")
    finite(weight=weight)
    size = len(queries)
    pull = (queries * keys).sum()
    every = queries.sum(dim=0) @ keys.sum(dim=0)
    if same is None:
        return -pull / size + weight * (every - pull) / (size * (size - 1))

    def spared(scores: Tensor, rows: slice) -> Tensor:
        return (scores * (alike(same[rows], same) | own(rows, size, scores))).sum(dim=1)

    left = count_negatives(sparing(SameIndex(), same), queries, keys).sum().clamp(min=1)
    return -pull / size + weight * (every - rowwise(spared, queries, keys).sum()) / left


@full_precision
def hard_simple_contrastive(
    queries: Tensor, keys: Tensor, *, weight: float, share: float, same: Tensor | None = None
) -> Tensor:
    """Hard simple contrastive loss: the simple loss over the hardest share of each query's negatives.

    ``mean_i (-s_ii + weight * mean of the largest s_ij, j != i)``.

    Paper: Wang, Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021, where negatives are summed and
    not averaged.

    Args:
        queries: unit vectors ``(B, D)``, B >= 2.
        keys: the positive of each row ``(B, D)``; the others' positives are its negatives.
        weight: of the negatives.
        share: of the B - 1 negatives, in (0, 1]; at least one is kept.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: pairs of views; no labels.
    Cost: 8 B^2 D flops; memory O(strip B).

    Raises:
        DataError: the shapes differ, or there is one row. SettingsError: share is not in (0, 1].

    Example:
        >>> import torch
        >>> from unalike.objectives import hard_simple_contrastive
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> round(float(hard_simple_contrastive(rows, rows, weight=1.0, share=0.5)), 4)  # -1 + (0.6 + 0.8 + 0.8)/3
        -0.2667
    """
    same_shape(queries=queries, keys=keys)
    finite(weight=weight)
    kept = _kept(queries, share)

    def rows_of(scores: Tensor, rows: slice) -> Tensor:
        itself = own(rows, scores.shape[1], scores)
        others = scores.masked_fill(itself, -torch.inf)
        if same is not None:  # as far away as can be: where few others are left, some must be taken
            others = others.masked_fill(alike(same[rows], same) & ~itself, -1.0)
        others = others.topk(kept, dim=1).values
        return weight * others.mean(dim=1) - scores[itself]

    return rowwise(rows_of, queries, keys).mean()


def _kept(queries: Tensor, share: float) -> int:
    at_least(2, queries, "a negative is another sample")
    if not 0 < share <= 1:
        raise SettingsError(f"share={share}; expected a share of the negatives, above 0 and at most 1")
    return max(1, math.ceil(share * (len(queries) - 1) - 1e-9))
