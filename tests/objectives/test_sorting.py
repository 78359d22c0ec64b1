"""The soft sorting network, and GroCo on it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, norm, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import groco, odd_even_sort, rank_shares

sizes = st.integers(1, 7)


def network(values: Tensor, steepness: float) -> tuple[Tensor, Tensor]:
    """Sorted values and element-by-rank shares of one row, layer matrix by layer matrix."""
    size = len(values)
    places = torch.eye(size, dtype=values.dtype)
    for layer in range(size):
        matrix = torch.eye(size, dtype=values.dtype)
        for i in range(layer % 2, size - 1, 2):
            keep = torch.atan(steepness * (values[i + 1] - values[i])) / math.pi + 0.5
            swap = torch.eye(size, dtype=values.dtype) * 0
            swap[i, i] = swap[i + 1, i + 1] = -1
            swap = swap.clone()
            swap[i, i + 1] = swap[i + 1, i] = 1
            matrix = matrix + swap * (1 - keep)
        values, places = matrix @ values, places @ matrix.T
    return values, places


@few
@given(seeds, sizes, st.sampled_from([0.5, 5.0]))
def test_the_network_equals_a_product_of_layers(seed: int, size: int, steepness: float) -> None:
    rows = vectors(seed, 3, size, unit=False)
    ordered, places = odd_even_sort(rows, steepness=steepness)
    for row, found, where in zip(rows, ordered, places, strict=True):
        expected, expected_places = network(row, steepness)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(where, expected_places)
        torch.testing.assert_close(row @ where, found)  # ranks gather their shares of the elements
    torch.testing.assert_close(places.sum(dim=1), torch.ones(3, size, dtype=torch.float64))
    torch.testing.assert_close(places.sum(dim=2), torch.ones(3, size, dtype=torch.float64))
    marks = (torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.5).double()
    torch.testing.assert_close(rank_shares(rows, marks, steepness=steepness), places @ marks)


@few
@given(seeds, sizes)
def test_steep_swaps_sort(seed: int, size: int) -> None:
    rows = vectors(seed, 4, size, unit=False)
    ordered, places = odd_even_sort(rows, steepness=1e12)
    expected = rows.sort(dim=1)
    torch.testing.assert_close(ordered, expected.values, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(places.argmax(dim=1), expected.indices)


def test_gradients_are_the_numerical_ones() -> None:
    rows = vectors(1, 2, 5, unit=False).requires_grad_()
    marks = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: odd_even_sort(x, steepness=2.0), rows)
    assert torch.autograd.gradcheck(lambda x: rank_shares(x, marks, steepness=2.0), rows)


@few
@given(seeds, batches, widths, st.integers(2, 4), st.integers(0, 2))
def test_groco_equals_loops(seed: int, size: int, width: int, full: int, small: int) -> None:
    hardest, views = 1 + seed % (size - 1), full + small

    def loops(z: Tensor) -> Tensor:
        total = z.sum() * 0
        for v in range(views):
            for i in range(size):
                unit = [[z[w, j] / norm(z[w, j]) for j in range(size)] for w in range(views)]
                near = sorted(unit[v][i] @ unit[w][i].detach() for w in range(full) if w != v)
                far = sorted(unit[v][i] @ unit[v][j].detach() for j in range(size) if j != i)[-hardest:]
                _, places = network(torch.stack([*far, *near]), 2.0)
                positive, negative = places[:, hardest:].sum(dim=1), places[:, :hardest].sum(dim=1)
                for e in range(len(places)):
                    wanted = positive[e] if e >= hardest else 1 - positive[e]
                    also = negative[e] if e < hardest else 1 - negative[e]
                    total = total - (wanted.log() + also.log()) / (2 * len(places))
        return total / (views * size)

    rows = vectors(seed, views, size, width, unit=False)
    agree(lambda z: groco(list(z), hardest=hardest, steepness=2.0, full=full), loops, rows, single=2e-3)


def angles(*degrees: float) -> Tensor:
    turns = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([turns.cos(), turns.sin()], dim=1)


def test_steep_groco_is_zero_exactly_where_the_groups_are_in_order() -> None:
    first, second, third = angles(0, 90, 180), angles(10, 100, 190), angles(350, 80, 170)
    assert groco([first, second, third], hardest=2, steepness=1e9) < 1e-6
    mistaken = angles(10, 100, 95)  # one positive of the third sample is farther than its nearest negative
    assert groco([first, mistaken, third], hardest=2, steepness=1e9) > 1


def test_only_the_anchor_gets_gradient() -> None:
    rows = [view.requires_grad_() for view in vectors(2, 3, 5, 4)]
    loss = groco(rows, hardest=2, full=2)
    slopes = torch.autograd.grad(loss, rows)
    assert all(slope.abs().sum() > 0 for slope in slopes)
    alone = groco([rows[0], rows[1].detach(), rows[2].detach()], hardest=2, full=2)
    torch.testing.assert_close(torch.autograd.grad(alone, rows[0])[0], slopes[0])


def test_what_is_refused() -> None:
    rows = [torch.eye(3)] * 2
    with pytest.raises(SettingsError, match="hardest=3 in a batch of 3"):
        groco(rows, hardest=3)
    with pytest.raises(SettingsError, match="full=3 of 2 views"):
        groco(rows, hardest=1, full=3)
    with pytest.raises(SettingsError, match="steepness=0"):
        odd_even_sort(torch.ones(3), steepness=0)
    with pytest.raises(DataError, match="1 view"):
        groco(rows[:1], hardest=1)
