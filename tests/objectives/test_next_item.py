"""The losses of recommenders against plain loops in float64."""

from __future__ import annotations

import pytest
import torch

from unalike.errors import DataError
from unalike.objectives import next_item, nt_xent, view_margin


def margin_loops(first, second):
    """Row by row: the positive, the negatives, the hardest of them."""
    both, size = torch.cat([first, second]), len(first)
    above, below = [], []
    for row in range(2 * size):
        partner = (row + size) % (2 * size)
        positive = both[row] @ both[partner]
        negatives = [both[row] @ both[other] for other in range(2 * size) if other not in (row, partner)]
        hardest = torch.stack(negatives).max()
        low, high = (positive, hardest) if positive < hardest else (hardest, positive)
        above.append(torch.clamp(positive - low, min=0))
        below.extend(torch.clamp(high - each, min=0) for each in negatives)
    return sum(above) / len(above) + sum(below) / len(below)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_margin_of_views(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    given = [torch.randn(size, 5, generator=generator, dtype=torch.float64) for _ in range(2)]
    ours, theirs = ([each.clone().requires_grad_() for each in given] for _ in range(2))
    value, expected = view_margin(*ours), margin_loops(*theirs)
    value.backward()
    expected.backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-12)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-9, atol=1e-12)


def test_the_margin_pulls_a_positive_down_and_its_negatives_up() -> None:
    first = torch.eye(3, requires_grad=True)
    view_margin(first, torch.eye(3)).backward()
    assert (first.grad.diagonal() > 0).all()
    assert (first.grad - torch.diag(first.grad.diagonal()) < 0).any()


@pytest.mark.parametrize(("rows", "items"), [(1, 2), (9, 5), (40, 200)])
def test_next_item_is_cross_entropy(rows: int, items: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    states = torch.randn(rows, 6, generator=generator, dtype=torch.float64) * 2
    table = torch.randn(items, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(items, (rows,), generator=generator)
    ours, theirs = ([each.clone().requires_grad_() for each in (states, table)] for _ in range(2))
    value = next_item(*ours, targets)
    expected = torch.nn.functional.cross_entropy(theirs[0] @ theirs[1].T, targets)
    value.backward()
    expected.backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-7, atol=1e-10)


def test_contrast_of_vectors_that_are_not_of_unit_length() -> None:
    """Recommenders compare states by inner products as large as 64."""
    first, second = (torch.randn(6, 64, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    first, second = (torch.nn.functional.layer_norm(each, (64,)) for each in (first, second))
    both = torch.cat([first, second]).double()
    scores = (both @ both.T).fill_diagonal_(-torch.inf)
    expected = torch.nn.functional.cross_entropy(scores, (torch.arange(12) + 6) % 12)
    assert float(nt_xent(first, second, temperature=1.0)) == pytest.approx(float(expected), rel=1e-5)


def test_a_batch_of_single_events_has_no_lesson() -> None:
    items = torch.randn(4, 3, requires_grad=True)
    loss = next_item(torch.zeros(0, 3), items, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == 0
    assert (items.grad == 0).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="expected an item for each state"):
        next_item(torch.zeros(2, 3), torch.zeros(4, 3), torch.tensor([0, 4]))
    with pytest.raises(DataError, match="expected an item for each state"):
        next_item(torch.zeros(2, 3), torch.zeros(4, 3), torch.tensor([0]))
    with pytest.raises(DataError, match="negatives are those of other sequences"):
        view_margin(torch.zeros(1, 3), torch.zeros(1, 3))
