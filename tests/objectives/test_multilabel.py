"""Decoupled softmax and the soft top-k operator against plain loops, and the claim about their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import decoupled_softmax, one_vs_all, soft_top_k, soft_top_k_loss


def chosen(seed: int, size: int, labels: int, share: float) -> Tensor:
    return torch.rand(size, labels, generator=torch.Generator().manual_seed(seed)) < share


@few
@given(seeds, batches, widths, st.integers(2, 6), st.sampled_from([0.0, 0.4, 0.9]), st.booleans())
def test_decoupled_softmax_equals_loops(
    seed: int, size: int, width: int, number: int, share: float, sparse: bool
) -> None:
    right = chosen(seed, size, number, share)

    def loops(q: Tensor, w: Tensor) -> Tensor:
        terms = []
        for i in range(size):
            wrong = sum((q[i] @ w[n] / 0.3).exp() for n in range(number) if not right[i, n]) + q[i, 0] * 0
            costs = [
                ((q[i] @ w[p] / 0.3).exp() + wrong).log() - q[i] @ w[p] / 0.3 for p in range(number) if right[i, p]
            ]
            terms += [sum(costs) / len(costs)] if costs else []
        return sum(terms) / len(terms) if terms else q.sum() * 0

    given_as = right.float().to_sparse() if sparse else right
    rows = vectors(seed, size, width), vectors(seed + 1, number, width)
    agree(lambda q, w: decoupled_softmax(q, w, given_as, temperature=0.3), loops, *rows, single=1e-3)


def test_a_confident_label_is_pushed_down_by_the_softmax_and_not_by_the_decoupled_one() -> None:
    scores = torch.tensor([[4.0, 1.0, 0.0, 0.0]], requires_grad=True)  # labels 0 and 1 are right, 0 is sure
    right = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    plain = -(scores.log_softmax(dim=1) * right).sum() / 2
    (slope,) = torch.autograd.grad(plain, scores)
    assert slope[0, 0] > 0 > slope[0, 1]  # descent lowers the sure one
    queries = torch.ones(1, 1)
    labels = scores.detach().T.clone().requires_grad_()
    (slope,) = torch.autograd.grad(decoupled_softmax(queries, labels, right, temperature=1.0), labels)
    assert slope[0] < 0 and slope[1] < 0


def threshold(scores: Tensor, k: int, alpha: float) -> float:
    low, high = -60.0, 60.0
    for _ in range(200):
        middle = (low + high) / 2
        if sum(1 / (1 + math.exp(-alpha * (float(s) + middle))) for s in scores) < k:
            low = middle
        else:
            high = middle
    return low


@few
@given(seeds, batches, st.integers(2, 6), st.sampled_from([0.5, 2.0]))
def test_soft_top_k_sums_to_k_and_has_the_implicit_gradient(seed: int, size: int, number: int, alpha: float) -> None:
    scores, k = vectors(seed, size, number, unit=False), 1 + seed % (number - 1)
    shares = soft_top_k(scores, k=k, alpha=alpha)
    torch.testing.assert_close(shares.sum(dim=1), torch.full((size,), float(k), dtype=torch.float64))
    for row, found in zip(scores, shares, strict=True):
        torch.testing.assert_close(found, (alpha * (row + threshold(row, k, alpha))).sigmoid())
    assert torch.equal(shares.argsort(dim=1), scores.argsort(dim=1))
    assert torch.autograd.gradcheck(lambda s: soft_top_k(s, k=k, alpha=alpha, iterations=60), scores.requires_grad_())


def test_soft_top_k_becomes_top_k() -> None:
    scores = vectors(1, 4, 9, unit=False)
    expected = torch.zeros_like(scores).scatter(1, scores.topk(3, dim=1).indices, 1.0)
    torch.testing.assert_close(soft_top_k(scores, k=3, alpha=1e5), expected, rtol=1e-3, atol=1e-3)


def test_the_threshold_is_found_among_very_many_labels() -> None:
    shares = soft_top_k(torch.zeros(1, 300_000), k=2, alpha=2.0)
    torch.testing.assert_close(shares.sum(), torch.tensor(2.0), rtol=1e-3, atol=0)


@few
@given(seeds, batches, widths, st.integers(3, 6), st.sampled_from([0.0, 0.4]))
def test_soft_top_k_loss_equals_loops(seed: int, size: int, width: int, number: int, share: float) -> None:
    right, k = chosen(seed, size, number, share), 1 + seed % (number - 1)

    def loops(q: Tensor, w: Tensor) -> Tensor:
        terms = []
        for i in range(size):
            scores = torch.stack([q[i] @ w[j] / 0.5 for j in range(number)])
            t = threshold(scores.detach(), k, 2.0)
            slopes = (2 * (scores.detach() + t)).sigmoid()
            slopes = slopes * (1 - slopes)
            moved = t - (slopes * (scores - scores.detach())).sum() / slopes.sum()  # how the threshold follows
            costs = [(1 + (-2 * (scores[p] + moved)).exp()).log() for p in range(number) if right[i, p]]
            terms += [sum(costs) / len(costs)] if costs else []
        return sum(terms) / len(terms) if terms else q.sum() * 0

    rows = vectors(seed, size, width), vectors(seed + 1, number, width)
    agree(lambda q, w: soft_top_k_loss(q, w, right, temperature=0.5, k=k), loops, *rows, single=1e-3)


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"positives of shape \(2, 3\) for scores \(3, 3\)"):
        decoupled_softmax(torch.eye(3), torch.eye(3), torch.ones(2, 3), temperature=0.1)
    for k in (0, 3):
        with pytest.raises(SettingsError, match=f"k={k} of 3 labels"):
            soft_top_k(torch.zeros(1, 3), k=k)
    with pytest.raises(SettingsError, match="alpha=0"):
        soft_top_k(torch.zeros(1, 3), k=1, alpha=0)


@few
@given(seeds, batches, widths, st.integers(2, 6), st.sampled_from([0.0, 0.4, 0.9]), st.booleans())
def test_one_vs_all_equals_loops(seed: int, size: int, width: int, number: int, share: float, shifted: bool) -> None:
    right = chosen(seed, size, number, share)
    bias = torch.linspace(-1, 1, number, dtype=torch.float64) if shifted else None

    def loops(q: Tensor, w: Tensor) -> Tensor:
        terms = []
        for i in range(size):
            if not right[i].any():
                continue
            cost = q[i, 0] * 0
            for j in range(number):
                chance = (q[i] @ w[j] / 0.3 + (0 if bias is None else bias[j])).sigmoid()
                cost = cost - (chance if right[i, j] else 1 - chance).log()
            terms.append(cost)
        return sum(terms) / len(terms) if terms else q.sum() * 0

    rows = vectors(seed, size, width), vectors(seed + 1, number, width)
    agree(lambda q, w: one_vs_all(q, w, right, temperature=0.3, bias=bias), loops, *rows, single=1e-3)


def test_the_bias_of_one_vs_all_learns_and_has_one_number_a_label() -> None:
    bias = torch.zeros(3, requires_grad=True)
    right = torch.tensor([[1, 0, 0], [0, 0, 0]])
    one_vs_all(torch.zeros(2, 3), torch.eye(3), right, temperature=1.0, bias=bias).backward()
    assert bias.grad is not None
    torch.testing.assert_close(bias.grad, torch.tensor([-0.5, 0.5, 0.5]))  # of the row that has a label
    with pytest.raises(DataError, match="one number each"):
        one_vs_all(torch.eye(3), torch.eye(3), torch.eye(3), temperature=1.0, bias=torch.zeros(2))
