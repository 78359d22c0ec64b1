"""The group-whitening head."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import few, seeds, vectors
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import ShuffledGroupWhitening


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlated(seed: int, rows: int, width: int) -> Tensor:
    return vectors(seed, rows, width, unit=False) @ vectors(seed + 1, width, width, unit=False) + 3


@few
@given(seeds, st.sampled_from([1, 2, 3]), st.integers(1, 4), st.booleans())
def test_each_group_has_identity_covariance_and_stays_closest_to_what_it_was(
    seed: int, groups: int, width: int, shuffle: bool
) -> None:
    rows = correlated(seed, 40, groups * width)
    order = torch.randperm(groups * width, generator=stream(seed)) if shuffle else torch.arange(groups * width)
    white = ShuffledGroupWhitening(groups, epsilon=0.0)(rows, stream(seed) if shuffle else None)
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(groups * width, dtype=torch.float64))
    for part in order.view(groups, width):
        found = white[:, part].T @ white[:, part] / 40
        torch.testing.assert_close(found, torch.eye(width, dtype=torch.float64), rtol=1e-5, atol=1e-5)
        centred = rows[:, part] - rows[:, part].mean(dim=0)
        shared = centred.T @ white[:, part] / 40  # ZCA, alone among whitenings: symmetric and positive
        torch.testing.assert_close(shared, shared.T)
        assert torch.linalg.eigvalsh(shared).min() > 0


def test_shuffles_differ_between_calls_and_repeat_with_the_stream() -> None:
    rows, head = correlated(1, 30, 8), ShuffledGroupWhitening(4)
    generator = stream(5)
    first, second = head(rows, generator), head(rows, generator)
    assert not torch.allclose(first, second)
    assert torch.equal(first, head(rows, stream(5)))


def test_one_group_needs_no_shuffle() -> None:
    rows, head = correlated(1, 30, 5), ShuffledGroupWhitening(1)
    torch.testing.assert_close(head(rows, stream(1)), head(rows))


def test_the_whitening_matrix_gets_no_gradient_unless_asked() -> None:
    rows = correlated(2, 20, 4).requires_grad_()
    weights = vectors(3, 20, 4)

    def slope(differentiable: bool) -> Tensor:
        head = ShuffledGroupWhitening(2, differentiable=differentiable)
        return torch.autograd.grad((head(rows) * weights).sum(), rows)[0]

    centred = (rows - rows.mean(dim=0)).detach()
    expected = torch.zeros_like(rows)
    for part in (slice(0, 2), slice(2, 4)):
        values, directions = torch.linalg.eigh(centred[:, part].T @ centred[:, part] / 20)
        matrix = directions @ torch.diag((values + 1e-5).rsqrt()) @ directions.T
        found = weights[:, part] @ matrix
        expected[:, part] = found - found.mean(dim=0)
    torch.testing.assert_close(slope(False), expected)
    assert not torch.allclose(slope(True), expected)
    assert torch.autograd.gradcheck(lambda x: (ShuffledGroupWhitening(2, differentiable=True)(x) * weights).sum(), rows)


def test_half_precision_comes_back_as_it_went_in() -> None:
    white = ShuffledGroupWhitening(2)(correlated(1, 30, 4).bfloat16(), stream(1))
    assert white.dtype == torch.bfloat16 and white.isfinite().all()


def test_still_dimensions_stay_finite() -> None:
    rows = torch.ones(8, 4, requires_grad=True)
    white = ShuffledGroupWhitening(2)(rows)
    (slope,) = torch.autograd.grad(white.square().sum(), rows)
    assert white.isfinite().all() and slope.isfinite().all()


def test_what_is_refused() -> None:
    with pytest.raises(SettingsError, match="groups=0"):
        ShuffledGroupWhitening(0)
    with pytest.raises(DataError, match="width 5"):
        ShuffledGroupWhitening(2)(torch.ones(9, 5))
    with pytest.raises(DataError, match="batch of 4 for groups of 4"):
        ShuffledGroupWhitening(2)(torch.ones(4, 8))
