from __future__ import annotations

import brute
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError, TrainingError
from unalike.objectives import score_sums, walk
from unalike.pairing import Dense, Graph, SameIndex, SameLabel, SharedText, TopHardest, Without

EXACT = 1e-12


pytestmark = pytest.mark.usefixtures("tile")


def pairings(kind: str, n: int, m: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    if kind == "index":
        return SameIndex()
    if kind == "labels":
        return SameLabel(
            torch.randint(-1, 3, (n,), generator=generator), torch.randint(-1, 3, (m,), generator=generator)
        )
    if kind == "one label":
        return SameLabel(torch.zeros(n, dtype=torch.int64), torch.zeros(m, dtype=torch.int64))
    if kind == "dense":
        weights = torch.rand(n, m, generator=generator)
        return Dense(weights * (weights > 0.6), torch.rand(n, m, generator=generator) * (weights < 0.5))
    if kind == "graph":
        weights = torch.rand(n, m, generator=generator)
        return Graph((weights * (weights > 0.6)).to_sparse())
    if kind == "without":
        pairs = torch.stack(
            [torch.randint(n, (4,), generator=generator), torch.randint(m, (4,), generator=generator)], 1
        )
        return Without(SameIndex(), pairs)
    if kind == "hardest":
        return TopHardest(2)
    codes = torch.randint(0, 3, (n,), generator=generator)
    return SharedText(codes, "positive" if kind == "shared" else "ignored")


KINDS = ["index", "labels", "one label", "dense", "graph", "without", "hardest", "shared", "repeats ignored"]
SQUARE = {"shared", "repeats ignored"}


def mixed(sums, weights) -> torch.Tensor:
    """A loss that uses everything, with different slopes for every row, and leaves out what is infinite."""
    total = torch.zeros((), dtype=torch.float64)
    for values, weight in zip((sums.negative, sums.positive, sums.mean), weights, strict=True):
        total = total + (torch.where(torch.isfinite(values), values, 0.0) * weight[: len(values)]).sum()
    return total


def reference(q, k, plan, temperature, weights):
    positive, negative = plan.whole()
    total = torch.zeros((), dtype=torch.float64)
    rows = brute.row_sums(q, k, positive, negative, temperature)
    for i, (minus, plus, mean, _) in enumerate(rows):
        for value, weight in zip((minus, plus, mean), weights, strict=True):
            if value is not None:
                total = total + value * weight[i]
    return total, rows


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 8),
    extra=st.integers(0, 4),
    d=st.integers(1, 4),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.05, 0.5, 3.0, "row", "learned"]),
    columns=st.booleans(),
)
def test_equals_double_loops(n, extra, d, kind, seed, temperature, columns):
    m = n if kind in SQUARE else n + extra
    columns = columns and temperature != "row" and kind != "hardest"
    q, k = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(m, d, seed + 1).requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    if temperature == "row":
        t = (torch.rand(n, generator=generator, dtype=torch.float64) + 0.1).requires_grad_()
    else:
        t = torch.tensor(0.3 if temperature == "learned" else temperature, dtype=torch.float64, requires_grad=True)
    pairing = pairings(kind, n, m, seed)
    weights = torch.rand(3, n + m, generator=generator, dtype=torch.float64)
    given_t = t if isinstance(temperature, str) else temperature
    sums = score_sums(q, k, temperature=given_t, pairing=pairing, columns=columns)
    value = mixed(sums, weights)
    plan = pairing.plan(q, k)
    expected, rows = reference(q, k, plan, t.expand(n), weights)
    for i, (minus, plus, mean, weight) in enumerate(rows):
        for found, right in ((sums.negative[i], minus), (sums.positive[i], plus)):
            assert found == -torch.inf if right is None else abs(float((found - right).detach())) < 1e-6
        assert abs(float(sums.mean[i].detach()) - (0.0 if mean is None else float(mean.detach()))) < 1e-6
        assert abs(float(sums.weight[i]) - weight) < 1e-6
    if columns:
        assert sums.columns is not None
        value = value + mixed(sums.columns, weights.flip(1))
        positive, negative = plan.whole()
        flipped = [
            (minus, plus, mean) for minus, plus, mean, _ in brute.row_sums(k, q, positive.T, negative.T, t.expand(m))
        ]
        for j, found in enumerate(flipped):
            for part, weight in zip(found, weights.flip(1), strict=True):
                if part is not None:
                    expected = expected + part * weight[j]
    assert brute.off(value, expected) < 1e-7
    inputs = (q, k, t) if isinstance(temperature, str) else (q, k)
    expected = expected + 0.0 * (q.sum() + k.sum() + t.sum())
    value = value + 0.0 * (q.sum() + k.sum() + (t.sum() if isinstance(temperature, str) else 0.0))
    for found, right in zip(brute.gradients(value, *inputs), brute.gradients(expected, *inputs), strict=True):
        assert brute.off(found, right) < 1e-6 or float((found - right).abs().max()) < 1e-7


