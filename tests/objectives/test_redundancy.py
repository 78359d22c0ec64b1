"""VICReg and Barlow Twins against plain loops and other libraries."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from loops import agree, batches, few, pairs, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives import barlow_twins, vicreg


def covariance(first: Tensor, second: Tensor, d: int, e: int, spare: int) -> Tensor:
    n = len(first)
    a, b = sum(first[i, d] for i in range(n)) / n, sum(second[i, e] for i in range(n)) / n
    return sum((first[i, d] - a) * (second[i, e] - b) for i in range(n)) / (n - spare)


def vicreg_loops(first: Tensor, second: Tensor) -> Tensor:
    n, width = first.shape
    loss = 25 * sum((first[i, d] - second[i, d]) ** 2 for i in range(n) for d in range(width)) / (n * width)
    for view in (first, second):
        for d in range(width):
            loss = loss + 20 * torch.relu(1 - (covariance(view, view, d, d, 1) + 1e-4).sqrt()) / width
        for d, e in pairs(width):
            loss = loss + 2 * covariance(view, view, d, e, 1) ** 2 / width
    return loss


@few
@given(seeds, batches, widths)
def test_vicreg_equals_loops(seed: int, size: int, width: int) -> None:
    first, second = vectors(seed, 2, size, width, unit=False)
    agree(lambda a, b: vicreg(a, b, variance=20.0, covariance=2.0), vicreg_loops, first, second)


def barlow_loops(first: Tensor, second: Tensor) -> Tensor:
    width = first.shape[1]
    deviation = [[(covariance(v, v, d, d, 0) + 1e-5).sqrt() for d in range(width)] for v in (first, second)]
    loss = first.sum() * 0
    for d in range(width):
        for e in range(width):
            c = covariance(first, second, d, e, 0) / (deviation[0][d] * deviation[1][e])
            loss = loss + ((1 - c) ** 2 if d == e else 0.1 * c**2)
    return loss


@few
@given(seeds, batches, widths)
def test_barlow_twins_equals_loops(seed: int, size: int, width: int) -> None:
    first, second = vectors(seed, 2, size, width, unit=False)
    agree(lambda a, b: barlow_twins(a, b, redundancy=0.1), barlow_loops, first, second)


def test_a_batch_without_any_variance_has_finite_gradients() -> None:
    still = torch.ones(4, 3, requires_grad=True)
    for objective in (vicreg, barlow_twins):
        (gradient,) = torch.autograd.grad(objective(still, still), still)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("objective", [vicreg, barlow_twins])
def test_shapes_are_checked(objective) -> None:
    with pytest.raises(DataError, match=r"first \(4, 3\), second \(4, 2\)"):
        objective(torch.ones(4, 3), torch.ones(4, 2))
    with pytest.raises(DataError, match="batch of 1"):
        objective(torch.ones(1, 3), torch.ones(1, 3))


def test_autocast_does_not_lower_the_precision() -> None:
    first, second = vectors(3, 2, 64, 16, unit=False).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = [objective(first, second) for objective in (vicreg, barlow_twins)]
    assert [float(value) for value in inside] == [float(o(first, second)) for o in (vicreg, barlow_twins)]


def test_vicreg_equals_lightly_and_pytorch_metric_learning_with_their_halved_variance() -> None:
    from pytorch_metric_learning.losses import VICRegLoss

    first, second = vectors(5, 2, 32, 8, unit=False) * 0.5
    ours = vicreg(first, second, variance=12.5)
    torch.testing.assert_close(ours, VICRegLoss()(first, ref_emb=second))
    lightly = pytest.importorskip("lightly.loss")
    torch.testing.assert_close(ours, lightly.VICRegLoss()(first, second))


def test_barlow_twins_equals_lightly() -> None:
    lightly = pytest.importorskip("lightly.loss")
    first, second = vectors(6, 2, 32, 8, unit=False)
    torch.testing.assert_close(barlow_twins(first, second), lightly.BarlowTwinsLoss()(first, second))
