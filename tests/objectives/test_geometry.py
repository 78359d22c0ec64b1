"""Alignment, uniformity and the spectral loss against plain loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, norm, pairs, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import alignment, spectral, uniformity


@few
@given(seeds, batches, widths, st.sampled_from([1.0, 2.0, 3.5]))
def test_alignment_equals_loops(seed: int, size: int, width: int, power: float) -> None:
    first, second = vectors(seed, 2, size, width)

    def loops(a: Tensor, b: Tensor) -> Tensor:
        return sum(norm(a[i] - b[i]) ** power for i in range(size)) / size

    agree(lambda a, b: alignment(a, b, power=power), loops, first, second)


def test_alignment_of_equal_rows_has_a_finite_gradient() -> None:
    rows = vectors(1, 3, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(alignment(rows, rows.detach(), power=1), rows)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


@few
@given(seeds, batches, widths, st.booleans())
def test_uniformity_equals_loops(seed: int, size: int, width: int, unit: bool) -> None:
    first, second = vectors(seed, 2, size, width, unit=unit)

    def loops(a: Tensor, b: Tensor) -> Tensor:
        terms = [(-1.5 * ((a[i] - b[j]) ** 2).sum()).exp() for i, j in pairs(size)]
        return (sum(terms) / len(terms)).log()

    agree(lambda a, b: uniformity(a, b, t=1.5), loops, first, second)
    agree(lambda a: uniformity(a, t=1.5), lambda a: loops(a, a), first)


@few
@given(seeds, batches, widths)
def test_spectral_equals_loops(seed: int, size: int, width: int) -> None:
    first, second = vectors(seed, 2, size, width, unit=False)

    def loops(a: Tensor, b: Tensor) -> Tensor:
        pull = sum(a[i] @ b[i] for i in range(size)) / size
        push = [(a[i] @ b[j]) ** 2 for i, j in pairs(size)]
        return -2 * pull + sum(push) / len(push)

    agree(spectral, loops, first, second)


def test_what_is_refused() -> None:
    for objective in (alignment, uniformity, spectral):
        with pytest.raises(DataError, match=r"\(3, 2\).*\(3, 4\)"):
            objective(torch.ones(3, 2), torch.ones(3, 4))
    with pytest.raises(DataError, match="batch of 1"):
        uniformity(torch.ones(1, 2))
    with pytest.raises(SettingsError, match="t=-1"):
        uniformity(torch.ones(2, 2), t=-1)