@settings(max_examples=25, deadline=None)
@given(
    half=st.integers(1, 5),
    d=st.integers(1, 4),
    kind=st.sampled_from(["views", "three views", "labels", "graph", "row temperature", "dense"]),
    seed=st.integers(0, 1000),
)
def test_a_set_with_itself_equals_double_loops(half, d, kind, seed):
    n = 3 * half if kind == "three views" else 2 * half
    z = brute.vectors(n, d, seed).requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    t = torch.full((n,) if kind == "row temperature" else (), 0.4, dtype=torch.float64, requires_grad=True)
    if kind == "graph":
        weights = torch.rand(n, n, generator=generator)
        weights = (weights + weights.T) * ((weights + weights.T) > 1.2)
        pairing = Graph(weights.to_sparse(), ignore_self=True)
    elif kind == "labels":
        pairing = SameLabel(torch.randint(-1, 2, (n,), generator=generator))
    elif kind == "dense":
        pairing = Without(Dense((torch.rand(n, n, generator=generator) > 0.7).float()), "self")
    else:
        pairing = SameIndex(views=3 if kind == "three views" else 2)
    weights = torch.rand(3, n, generator=generator, dtype=torch.float64)
    sums = score_sums(z, temperature=t, pairing=pairing)
    expected, _ = reference(z, z, pairing.plan(z, z), t.expand(n), weights)
    zero = 0.0 * (z.sum() + t.sum())
    value, expected = mixed(sums, weights) + zero, expected + zero
    assert brute.off(value, expected) < 1e-7
    for found, right in zip(brute.gradients(value, z, t), brute.gradients(expected, z, t), strict=True):
        assert brute.off(found, right) < 1e-6 or float((found - right).abs().max()) < 1e-7


