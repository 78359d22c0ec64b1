"""Triplets, pairs and proxies against plain loops and pytorch-metric-learning."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, classes, few, mean, norm, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import (
    margin,
    multi_similarity,
    proxy_anchor,
    triplet,
    triplet_batch_all,
    triplet_batch_hard,
    triplet_semi_hard,
)


def groups(labels: Tensor) -> list[tuple[list[int], list[int]]]:
    """For each row its positives and its negatives; a row without a label has none."""
    size = len(labels)
    found = []
    for i in range(size):
        others = [j for j in range(size) if j != i and labels[i] >= 0 and labels[j] >= 0]
        found.append(([j for j in others if labels[j] == labels[i]], [j for j in others if labels[j] != labels[i]]))
    return found


@few
@given(seeds, batches, widths)
def test_triplet_equals_loops(seed: int, size: int, width: int) -> None:
    rows = vectors(seed, 3, size, width)

    def loops(a: Tensor, p: Tensor, n: Tensor) -> Tensor:
        costs = [((a[i] - p[i]) ** 2).sum() - ((a[i] - n[i]) ** 2).sum() + 0.3 for i in range(size)]
        return sum(cost.relu() for cost in costs) / size

    agree(lambda a, p, n: triplet(a, p, n, margin=0.3), loops, *rows)


@few
@given(seeds, batches, st.integers(2, 5))
def test_semi_hard_triplets_equal_loops(seed: int, size: int, width: int) -> None:
    rows, labels = vectors(seed, size, width), classes(seed, size)

    def loops(x: Tensor) -> Tensor:
        costs = []
        for a, (positives, negatives) in enumerate(groups(labels)):
            for p in positives if negatives else []:
                near = ((x[a] - x[p]) ** 2).sum()
                far = [((x[a] - x[n]) ** 2).sum() for n in negatives]
                farther = [distance for distance in far if distance > near]
                costs.append((near - (min(farther) if farther else max(far)) + 0.4).relu())
        return mean(costs, x)

    agree(lambda x: triplet_semi_hard(x, labels, margin=0.4), loops, rows)


def test_a_negative_as_near_as_the_positive_is_not_semi_hard() -> None:
    rows, labels = torch.tensor([[0.0], [1.0], [-1.0], [2.0]]), torch.tensor([0, 0, 1, 2])
    assert float(triplet_semi_hard(rows, labels, margin=2.0)) == 0  # 1 against 4, not against 1


@few
@given(seeds, batches, st.integers(2, 5), st.sampled_from([0.3, None]))
def test_batch_hard_triplets_equal_loops(seed: int, size: int, width: int, gap: float | None) -> None:
    rows, labels = vectors(seed, size, width), classes(seed, size)

    def loops(x: Tensor) -> Tensor:
        costs = []
        for a, (positives, negatives) in enumerate(groups(labels)):
            if positives and negatives:
                cost = max(norm(x[a] - x[p]) for p in positives) - min(norm(x[a] - x[n]) for n in negatives)
                costs.append((1 + cost.exp()).log() if gap is None else (cost + gap).relu())
        return mean(costs, x)

    agree(lambda x: triplet_batch_hard(x, labels, margin=gap), loops, rows)


@few
@given(seeds, batches, widths)
def test_batch_all_triplets_equal_loops(seed: int, size: int, width: int) -> None:
    rows, labels = vectors(seed, size, width, unit=False), classes(seed, size)

    def loops(x: Tensor) -> Tensor:
        costs = [
            norm(x[a] - x[p]) - norm(x[a] - x[n]) + 0.3
            for a, (positives, negatives) in enumerate(groups(labels))
            for p in positives
            for n in negatives
        ]
        return mean([cost for cost in costs if cost > 0], x)

    agree(lambda x: triplet_batch_all(x, labels, margin=0.3), loops, rows)


@few
@given(seeds, batches, widths, st.booleans())
def test_margin_equals_loops(seed: int, size: int, width: int, learned: bool) -> None:
    rows, labels = vectors(seed, size, width), classes(seed, size)
    boundary = vectors(seed + 1, size, unit=False).abs() if learned else torch.tensor(0.9, dtype=torch.float64)

    def loops(x: Tensor, beta: Tensor) -> Tensor:
        costs = []
        for i, (positives, negatives) in enumerate(groups(labels)):
            b = beta[i] if learned else beta
            costs += [0.2 + norm(x[i] - x[j]) - b for j in positives] + [0.2 - norm(x[i] - x[j]) + b for j in negatives]
        return mean([cost for cost in costs if cost > 0], x)

    agree(lambda x, beta: margin(x, labels, beta=beta), loops, rows, boundary)


@few
@given(seeds, batches, st.integers(2, 5), st.sampled_from([None, 0.1, -0.3]))
def test_multi_similarity_equals_loops(seed: int, size: int, width: int, mining: float | None) -> None:
    rows, labels = vectors(seed, size, width), classes(seed, size)

    def loops(x: Tensor) -> Tensor:
        total = x.sum() * 0
        for i, (positives, negatives) in enumerate(groups(labels)):
            if mining is not None:
                weakest = min((x[i] @ x[p] for p in positives), default=float("inf"))
                strongest = max((x[i] @ x[n] for n in negatives), default=-float("inf"))
                positives = [p for p in positives if x[i] @ x[p] < strongest + mining]
                negatives = [n for n in negatives if x[i] @ x[n] > weakest - mining]
            total = total + torch.log(1 + sum((-3 * (x[i] @ x[p] - 0.4)).exp() for p in positives) + x[i, 0] * 0) / 3
            total = total + torch.log(1 + sum((7 * (x[i] @ x[n] - 0.4)).exp() for n in negatives) + x[i, 0] * 0) / 7
        return total / size

    agree(lambda x: multi_similarity(x, labels, alpha=3, beta=7, base=0.4, mining=mining), loops, rows)


@few
@given(seeds, batches, widths, st.integers(1, 4))
def test_proxy_anchor_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    rows, proxies, labels = vectors(seed, size, width), vectors(seed + 1, number, width), classes(seed, size, number)

    def loops(x: Tensor, p: Tensor) -> Tensor:
        pull, push = [], x.sum() * 0
        for c in range(number):
            own = [i for i in range(size) if labels[i] == c]
            rest = [i for i in range(size) if labels[i] >= 0 and labels[i] != c]
            if own:
                pull.append(torch.log(1 + sum((-8 * (x[i] @ p[c] - 0.1)).exp() for i in own)))
            push = push + torch.log(1 + sum((8 * (x[i] @ p[c] + 0.1)).exp() for i in rest) + p[c, 0] * 0) / number
        return mean(pull, x) + push

    agree(lambda x, p: proxy_anchor(x, labels, p, scale=8), loops, rows, proxies)


@pytest.mark.parametrize(
    "objective",
    [
        lambda x, labels: triplet_semi_hard(x, labels, margin=0.2),
        lambda x, labels: triplet_batch_hard(x, labels, margin=0.2),
        lambda x, labels: triplet_batch_all(x, labels, margin=0.2),
        margin,
        multi_similarity,
        lambda x, labels: proxy_anchor(x, labels, torch.eye(3)[:, :2]),
    ],
)
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [-1, -1, -1]], ids=["one class", "no positive", "no label"])
def test_batches_without_triplets_and_equal_rows_give_finite_gradients(objective, labels: list[int]) -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    value = objective(rows, torch.tensor(labels))
    (gradient,) = torch.autograd.grad(value, rows)
    assert value.isfinite() and gradient.isfinite().all()


def test_scores_far_from_the_boundary_do_not_overflow() -> None:
    rows = (torch.eye(2) * 100).requires_grad_()
    for value in (
        multi_similarity(rows, torch.tensor([0, 1])),
        proxy_anchor(rows, torch.tensor([1, 0]), rows.detach()),
    ):
        assert value.isfinite()


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match="3 embeddings, 2 labels"):
        triplet_batch_hard(torch.ones(3, 2), torch.zeros(2), margin=0.1)
    with pytest.raises(DataError, match=r"anchors \(3, 2\), positives \(2, 2\)"):
        triplet(torch.ones(3, 2), torch.ones(2, 2), torch.ones(3, 2), margin=0.1)
    with pytest.raises(SettingsError, match="alpha=0"):
        multi_similarity(torch.ones(2, 2), torch.zeros(2), alpha=0)


class TestPytorchMetricLearning:
    """Equality with an independent library."""

    rows = vectors(11, 24, 6).float()
    labels = classes(11, 24, 5, unknown=False)

    def test_triplets(self) -> None:
        from pytorch_metric_learning import distances, losses, miners, reducers

        everything = reducers.MeanReducer()
        squared = losses.TripletMarginLoss(margin=0.3, distance=distances.LpDistance(power=2), reducer=everything)
        rows = self.rows.chunk(3)
        expected = squared(self.rows, self.labels, torch.arange(24).chunk(3))
        torch.testing.assert_close(triplet(*rows, margin=0.3), expected)
        expected = losses.TripletMarginLoss(margin=0.1)(self.rows, self.labels)
        torch.testing.assert_close(triplet_batch_all(self.rows, self.labels, margin=0.1), expected)
        hardest = miners.BatchHardMiner()(self.rows, self.labels)
        expected = losses.TripletMarginLoss(margin=0.1, reducer=everything)(self.rows, self.labels, hardest)
        torch.testing.assert_close(triplet_batch_hard(self.rows, self.labels, margin=0.1), expected)

    def test_multi_similarity(self) -> None:
        from pytorch_metric_learning import losses, miners

        plain = losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)
        torch.testing.assert_close(multi_similarity(self.rows, self.labels, mining=None), plain(self.rows, self.labels))
        mined = miners.MultiSimilarityMiner(epsilon=0.1)(self.rows, self.labels)
        torch.testing.assert_close(multi_similarity(self.rows, self.labels), plain(self.rows, self.labels, mined))

    @pytest.mark.parametrize("beta", [0.001, 5.0], ids=["positives cost", "negatives cost"])
    def test_margin(self, beta: float) -> None:
        from pytorch_metric_learning import losses

        labels = torch.arange(24) % 4  # theirs repeats a pair for each of its triplets: equal shares need equal classes
        theirs = losses.MarginLoss(margin=0.0005, beta=beta)(self.rows, labels)
        torch.testing.assert_close(margin(self.rows, labels, margin=0.0005, beta=beta), theirs)

    def test_proxy_anchor(self) -> None:
        from pytorch_metric_learning import losses

        theirs = losses.ProxyAnchorLoss(num_classes=5, embedding_size=6, margin=0.1, alpha=32)
        proxies = torch.nn.functional.normalize(theirs.proxies.detach(), dim=1)
        ours = proxy_anchor(self.rows, self.labels, proxies)
        torch.testing.assert_close(ours, theirs(self.rows, self.labels).detach())
