"""Objectives without negatives that keep the dimensions of the embedding alive and different from one another."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.objectives.checks import at_least, same_shape
from unalike.objectives.precision import full_precision


@full_precision
def vicreg(
    first: Tensor,
    second: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    epsilon: float = 1e-4,
) -> Tensor:
    """VICReg: two views agree, every dimension keeps its variance, no two dimensions say the same.

    ``invariance * mean (z - z')^2 + variance * sum_views mean_d relu(1 - std_d) + covariance * sum_views
    sum_{d != e} C_de^2 / D`` with ``std_d = sqrt(var_d + epsilon)`` and C the covariance matrix of the view.

    Paper: Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
    Learning", ICLR 2022, algorithm 1. The authors' release (and lightly) halves the variance term; ``variance=12.5``
    gives theirs.

    Args:
        first: projections of one view ``(B, D)``, not normalised, B >= 2.
        second: projections of the other view ``(B, D)``.
        invariance: weight of the mean squared difference.
        variance: weight of the hinge on the standard deviations.
        covariance: weight of the squared covariances.
        epsilon: added to the variances, so that the root has a gradient at zero.

    Data: two views of each sample; no labels, no negatives.
    Cost: O(B D^2) time, O(D^2) memory.

    Raises:
        DataError: the views differ in shape, or hold fewer than two rows.

    Example:
        >>> import torch
        >>> from unalike.objectives import vicreg
        >>> first, second = torch.tensor([[1.0, 0.0], [-1.0, 2.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        >>> round(float(vicreg(first, second)), 2)  # 25 * 4/4 + 25 * 0.99/2 + (-2)^2 * 2/2
        41.38
    """
    same_shape(first=first, second=second)
    at_least(2, first, "a variance needs two")
    loss = invariance * (first - second).square().mean()
    for view in (first, second):
        spread = (view.var(dim=0) + epsilon).sqrt()
        centred = view - view.mean(dim=0)
        shared = centred.T @ centred / (len(view) - 1)
        loss = loss + variance * (1 - spread).relu().mean()
        loss = loss + covariance * _off_diagonal(shared).square().sum() / view.shape[1]
    return loss


@full_precision
def barlow_twins(first: Tensor, second: Tensor, *, redundancy: float = 5e-3, epsilon: float = 1e-5) -> Tensor:
    """Barlow Twins: the cross-correlation matrix of the two views becomes the identity.

    ``sum_d (1 - C_dd)^2 + redundancy * sum_{d != e} C_de^2`` with C the correlation over the batch of dimension d of
    one view with dimension e of the other.

    Paper: Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML
    2021. As in the authors' release, epsilon joins the variances. The release also scales the loss by 0.024 or 1/32,
    which belongs to its optimiser and is left out.

    Args:
        first: projections of one view ``(B, D)``, not normalised, B >= 2.
        second: projections of the other view ``(B, D)``.
        redundancy: weight of the off-diagonal terms, the paper's lambda.
        epsilon: added to the variances.

    Data: two views of each sample; no labels, no negatives.
    Cost: O(B D^2) time, O(D^2) memory.

    Raises:
        DataError: the views differ in shape, or hold fewer than two rows.

    Example:
        >>> import torch
        >>> from unalike.objectives import barlow_twins
        >>> view = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> round(float(barlow_twins(view, view)), 4), round(float(barlow_twins(view, -view)), 4)
        (0.0, 7.9999)
    """
    same_shape(first=first, second=second)
    at_least(2, first, "a correlation needs two")
    correlation = _standardised(first, epsilon).T @ _standardised(second, epsilon) / len(first)
    return (1 - correlation.diagonal()).square().sum() + redundancy * _off_diagonal(correlation).square().sum()


def _standardised(view: Tensor, epsilon: float) -> Tensor:
    centred = view - view.mean(dim=0)
    return centred * torch.rsqrt(centred.square().mean(dim=0) + epsilon)


def _off_diagonal(matrix: Tensor) -> Tensor:
    size = len(matrix)
    return matrix.flatten()[:-1].view(size - 1, size + 1)[:, 1:]