@pytest.mark.parametrize("temperature", [1e-3, 1e-2, 1e2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_temperatures(temperature, dtype):
    n, d = 7, 5
    q = brute.vectors(n, d, 0)
    q, k = q.requires_grad_(), brute.vectors(n, d, 1, near=q.detach()).requires_grad_()
    codes = torch.tensor([0, 0, 1, 1, 2, 3, 4])
    for pairing in (SameIndex(), SameLabel(codes, codes)):
        weights = torch.rand(3, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        a, b = (x.detach().to(dtype).requires_grad_() for x in (q, k))
        sums = score_sums(a, b, temperature=temperature, pairing=pairing, columns=True)
        value = mixed(sums, weights) + mixed(sums.columns, weights)
        expected, _ = reference(a.double(), b.double(), pairing.plan(a, b), [temperature] * n, weights)
        plan = pairing.plan(b, a)
        expected = expected + reference(b.double(), a.double(), plan, [temperature] * n, weights)[0]
        tolerance = 1e-10 if dtype == torch.float64 else 5e-5 if temperature < 5e-3 else 5e-6
        assert brute.off(value, expected) < tolerance
        for found, right in zip(brute.gradients(value, a, b), brute.gradients(expected, a, b), strict=True):
            assert brute.off(found, right) < tolerance


def test_zero_vectors_and_repeated_rows():
    q = torch.zeros(4, 3, requires_grad=True)
    k = torch.ones(4, 3, requires_grad=True)
    sums = score_sums(q, k, temperature=0.1)
    assert torch.allclose(sums.negative, torch.full((4,), 3.0, dtype=torch.float64).log())
    sums.negative.sum().backward()
    assert torch.isfinite(q.grad).all() and torch.equal(k.grad, torch.zeros(4, 3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_shows_in_the_sums(bad):
    q, k = torch.ones(5, 3), torch.ones(5, 3)
    q[2, 1] = bad
    sums = score_sums(q, k, temperature=0.1)
    assert not torch.isfinite(sums.negative[2]) and torch.isfinite(sums.negative[[0, 1, 3, 4]]).all()


def test_huge_vectors():
    q = (brute.vectors(6, 4, 0) * 1e4).requires_grad_()
    k = (brute.vectors(6, 4, 1) * 1e4).requires_grad_()
    scores = (q @ k.T).masked_fill(torch.eye(6, dtype=torch.bool), -torch.inf)
    a, b = q.detach().float().requires_grad_(), k.detach().float().requires_grad_()
    sums = score_sums(a, b, temperature=1.0)
    assert brute.off(sums.negative, scores.logsumexp(1)) < 1e-5
    sums.negative.sum().backward()
    assert torch.isfinite(a.grad).all() and torch.isfinite(b.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_summed_in_float32(dtype):
    q, k = brute.vectors(9, 8, 0).to(dtype), brute.vectors(9, 8, 1).to(dtype)
    a, b = q.clone().requires_grad_(), k.clone().requires_grad_()
    sums = score_sums(a, b, temperature=0.05)
    exact = score_sums(q.double(), k.double(), temperature=0.05)
    assert brute.off(sums.negative, exact.negative) < 1e-6
    sums.negative.sum().backward()
    assert a.grad.dtype == b.grad.dtype == dtype


def test_autocast_changes_nothing():
    q, k = brute.vectors(9, 8, 0).float(), brute.vectors(9, 8, 1).float()
    found = []
    for enabled in (False, True):
        a = q.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = score_sums(a, k, temperature=0.05).negative.sum()
        loss.backward()
        found.append((loss, a.grad))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_tiny_and_huge_loss_scales_keep_the_digits():
    q, k = brute.vectors(9, 8, 0).float(), brute.vectors(9, 8, 1).float()
    grads = []
    for scale in (1e-30, 1.0, 1e30):
        a = q.clone().requires_grad_()
        (score_sums(a, k, temperature=0.05).negative.sum() * scale).backward()
        grads.append(a.grad.double() / scale)
    assert brute.off(grads[0], grads[1]) < 1e-6 and brute.off(grads[2], grads[1]) < 1e-6


def test_a_second_derivative_is_refused():
    q = brute.vectors(4, 3, 0).requires_grad_()
    loss = score_sums(q, brute.vectors(4, 3, 1), temperature=0.5).negative.sum()
    (slope,) = torch.autograd.grad(loss, q, create_graph=True)
    with pytest.raises(TrainingError, match="second derivative"):
        slope.sum().backward()


def test_only_what_is_wanted_gets_a_gradient():
    q, k = brute.vectors(5, 3, 0), brute.vectors(5, 3, 1)
    for wanted in ((True, False), (False, True)):
        a, b = q.clone().requires_grad_(wanted[0]), k.clone().requires_grad_(wanted[1])
        score_sums(a, b, temperature=0.5).negative.sum().backward()
        assert (a.grad is not None, b.grad is not None) == wanted
    assert not score_sums(q, k, temperature=0.5).negative.requires_grad


def test_strides_do_not_matter():
    q, k = brute.vectors(6, 5, 0), brute.vectors(6, 5, 1)
    plain = score_sums(q, k, temperature=0.5).negative
    assert torch.equal(score_sums(q.T.contiguous().T, k.T.contiguous().T, temperature=0.5).negative, plain)


def test_refusals_say_what_is_expected():
    q = torch.ones(3, 2)
    with pytest.raises(DataError, match="equal D"):
        score_sums(q, torch.ones(3, 4), temperature=1.0)
    with pytest.raises(DataError, match="at least one"):
        score_sums(q[:0], q, temperature=1.0)
    with pytest.raises(DataError, match="floating"):
        score_sums(q.long(), q.long(), temperature=1.0)
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="above zero"):
            score_sums(q, q, temperature=bad)
    with pytest.raises(SettingsError, match="one for each query"):
        score_sums(q, q, temperature=torch.ones(2))
    with pytest.raises(SettingsError, match="one temperature"):
        score_sums(q, q, temperature=torch.ones(3), columns=True)


def test_edge_scores_are_exact_to_float64():
    q, k = brute.vectors(50, 40, 0).float(), brute.vectors(50, 40, 1).float()
    edges = SameIndex().plan(q, k).apart
    exact = (q.double() * k.double()).sum(1) / 0.01
    assert brute.off(walk.edge_scores(q, k, edges, 100.0), exact) < EXACT
