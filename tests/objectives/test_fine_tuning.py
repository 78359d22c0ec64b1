"""Core-tuning's loss and mixtures against plain loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, classes, few, mean, norm, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import beta_weights, core_mixtures, core_tuning, sup_con


@few
@given(seeds, batches, widths, st.booleans(), st.integers(0, 3))
def test_core_tuning_equals_loops(seed: int, size: int, width: int, generated: bool, number: int) -> None:
    rows, labels = vectors(seed, size, width), classes(seed, size)
    hard, semi = vectors(seed + 1, size, width), vectors(seed + 2, number, width)

    def loops(z: Tensor, p: Tensor, n: Tensor) -> Tensor:
        columns = [*z, *(p if generated else []), *n]
        terms = []
        for i in range(size):
            scores = [z[i] @ column / 0.3 for column in columns]
            total = sum(score.exp() for j, score in enumerate(scores) if j != i)
            mine = [j for j in range(size) if j != i and labels[j] == labels[i] >= 0] + [size + i] * generated
            shares = [scores[j].exp() / total for j in mine]
            terms += [sum(-(1 - share) * share.log() for share in shares) / len(mine)] if mine else []
        return mean(terms, z)

    def ours(z: Tensor, p: Tensor, n: Tensor) -> Tensor:
        return core_tuning(
            z, labels, temperature=0.3, positives=p if generated else None, negatives=n if number else None
        )

    agree(ours, loops, rows, hard, semi, single=1e-3)


def test_a_lone_pair_costs_nothing_and_well_fitted_pairs_cost_less_than_sup_con() -> None:
    rows, labels = torch.eye(2).repeat(2, 1), torch.tensor([0, 1, 0, 1])
    assert float(core_tuning(rows[:1].repeat(2, 1), labels[:1].repeat(2), temperature=0.1)) == 0
    assert core_tuning(rows, labels, temperature=0.5) < sup_con(rows, labels, temperature=0.5)


@few
@given(seeds, batches, st.integers(2, 5))
def test_mixtures_equal_loops(seed: int, size: int, width: int) -> None:
    rows, labels = vectors(seed, size, width, unit=False), classes(seed, size, unknown=False)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(size, generator=generator)
    w, v = (beta_weights((size, 1), 1.0, generator=generator, like=rows) for _ in range(2))
    v = v.clamp(min=0.8)
    made = core_mixtures(rows, labels, classes=3, generator=torch.Generator().manual_seed(seed))
    codes = torch.eye(3, dtype=torch.float64)[labels]
    for i in range(size):
        cosines = [float(rows[i] @ rows[j] / (norm(rows[i]) * norm(rows[j]))) for j in range(size)]
        near = min((j for j in range(size) if j != i and labels[j] == labels[i]), key=lambda j: cosines[j], default=i)
        far = max((j for j in range(size) if labels[j] != labels[i]), key=lambda j: cosines[j], default=i)
        torch.testing.assert_close(made.positives[i], w[i] * rows[near] + (1 - w[i]) * rows[far])
        torch.testing.assert_close(made.positive_labels[i], w[i] * codes[near] + (1 - w[i]) * codes[far])
        torch.testing.assert_close(made.negatives[i], (1 - v[i]) * rows[i] + v[i] * rows[order[i]])
        torch.testing.assert_close(made.negative_labels[i], (1 - v[i]) * codes[i] + v[i] * codes[order[i]])


def test_gradient_reaches_the_features_through_both_kinds_of_mixture() -> None:
    rows = vectors(1, 6, 4).requires_grad_()
    made = core_mixtures(rows, torch.arange(6) % 2, classes=2, generator=torch.Generator().manual_seed(0))
    for part in (made.positives, made.negatives):
        assert torch.autograd.grad(part.square().sum(), rows, retain_graph=True)[0].abs().sum() > 0
    assert not made.positive_labels.requires_grad


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"positives \(2, 3\) for embeddings \(3, 3\)"):
        core_tuning(torch.eye(3), torch.zeros(3), temperature=0.1, positives=torch.ones(2, 3))
    with pytest.raises(SettingsError, match="temperature=0"):
        core_tuning(torch.eye(3), torch.zeros(3), temperature=0)
    with pytest.raises(DataError, match="3 features, 2 labels"):
        core_mixtures(torch.eye(3), torch.zeros(2), classes=2, generator=torch.Generator())
