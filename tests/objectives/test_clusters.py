"""Sinkhorn codes, swapped prediction and ProtoNCE against plain loops, lightly and the laws of optimal transport."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, norm, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import concentration, proto_nce, sinkhorn_codes, swapped_prediction, transport_plan


@few
@given(seeds, batches, widths, st.integers(1, 5))
def test_the_transport_plan_equals_sinkhorn_by_loops(seed: int, rows: int, columns: int, iterations: int) -> None:
    scores = vectors(seed, rows, columns, unit=False)
    plan = [[math.exp(scores[i, k] / 0.3) for k in range(columns)] for i in range(rows)]
    for _ in range(iterations):
        for k in range(columns):
            total = sum(plan[i][k] for i in range(rows))
            for i in range(rows):
                plan[i][k] /= total * columns
        for i in range(rows):
            total = sum(plan[i])
            plan[i] = [value / total / rows for value in plan[i]]
    found = transport_plan(scores, epsilon=0.3, iterations=iterations)
    torch.testing.assert_close(found, torch.tensor(plan, dtype=torch.float64))


def test_the_plan_meets_both_marginals_and_keeps_the_scores_second_differences() -> None:
    scores = vectors(3, 6, 4, unit=False)
    plan = transport_plan(scores, epsilon=0.5, iterations=300)
    torch.testing.assert_close(plan.sum(dim=1), torch.full((6,), 1 / 6, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(dim=0), torch.full((4,), 1 / 4, dtype=torch.float64))
    # scaling rows and columns leaves the second differences alone
    torch.testing.assert_close(_double_difference(plan.log() * 0.5), _double_difference(scores))


def _double_difference(matrix: Tensor) -> Tensor:
    return matrix[1:, 1:] - matrix[:1, 1:] - matrix[1:, :1] + matrix[:1, :1]


def test_codes_stay_finite_where_plain_exponentials_overflow() -> None:
    codes = sinkhorn_codes(vectors(2, 8, 4).float() * 100, epsilon=0.01)
    assert codes.isfinite().all()
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(8))


def test_codes_and_swapped_prediction_equal_lightly() -> None:
    pytest.importorskip("lightly")
    from lightly.loss.swav_loss import SwaVLoss, sinkhorn

    scores = list(vectors(9, 4, 12, 5).float() * 0.8)
    torch.testing.assert_close(sinkhorn_codes(scores[0]), sinkhorn(scores[0]), rtol=1e-4, atol=1e-5)
    ours = swapped_prediction(scores, [sinkhorn_codes(crop) for crop in scores[:2]])
    torch.testing.assert_close(ours, SwaVLoss()(scores[:2], scores[2:]).squeeze(), rtol=1e-4, atol=1e-5)


@few
@given(seeds, batches, widths, st.integers(1, 2), st.integers(1, 2))
def test_swapped_prediction_equals_loops(seed: int, size: int, width: int, full: int, small: int) -> None:
    crops = vectors(seed, full + small, size, width)
    codes = vectors(seed + 1, full, size, width).abs()

    def loops(scores: Tensor) -> Tensor:
        terms = []
        for t in range(full):
            for s in range(full + small):
                if s != t:
                    for i in range(size):
                        total = sum((scores[s, i, k] / 0.3).exp() for k in range(width))
                        terms.append(-sum(codes[t, i, k] * (scores[s, i, k] / 0.3 - total.log()) for k in range(width)))
        return sum(terms) / len(terms)

    agree(lambda scores: swapped_prediction(list(scores), list(codes.to(scores.dtype)), temperature=0.3), loops, crops)


def test_codes_get_no_gradient() -> None:
    scores, codes = vectors(1, 3, 2).requires_grad_(), vectors(2, 3, 2).requires_grad_()
    gradient = torch.autograd.grad(swapped_prediction([scores] * 2, [codes] * 2), [scores, codes], allow_unused=True)
    assert gradient[0].abs().sum() > 0 and gradient[1] is None


@few
@given(seeds, batches, widths, st.integers(1, 4))
def test_proto_nce_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    rows = vectors(seed, size, width)
    prototypes = [vectors(seed + 1, number, width), vectors(seed + 2, number + 1, width)]
    clusters = [torch.arange(size) % number, torch.arange(size) % (number + 1)]
    temperatures = [vectors(seed + 3, number).abs() + 0.1, 0.4]

    def loops(x: Tensor) -> Tensor:
        terms = []
        for centres, own, heat in zip(prototypes, clusters, temperatures, strict=True):
            for i in range(size):
                phi = [heat if isinstance(heat, float) else heat[k] for k in range(len(centres))]
                scores = [(x[i] @ centres[k] / phi[k]).exp() for k in range(len(centres))]
                terms.append(-(scores[own[i]] / sum(scores)).log())
        return sum(terms) / len(terms)

    def ours(x: Tensor) -> Tensor:
        heats = [heat if isinstance(heat, float) else heat.to(x.dtype) for heat in temperatures]
        return proto_nce(x, [p.to(x.dtype) for p in prototypes], clusters, temperatures=heats)

    agree(ours, loops, rows)


def test_concentration_equals_loops() -> None:
    rows, centres = vectors(1, 40, 4), vectors(2, 5, 4)
    clusters = torch.tensor([0, 0, 1, 1, 1, 3] + [4] * 34)  # cluster 2 is empty, cluster 3 has one sample
    told = {}
    for k in (0, 1, 4):
        inside = [i for i in range(40) if clusters[i] == k]
        told[k] = sum(norm(rows[i] - centres[k]) for i in inside) / (len(inside) * math.log(len(inside) + 10))
    largest = max(told.values())
    raw = torch.stack([told.get(k, largest) for k in range(5)])
    ordered = raw.sort().values
    low, high = ordered[0] + 0.4 * (ordered[1] - ordered[0]), ordered[4] - 0.4 * (ordered[4] - ordered[3])
    clipped = raw.clamp(low, high)
    found = concentration(rows, centres, clusters, temperature=0.2)
    torch.testing.assert_close(found.double(), 0.2 * clipped / clipped.mean(), rtol=1e-5, atol=1e-6)
    assert math.isclose(found.mean(), 0.2, rel_tol=1e-5)


def test_concentration_without_spread_is_even() -> None:
    centres = torch.eye(2)
    found = concentration(centres[[0, 0, 1, 1]], centres, torch.tensor([0, 0, 1, 1]), temperature=0.3)
    torch.testing.assert_close(found, torch.full((2,), 0.3))
    alone = concentration(centres, centres, torch.tensor([0, 1]), temperature=0.3)
    torch.testing.assert_close(alone, torch.full((2,), 0.3))


def test_what_is_refused() -> None:
    scores = torch.zeros(3, 2)
    with pytest.raises(SettingsError, match="epsilon=0"):
        sinkhorn_codes(scores, epsilon=0)
    with pytest.raises(DataError, match="3 codes for 2 crops"):
        swapped_prediction([scores, scores], [scores] * 3)
    with pytest.raises(DataError, match="1 sets of prototypes, 2 of assignments"):
        proto_nce(scores, [scores], [torch.zeros(3)] * 2, temperatures=[1.0])
