"""Sorting that gradients pass: an odd-even network of relaxed swaps."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unalike.objectives.checks import positive


def odd_even_sort(values: Tensor, *, steepness: float) -> tuple[Tensor, Tensor]:
    """Sort, softly: ascending values and the matrix that tells how much of each element stands at each rank.

    Each of the network's n layers compares neighbours a, b and keeps of each the share
    ``f = atan(steepness (b - a)) / pi + 1/2`` at its place: ``(f a + (1 - f) b, f b + (1 - f) a)``. As steepness grows
    this becomes sorting.

    Paper: Petersen, Borgelt, Kuehne, Deussen, "Monotonic Differentiable Sorting Networks", ICLR 2022 (the Cauchy
    relaxation).

    Args:
        values: ``(..., n)``.
        steepness: of the swap, above zero.

    Returns:
        The sorted values ``(..., n)``, and the soft permutation ``(..., n, n)``: element by rank, rows and columns
        summing to one.

    Cost: O(n^2) time a row for the values, O(n^3) for the permutation; see `rank_shares` for a group of ranks.

    Raises:
        SettingsError: steepness is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import odd_even_sort
        >>> ordered, places = odd_even_sort(torch.tensor([3.0, 1.0, 2.0]), steepness=1e6)
        >>> ordered, places.argmax(dim=1)
        (tensor([1.0000, 2.0000, 3.0000]), tensor([2, 0, 1]))
    """
    ordered, keeps = _run(values, steepness)
    size = values.shape[-1]
    marks = torch.eye(size, dtype=values.dtype, device=values.device).expand(*values.shape[:-1], size, size)
    return ordered, _back(marks, [keep.unsqueeze(-2) for keep in keeps]).transpose(-1, -2)


def rank_shares(values: Tensor, marks: Tensor, *, steepness: float) -> Tensor:
    """How much of each element lands on the marked ranks when `odd_even_sort` sorts them.

    The soft permutation times ``marks``, without the permutation: the marks are carried back through the network.

    Args:
        values: ``(..., n)``.
        marks: 1 for the ranks of the group, from the smallest rank to the largest ``(n,)``.
        steepness: of the swap, above zero.

    Returns:
        Shares ``(..., n)``, in [0, 1] to rounding.

    Cost: O(n^2) time and memory a row.

    Raises:
        SettingsError: steepness is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import rank_shares
        >>> rank_shares(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([0.0, 0.0, 1.0]), steepness=1e6).round()
        tensor([1., 0., 0.])
    """
    _, keeps = _run(values, steepness)
    return _back(marks.to(values.dtype).expand_as(values), keeps)


def _run(values: Tensor, steepness: float) -> tuple[Tensor, list[Tensor]]:
    positive(steepness=steepness)
    keeps = []
    for layer in range(values.shape[-1]):
        low, high = _neighbours(values, layer)
        keep = torch.atan(steepness * (high - low)) / math.pi + 0.5
        keeps.append(keep)
        values = _swapped(values, layer, keep)
    return values, keeps


def _back(marks: Tensor, keeps: list[Tensor]) -> Tensor:
    # a layer's matrix is symmetric: what it does to values from the left it does to marks from the right
    for layer in reversed(range(len(keeps))):
        marks = _swapped(marks, layer, keeps[layer])
    return marks


def _neighbours(values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    start = layer % 2
    pairs = (values.shape[-1] - start) // 2
    inner = values[..., start : start + 2 * pairs].reshape(*values.shape[:-1], pairs, 2)
    return inner[..., 0], inner[..., 1]


def _swapped(values: Tensor, layer: int, keep: Tensor) -> Tensor:
    start = layer % 2
    low, high = _neighbours(values, layer)
    inner = torch.stack([keep * low + (1 - keep) * high, keep * high + (1 - keep) * low], dim=-1).flatten(-2)
    return torch.cat([values[..., :start], inner, values[..., start + inner.shape[-1] :]], dim=-1)
