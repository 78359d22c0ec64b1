"""Pairs that are the same: found without a matrix, ignored as negatives, kept as positives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike import objectives
from unalike.errors import DataError
from unalike.pairing import (
    AllNegatives,
    Dense,
    ExtraNegatives,
    PairsOnly,
    Queue,
    SameIndex,
    SameLabel,
    SharedText,
    Sparing,
    TopHardest,
    same,
)


def codes_of(n: int, k: int, kinds: int, seed: int) -> torch.Tensor:
    drawn = torch.randint(-1, kinds, (n, k), generator=torch.Generator().manual_seed(seed))
    return torch.where(drawn < 0, -1, drawn + kinds * torch.arange(k) * (seed % 2))  # every second seed across columns


def pairings(kind: str, n: int, m: int):
    generator = torch.Generator().manual_seed(n)
    if kind == "views":
        return SameIndex(views=2)
    if kind == "labels":
        return SameLabel(torch.randint(-1, 3, (n,), generator=generator))
    if kind == "labels of two":
        drawn = (torch.randint(-1, 3, (size,), generator=generator) for size in (n, m))
        return SameLabel(*drawn)
    if kind == "shared":
        return SharedText(torch.randint(0, 3, (n,), generator=generator))
    if kind == "dense":
        weights = torch.rand(n, m, generator=generator)
        return Dense(weights * (weights > 0.6))
    if kind == "extra":
        return ExtraNegatives(SameIndex(), m - n)
    return {"index": SameIndex(), "pairs": PairsOnly(), "all": AllNegatives()}[kind]


KINDS = ["index", "views", "labels", "labels of two", "shared", "dense", "pairs", "all", "extra"]


@pytest.mark.parametrize("few", [64, 1, 0])
@pytest.mark.parametrize("kind", KINDS)
@given(
    n=st.integers(1, 5), more=st.integers(0, 3), k=st.integers(1, 3), kinds=st.integers(1, 6), seed=st.integers(0, 99)
)
@settings(max_examples=15, deadline=None)
def test_negatives_that_share_a_code_are_ignored_and_nothing_else_changes(few, kind, n, more, k, kinds, seed):
    n = 2 * n if kind == "views" else n
    m = n + more if kind in ("labels of two", "dense", "all", "extra") else n
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(same, "FEW", few)
        rows = codes_of(n, k, kinds, seed)
        columns = rows if m == n and kind != "labels of two" else codes_of(m, max(1, k - 1), kinds, seed + 2)
        q, x = torch.randn(n, 3), torch.randn(m, 3)
        before = pairings(kind, n, m).plan(q, x).whole()
        plan = Sparing(pairings(kind, n, m), rows, None if columns is rows else columns).plan(q, x)
    after = plan.whole()
    assert torch.equal(after.positive, before.positive)
    for i in range(n):
        for j in range(m):
            shared = bool(set(rows[i].tolist()) & set(columns[j].tolist()) - {-1})
            expected = 0.0 if shared and before.positive[i, j] <= 0 else before.negative[i, j]
            assert after.negative[i, j] == expected


@pytest.mark.parametrize("few", [64, 1, 0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", ["nt_xent", "info_nce", "clip"])
def test_the_losses_are_those_of_double_loops(loss, dtype, few, monkeypatch):
    monkeypatch.setattr(same, "FEW", few)
    generator = torch.Generator().manual_seed(3)
    n, tau = 37, 0.3
    first, second = (
        torch.nn.functional.normalize(torch.randn(n, 8, generator=generator, dtype=torch.float64), dim=1).to(dtype)
        for _ in range(2)
    )
    first.requires_grad_(), second.requires_grad_()
    codes = torch.stack([torch.randint(0, 9, (n,), generator=generator), 100 + torch.arange(n) // 3], 1)
    if loss == "nt_xent":
        found = objectives.nt_xent(first, second, temperature=tau, same=codes)
        sides = [(torch.cat([first, second]),) * 2]
        table, partner, itself = codes.repeat(2, 1), [*range(n, 2 * n), *range(n)], range(2 * n)
    else:
        symmetric = loss == "clip"
        found = (
            objectives.clip(first, second, logit_scale=1 / tau, same=codes)
            if symmetric
            else objectives.info_nce(first, second, temperature=tau, same=codes)
        )
        sides = [(first, second), (second, first)][: 2 if symmetric else 1]
        table, partner, itself = codes, range(n), [None] * n
    terms = []
    for queries, keys in sides:
        for i in range(len(queries)):
            scores = keys.double() @ queries[i].double() / tau
            kept = [
                j
                for j in range(len(keys))
                if j == partner[i] or (j != itself[i] and not set(table[i].tolist()) & set(table[j].tolist()))
            ]
            terms.append(scores[kept].logsumexp(0) - scores[partner[i]])
    expected = torch.stack(terms).mean()
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    assert torch.allclose(found.double(), expected, rtol=tolerance, atol=tolerance)
    ours, theirs = torch.autograd.grad(found, (first, second)), torch.autograd.grad(expected, (first, second))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=50 * tolerance)


def test_where_nothing_is_the_same_the_plan_is_the_pairings_own():
    plan = SameIndex().plan(torch.ones(5, 1), torch.ones(5, 1))
    assert Sparing(SameIndex(), torch.arange(5)).plan(torch.ones(5, 1), torch.ones(5, 1)) is plan


def test_a_hard_negative_that_is_anothers_answer_counts_for_its_own_row_alone():
    answers, hard = torch.tensor([[1], [2], [3]]), torch.tensor([2, 9, -1])
    q = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    extra = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    for symmetric in (False, True):
        found = objectives.info_nce(
            q, q, temperature=1.0, extra_negatives=extra, same=answers, extra_same=hard, symmetric=symmetric
        )
        rows = []
        for i in range(3):
            left = torch.cat([q, extra[[j for j in range(3) if hard[j] != answers[i]]]])
            rows.append((left @ q[i]).logsumexp(0) - q[i] @ q[i])
        expected = torch.stack(rows).mean()
        if symmetric:
            expected = (expected + ((q @ q.T).logsumexp(1) - (q * q).sum(1)).mean()) / 2
        assert torch.allclose(found, expected, atol=1e-6)


def test_hard_negatives_are_chosen_among_what_is_not_the_same():
    z = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), dim=1)
    plan = TopHardest(1, Sparing(SameIndex(), torch.tensor([4, 4, 5]))).plan(z, z)
    assert plan.whole().negative.tolist() == [[0, 0, 1], [0, 0, 1], [0, 1, 0]]
    with pytest.raises(DataError, match="chosen already"):
        Sparing(TopHardest(1), torch.tensor([4, 4, 5])).plan(z, z)


def test_codes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="codes of shape"):
        objectives.nt_xent(torch.eye(3), torch.eye(3), temperature=1.0, same=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match="whole numbers"):
        objectives.info_nce(torch.eye(3), torch.eye(3), temperature=1.0, same=torch.zeros(3))
    with pytest.raises(DataError, match="those of the keys too"):
        objectives.info_nce(torch.eye(2, 3), torch.eye(3), temperature=1.0, same=torch.zeros(2, dtype=torch.int64))


def test_a_queue_leaves_out_a_samples_own_earlier_keys():
    queue = Queue(4, 1, codes=2)
    queue.push(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[1, 10], [2, 20], [3, -1]]))
    queue.push(torch.tensor([[4.0]]))
    assert queue.unlike(torch.tensor([[5, 20], [3, -1]])).tolist() == [True, False, False, True]
    assert queue.unlike(None).all()
    assert "codes" not in Queue(4, 1).state_dict()
    assert Queue(4, 1).unlike(torch.zeros(1, 2)).tolist() == []


def test_no_matrix_of_pairs_is_made():
    """However many rows hold one thing: numbers a row, and no more than a few pairs a row."""
    n = 20_000
    codes = torch.stack([torch.arange(n) // 3, torch.where(torch.arange(n) < n // 2, -7, -8)], 1)
    codes[:, 1] += n + 8
    plan = Sparing(SameIndex(), codes).plan(torch.ones(n, 1), torch.ones(n, 1))
    assert plan.weights is None
    assert plan.apart.rows.numel() <= 3 * n
    tile = plan.tile(slice(0, 4), slice(n - 2, n))
    assert tile.negative.all()
    assert plan.tile(slice(0, 4), slice(5000, 5002)).negative.sum() == 0
