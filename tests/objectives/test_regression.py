"""SupReMix against plain loops, and its mixtures' own laws."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import regression, supremix


@few
@given(seeds, st.integers(2, 7), widths, st.integers(0, 3), st.sampled_from([1.5, 3.0]), st.booleans())
def test_supremix_equals_loops(seed: int, size: int, width: int, mixtures: int, window: float, both: bool) -> None:
    rows = vectors(seed, size, width)
    targets = torch.randint(0, 4, (size,), generator=torch.Generator().manual_seed(seed)).double()
    share, drawn = 0.25, regression._around(targets, window, mixtures, torch.Generator().manual_seed(seed))

    def loops(z: Tensor) -> Tensor:
        terms = []
        for i in range(size):
            every, positive = [], []
            for j in range(size):
                gap = (targets[i] - targets[j]).abs()
                if j != i:
                    score = z[i] @ z[j] / 0.4
                    every.append(score.exp() * (1 + gap))
                    positive += [score] if gap == 0 else []
                if both and gap > 0:
                    mixed = (share * z[i] + (1 - share) * z[j]).detach()
                    label = share * targets[i] + (1 - share) * targets[j]
                    every.append((z[i] @ mixed / 0.4).exp() * (1 + (targets[i] - label).abs()))
            for m in range(mixtures):
                if drawn[2][i, m]:
                    j, k = drawn[0][i, m], drawn[1][i, m]
                    weight = (targets[k] - targets[i]) / (targets[k] - targets[j])
                    score = z[i] @ (weight * z[j] + (1 - weight) * z[k]).detach() / 0.4
                    every.append(score.exp())
                    positive.append(score)
            if positive:
                terms.append(sum(every).log() - sum(positive) / len(positive))
        return torch.stack(terms).mean() if terms else z.sum() * 0

    def ours(z: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        settings = {"temperature": 0.4, "window": window, "mixtures": mixtures, "generator": generator}
        return supremix(z, targets, **settings) if both else supremix(z, targets, **settings, beta=None)

    def fixed(shape: torch.Size, *_: float, like: Tensor, **__: object) -> Tensor:
        return torch.full(tuple(shape), share, dtype=like.dtype)

    with patch.object(regression, "beta_weights", fixed):
        agree(ours, loops, rows, single=1e-3)


def test_mixed_positives_lie_on_both_sides_within_the_window() -> None:
    targets = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 10
    below, above, drawn = regression._around(targets, 1.5, 64, torch.Generator().manual_seed(1))
    for i in range(50):
        lower = {j for j in range(50) if targets[i] - 1.5 < targets[j] < targets[i]}
        upper = {j for j in range(50) if targets[i] < targets[j] < targets[i] + 1.5}
        assert bool(drawn[i, 0]) == bool(lower and upper)
        if drawn[i, 0]:
            assert set(below[i].tolist()) <= lower and set(above[i].tolist()) <= upper
            assert len(lower) < 3 or len(set(below[i].tolist())) > 1  # different ones are drawn


def test_gradients_are_those_of_one_and_the_same_draw() -> None:
    """The backward pass draws again, and must meet the same mixtures."""
    rows = vectors(3, 8, 4)
    targets = torch.tensor([0.0, 0, 1, 1, 2, 2, 3, 3])

    def value(z: Tensor) -> Tensor:
        return supremix(z, targets, temperature=0.5, window=5, generator=torch.Generator().manual_seed(5), mixtures=4)

    assert torch.equal(value(rows), value(rows))
    first = torch.autograd.functional.jacobian(value, rows)
    torch.testing.assert_close(first, torch.autograd.functional.jacobian(value, rows))
    shares = []
    real = regression.beta_weights

    def recorded(*args: object, **kwargs: object) -> Tensor:
        shares.append(real(*args, **kwargs))
        return shares[-1]

    with patch.object(regression, "beta_weights", recorded):
        torch.autograd.functional.jacobian(value, rows)
    assert len(shares) == 2 and torch.equal(*shares) and shares[0].unique().numel() == 64


def test_a_batch_without_positives_gives_zero() -> None:
    rows = torch.eye(2, requires_grad=True)
    settings = {"temperature": 0.5, "window": 0.5, "generator": torch.Generator()}
    loss = supremix(rows, torch.tensor([0.0, 1.0]), **settings)
    (slope,) = torch.autograd.grad(loss, rows)
    assert float(loss.detach()) == 0 and not slope.any()


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match="3 embeddings, 2 targets"):
        supremix(torch.eye(3), torch.zeros(2), temperature=0.1, window=1, generator=torch.Generator())
    with pytest.raises(SettingsError, match="window=0"):
        supremix(torch.eye(3), torch.zeros(3), temperature=0.1, window=0, generator=torch.Generator())
