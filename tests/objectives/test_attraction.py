"""CACR against plain loops, and what its two softmaxes weigh."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives import cacr


def softly(costs: list[Tensor], sharpness: float) -> Tensor:
    weights = [(sharpness * cost).exp() for cost in costs]
    return sum(weight * cost for weight, cost in zip(weights, costs, strict=True)) / sum(weights)


@few
@given(seeds, batches, widths, st.integers(2, 4), st.sampled_from([0.0, 1.0, 3.0]), st.sampled_from([0.0, 2.0]))
def test_cacr_equals_loops(seed: int, size: int, width: int, views: int, attract: float, repel: float) -> None:
    def loops(z: Tensor) -> Tensor:
        pull, push = [], []
        for i in range(size):
            for v in range(views):
                costs = [((z[v, i] - z[w, i]) ** 2).sum() for w in range(views) if w != v]
                pull.append(softly(costs, attract))
                for w in range(v + 1, views):
                    costs = [((z[v, i] - z[w, j]) ** 2).sum() for j in range(size) if j != i]
                    push.append(-softly(costs, -repel))
        return sum(pull) / len(pull) + sum(push) / len(push)

    agree(lambda z: cacr(list(z), attraction=attract, repulsion=repel), loops, vectors(seed, views, size, width))


def test_farther_positives_attract_more_and_nearer_negatives_repel_more() -> None:
    anchor = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    angles = torch.tensor([0.1, 0.8])
    near, far = (
        torch.stack([torch.stack([a.cos(), a.sin()]), torch.tensor([-1.0, 0.0])]).requires_grad_() for a in angles
    )
    slopes = torch.autograd.grad(cacr([anchor, near, far], repulsion=0.0), [near, far])
    even = torch.autograd.grad(cacr([anchor, near, far], attraction=0.0, repulsion=0.0), [near, far])
    assert slopes[1][0].norm() > even[1][0].norm() and slopes[0][0].norm() < even[0][0].norm()

    query = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, -1.0]])
    keys = torch.tensor([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]], requires_grad=True)
    (sharp,) = torch.autograd.grad(cacr([query, keys], repulsion=3.0), keys)
    (even,) = torch.autograd.grad(cacr([query, keys], repulsion=0.0), keys)
    assert sharp[1].norm() / sharp[2].norm() > even[1].norm() / even[2].norm()


def test_with_two_views_attraction_has_no_weights_to_set() -> None:
    rows = list(vectors(3, 2, 5, 4))
    torch.testing.assert_close(cacr(rows, attraction=0.0), cacr(rows, attraction=7.0))


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match="1 view"):
        cacr([torch.eye(3)])
    with pytest.raises(DataError, match="batch of 1"):
        cacr([torch.eye(3)[:1]] * 2)
