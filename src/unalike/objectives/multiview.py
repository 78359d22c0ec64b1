"""More than two views (or modalities) of each sample, in one term a sample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.objectives.checks import at_least, several_views
from unalike.objectives.contrastive import nt_xent, or_nothing
from unalike.objectives.precision import full_precision
from unalike.objectives.score import inverse_temperature, score_sums
from unalike.pairing import SameIndex, of_views, sparing


def pairwise_nt_xent(views: Sequence[Tensor], *, temperature: float | Tensor, same: Tensor | None = None) -> Tensor:
    """NT-Xent of every two of several views, averaged: what one did with more than two views before.

    ``mean_{v < w} nt_xent(u_v, u_w)``; each term sees the looks of its own two views alone.

    Paper: the baseline PWE of Koromilas et al., "A Principled Framework for Multi-View Contrastive Learning", 2025;
    earlier Tian, Krishnan, Isola, "Contrastive Multiview Coding", ECCV 2020 (the full graph of views).

    Args:
        views: two or more views, each unit vectors ``(B, D)``.
        temperature: above zero: a number, or a tensor with one entry.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two or more views, or modalities, of each sample; no labels.
    Cost: V (V - 1) / 2 times 16 B^2 D flops; memory O(V B D).

    Raises:
        DataError: fewer than two views, or views of different shapes. SettingsError: temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import pairwise_nt_xent
        >>> round(float(pairwise_nt_xent([torch.eye(2)] * 3, temperature=1.0)), 4)  # log(1 + 2 / e) for each pair
        0.5514
    """
    several_views(views)
    pairs = [nt_xent(one, other, temperature=temperature, same=same) for one, other in combinations(views, 2)]
    return torch.stack(pairs).mean()


@full_precision
def mv_info_nce(views: Sequence[Tensor], *, temperature: float, same: Tensor | None = None) -> Tensor:
    """MV-InfoNCE: all views of a sample against all views of all samples, in one ratio a sample.

    ``mean_i -log [ sum_{v != w} exp(u_iv.u_iw / t) / sum_v sum_{(j, w) != (i, v)} exp(u_iv.u_jw / t) ]``.

    Paper: Koromilas et al., "A Principled Framework for Multi-View Contrastive Learning", 2025.

    Args:
        views: two or more views, each unit vectors ``(B, D)``.
        temperature: above zero.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two or more views, or modalities, of each sample; no labels.
    Cost: 4 (V B)^2 D flops; memory O(V B D).

    Raises:
        DataError: fewer than two views, or views of different shapes. SettingsError: temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import mv_info_nce
        >>> round(float(mv_info_nce([torch.eye(2)] * 3, temperature=1.0)), 4)  # log(1 + 9 / (6 e))
        0.4394
    """
    several_views(views)
    pairing = sparing(SameIndex(views=len(views)), of_views(same, len(views)))
    sums = score_sums(torch.cat(list(views)), temperature=temperature, pairing=pairing)
    negative, positive = (total.view(len(views), -1).logsumexp(0) for total in (sums.negative, sums.positive))
    return softplus(negative - positive).mean().to(views[0].dtype)


@full_precision
def mv_dhel(views: Sequence[Tensor], *, temperature: float, same: Tensor | None = None) -> Tensor:
    """MV-DHEL: positives across views, negatives within each view, so that alignment and uniformity part.

    ``mean_i [ -log sum_{v < w} exp(u_iv.u_iw / t) + sum_v log sum_{j != i} exp(u_iv.u_jv / t) ]``. With two views this
    is DHEL.

    Paper: Koromilas et al., "A Principled Framework for Multi-View Contrastive Learning", 2025; for two views Koromilas
    et al., "Bridging Mini-Batch and Asymptotic Analysis in Contrastive Learning", 2024.

    Args:
        views: two or more views, each unit vectors ``(B, D)``, B >= 2.
        temperature: above zero; 0.2 in the authors' release.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two or more views, or modalities, of each sample; no labels.
    Cost: V times 4 B^2 D flops; memory O(V^2 B D).

    Raises:
        DataError: fewer than two views, views of different shapes, or one sample.
        SettingsError: temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import mv_dhel
        >>> round(float(mv_dhel([torch.eye(2)] * 3, temperature=1.0)), 4)  # -log(3 e) + 3 log 1
        -2.0986
    """
    several_views(views)
    at_least(2, views[0], "a negative is another sample")
    inverse = inverse_temperature(temperature, views[0])
    pairs = combinations([view.double() for view in views], 2)
    together = torch.stack([(one * other).sum(dim=1) * inverse for one, other in pairs]).logsumexp(dim=0)
    apart = sparing(SameIndex(), same)
    spreads = [score_sums(view, temperature=temperature, pairing=apart).negative for view in views]
    spread = sum(each if same is None else or_nothing(each) for each in spreads)
    return (spread - together).mean().to(views[0].dtype)
