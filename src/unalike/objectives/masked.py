"""Sums over some entries of each row, with defined values and gradients where there are none."""

from __future__ import annotations

import torch
from torch import Tensor

EVERY = slice(0, None)


def own(rows: slice, columns: int, like: Tensor) -> Tensor:
    """``(R, columns)`` bool: true where a strip's row meets its own column."""
    stop = columns if rows.stop is None else rows.stop
    numbers = torch.arange(rows.start, stop, device=like.device)
    return numbers[:, None] == torch.arange(columns, device=like.device)


def pair_masks(labels: Tensor, others: Tensor | None = None, *, rows: slice = EVERY) -> tuple[Tensor, Tensor]:
    """Which pairs share their label and which differ, both ``(R, M)`` bool.

    Labels below zero are unknown: such a row or column forms no pair. Without `others` the labels are compared with
    themselves, and no row is its own positive.
    """
    ours, columns = labels[rows], labels if others is None else others
    known = (ours >= 0)[:, None] & (columns >= 0)[None, :]
    same = ours[:, None] == columns[None, :]
    positive, negative = same & known, ~same & known
    if others is None:
        positive &= ~own(rows, len(columns), labels)
    return positive, negative


def log1p_sum_exp(values: Tensor, mask: Tensor) -> Tensor:
    """``log(1 + sum_j mask_ij exp(values_ij))`` over the last dimension; zero where the mask is empty."""
    zero = values.new_zeros(*values.shape[:-1], 1)
    return torch.cat([zero, values.masked_fill(~mask, -torch.inf)], dim=-1).logsumexp(dim=-1)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of the values that the mask selects; zero, with a gradient of zero, where it selects none."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)
