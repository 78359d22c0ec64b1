"""Sums of exponentials over some entries of each row, with defined values and gradients where there are none."""

from __future__ import annotations

import torch
from torch import Tensor

UNLABELLED = -1
"""Labels below zero stand for no label: such rows form no pairs."""


def pair_masks(labels: Tensor, others: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Which pairs share their label and which differ, both `(B, M)` bool; an unlabelled row has neither.

    Without `others` the labels are compared with themselves, and no row is its own positive.
    """
    columns = labels if others is None else others
    known = (labels > UNLABELLED)[:, None] & (columns > UNLABELLED)[None, :]
    same = labels[:, None] == columns[None, :]
    positive, negative = same & known, ~same & known
    if others is None:
        positive.fill_diagonal_(False)
    return positive, negative


def log1p_sum_exp(values: Tensor, mask: Tensor) -> Tensor:
    """``log(1 + sum_j mask_ij exp(values_ij))`` over the last dimension; zero where the mask is empty."""
    zero = values.new_zeros(*values.shape[:-1], 1)
    return torch.cat([zero, values.masked_fill(~mask, -torch.inf)], dim=-1).logsumexp(dim=-1)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of the values that the mask selects; zero, with a gradient of zero, where it selects none."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)
