from __future__ import annotations

import brute
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, logsigmoid

from unalike.errors import DataError, SettingsError
from unalike.objectives import (
    clip,
    decoupled,
    decoupled_weighted,
    info_nce,
    nt_xent,
    rowwise,
    sigmoid,
    soft_target,
    sup_con,
    use_backend,
)
from unalike.pairing import Dense, SameIndex, SameLabel, SharedText, Soft

pytestmark = pytest.mark.usefixtures("tile")


def agree(value, expected, *inputs, tolerance=1e-7):
    assert brute.off(value, expected) < tolerance
    for found, right in zip(brute.gradients(value, *inputs), brute.gradients(expected, *inputs), strict=True):
        assert brute.off(found, right) < tolerance or float((found - right).abs().max()) < 1e-9


shapes = {"n": st.integers(2, 6), "extra": st.integers(0, 3), "d": st.integers(2, 4), "seed": st.integers(0, 999)}


@settings(max_examples=25, deadline=None)
@given(**shapes, queue=st.integers(0, 4), symmetric=st.booleans())
def test_info_nce(n, extra, d, seed, queue, symmetric):
    q, k = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(n + extra, d, seed + 1).requires_grad_()
    more = brute.vectors(queue, d, seed + 2).requires_grad_() if queue else None
    loss = info_nce(q, k, temperature=0.3, symmetric=symmetric, extra_negatives=more)
    columns = torch.cat([k, more]) if more is not None else k
    positive = torch.eye(n, len(columns))
    expected = brute.coupled(q, columns, positive, 1 - positive, [0.3] * n)
    if symmetric:
        paired = torch.eye(n + extra, n)
        expected = (expected + brute.coupled(k, q, paired, 1 - paired, [0.3] * (n + extra))) / 2
    agree(loss, expected, q, k, *([] if more is None else [more]))


@settings(max_examples=20, deadline=None)
@given(**shapes)
def test_info_nce_with_a_temperature_a_row(n, extra, d, seed):
    q, k = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(n + extra, d, seed + 1).requires_grad_()
    t = torch.linspace(0.1, 1.0, n, dtype=torch.float64).requires_grad_()
    positive = torch.eye(n, n + extra)
    expected = brute.coupled(q, k, positive, 1 - positive, list(t))
    agree(info_nce(q, k, temperature=t), expected, q, k, t)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 5), d=st.integers(2, 4), seed=st.integers(0, 999))
def test_nt_xent(n, d, seed):
    a, b = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(n, d, seed + 1).requires_grad_()
    z = torch.cat([a, b])
    positive = torch.eye(2 * n).roll(n, 0)
    negative = 1 - positive - torch.eye(2 * n)
    expected = brute.coupled(z, z, positive, negative, [0.2] * 2 * n)
    agree(nt_xent(a, b, temperature=0.2), expected, a, b)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 9), d=st.integers(2, 4), seed=st.integers(0, 999), inside=st.booleans(), one=st.booleans())
def test_sup_con(n, d, seed, inside, one):
    z = brute.vectors(n, d, seed).requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(n, dtype=torch.int64) if one else torch.randint(-1, 3, (n,), generator=generator)
    t = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    loss = sup_con(z, labels, temperature=t, inside=inside)
    alike = (labels[:, None] == labels) & (labels[:, None] >= 0)
    positive = alike.float() * (1 - torch.eye(n))
    if not positive.any():
        assert loss == 0 and not brute.gradients(loss, z)[0].any()
        return
    negative = (~alike).float() * (1 - torch.eye(n))
    agree(loss, brute.coupled(z, z, positive, negative, [t] * n, inside=inside), z, t)


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 6),
    d=st.integers(2, 4),
    seed=st.integers(0, 999),
    repeats=st.sampled_from(["none", "positive", "ignored"]),
)
def test_clip(n, d, seed, repeats):
    a, b = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(n, d, seed + 1).requires_grad_()
    scale = torch.tensor(7.0, dtype=torch.float64, requires_grad=True)
    codes = torch.arange(n) // 2 if repeats != "none" else torch.arange(n)
    pairing = None if repeats == "none" else SharedText(codes, repeats)
    alike = (codes[:, None] == codes).float()
    positive = torch.eye(n) if repeats == "ignored" else alike
    t = [1 / scale] * n
    expected = (brute.coupled(a, b, positive, 1 - alike, t) + brute.coupled(b, a, positive.T, 1 - alike, t)) / 2
    loss = clip(a, b, logit_scale=scale, pairing=pairing)
    if n == 1:
        assert loss == 0
        return
    agree(loss, expected + 0 * scale, a, b, scale)


@settings(max_examples=25, deadline=None)
@given(**shapes, kind=st.sampled_from(["index", "labels", "dense"]))
def test_sigmoid(n, extra, d, seed, kind):
    m = n + extra
    q, k = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(m, d, seed + 1).requires_grad_()
    scale = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.randint(0, 2, (n,), generator=generator), torch.randint(0, 2, (m,), generator=generator)
    pairing = {
        "index": SameIndex(),
        "labels": SameLabel(rows, columns),
        "dense": Dense((torch.rand(n, m, generator=generator) > 0.5).float()),
    }[kind]
    positive, negative = pairing.plan(q, k).whole()
    expected = torch.zeros((), dtype=torch.float64)
    for i in range(n):
        for j in range(m):
            score = scale * (q[i] * k[j]).sum() + bias
            expected = expected - float(positive[i, j]) * logsigmoid(score) / n
            expected = expected - float(negative[i, j]) * logsigmoid(-score) / n
    agree(sigmoid(q, k, logit_scale=scale, bias=bias, pairing=pairing), expected, q, k, scale, bias)


@settings(max_examples=20, deadline=None)
@given(**shapes, symmetric=st.booleans())
def test_soft_target(n, extra, d, seed, symmetric):
    m = n + extra
    q, k = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(m, d, seed + 1).requires_grad_()
    targets = torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    loss = soft_target(q, k, targets, temperature=0.4, symmetric=symmetric)
    expected = torch.zeros((), dtype=torch.float64)
    for a, b, weights in ((q, k, targets), (k, q, targets.T))[: 1 + symmetric]:
        for i in range(len(a)):
            scores = torch.stack([(a[i] * b[j]).sum() / 0.4 for j in range(len(b))])
            share = weights[i] / weights[i].sum()
            expected = expected + (scores.logsumexp(0) - (share * scores).sum()) / len(a) / (1 + symmetric)
    agree(loss, expected, q, k, tolerance=1e-6)


def test_soft_target_of_a_teacher_is_the_cross_entropy_of_two_softmaxes():
    q, k = brute.vectors(5, 3, 0).requires_grad_(), brute.vectors(7, 3, 1).requires_grad_()
    teacher_q, teacher_k = brute.vectors(5, 6, 2), brute.vectors(7, 6, 3)
    loss = soft_target(q, k, Soft(teacher_q, teacher_k, temperature=0.2), temperature=0.5)
    targets = torch.softmax(teacher_q @ teacher_k.T / 0.2, 1)
    agree(loss, cross_entropy(q @ k.T / 0.5, targets), q, k, tolerance=2e-6)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 5), d=st.integers(2, 4), seed=st.integers(0, 999))
def test_decoupled(n, d, seed):
    a, b = brute.vectors(n, d, seed).requires_grad_(), brute.vectors(n, d, seed + 1).requires_grad_()
    z = torch.cat([a, b])
    positive = torch.eye(2 * n).roll(n, 0)
    rows = brute.row_sums(z, z, positive, 1 - positive - torch.eye(2 * n), [0.1] * 2 * n)
    agree(decoupled(a, b, temperature=0.1), torch.stack([minus - mean for minus, _, mean, _ in rows]).mean(), a, b)
    cosines = torch.stack([(a[i] * b[i]).sum() for i in range(n)])
    weights = 2 - (cosines / 0.5).exp() / (cosines / 0.5).exp().mean()
    expected = torch.stack([minus - weights[i % n] * mean for i, (minus, _, mean, _) in enumerate(rows)]).mean()
    agree(decoupled_weighted(a, b, temperature=0.1), expected, a, b)


def test_the_gradient_of_info_nce_is_q_times_that_of_decoupled():
    """The identity of Yeh et al., proposition 1: a coupling factor for each row, common to all of its terms."""
    a, b = brute.vectors(6, 4, 0), brute.vectors(6, 4, 1)
    z = torch.cat([a, b])
    positive = torch.eye(12).roll(6, 0)
    negative = 1 - positive - torch.eye(12)
    for i in range(12):
        q = z[i : i + 1].clone().requires_grad_()
        (minus, plus, mean, _) = brute.row_sums(q, z, positive[i : i + 1], negative[i : i + 1], [0.1])[0]
        share = torch.sigmoid(minus - plus).detach()
        coupled_slope = brute.gradients(
            info_nce(q, z, temperature=0.1, pairing=Dense(positive[i : i + 1], negative[i : i + 1])), q
        )[0]
        assert brute.off(coupled_slope, share * brute.gradients(minus - mean, q)[0]) < 1e-7


def test_exact_where_the_loss_is_nearly_zero():
    """Where float32 autograd of the plain form is wrong in the first digit."""
    first = brute.vectors(300, 64, 0)
    second = torch.nn.functional.normalize(first + 0.05 * brute.vectors(300, 64, 1), dim=1)
    a, b = first.float(), second.float()
    for loss in (
        lambda x, y: clip(x, y, logit_scale=100.0),
        lambda x, y: nt_xent(x, y, temperature=0.01),
        lambda x, y: info_nce(x, y, temperature=0.01),
        lambda x, y: sup_con(torch.cat([x, y]), torch.arange(300).repeat(2), temperature=0.01),
    ):
        narrow = [a.clone().requires_grad_(), b.clone().requires_grad_()]
        wide = [a.double().requires_grad_(), b.double().requires_grad_()]
        value, exact = loss(*narrow), loss(*wide)
        assert float(exact.detach()) < 1e-6
        assert brute.off(value, exact) < 5e-6
        for found, right in zip(brute.gradients(value, *narrow), brute.gradients(exact, *wide), strict=True):
            assert brute.off(found, right) < 5e-6


@pytest.mark.parametrize("name", ["auto", "portable"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_a_row_far_below_the_others_keeps_its_terms(name, symmetric):
    """No single shift serves scores near 90 and near -90: float32 has no exp(-130)."""
    q = torch.tensor([[9.0, 0.0], [-9.0, 0.0], [8.9, 1.0]])
    k = torch.tensor([[10.0, 0.0], [10.0, 0.1], [10.0, -0.1]])
    wide = [x.double().requires_grad_() for x in (q, k)]
    scores, target = wide[0] @ wide[1].T, torch.arange(3)
    exact = cross_entropy(scores, target)
    if symmetric:
        exact = (exact + cross_entropy(scores.T, target)) / 2
    narrow = [x.requires_grad_() for x in (q, k)]
    with use_backend(name):
        loss = info_nce(*narrow, temperature=1.0, symmetric=symmetric)
    assert brute.off(loss, exact) < 1e-5
    for found, right in zip(brute.gradients(loss, *narrow), brute.gradients(exact, *wide), strict=True):
        assert brute.off(found, right) < 1e-5


def test_rowwise_equals_the_whole_matrix():
    q, k = brute.vectors(7, 4, 0).requires_grad_(), brute.vectors(9, 4, 1).requires_grad_()
    t = torch.linspace(0.2, 1, 7, dtype=torch.float64).requires_grad_()

    def loss(scores, rows, temperature):
        scores = scores / temperature[rows, None]
        return (torch.softmax(scores, 1).detach() * scores).sum(1) + scores.sort(1).values[:, -2]

    expected = (loss(q @ k.T, slice(0, 7), t) * torch.arange(7)).sum()
    for strip in (1, 3, 7, 20, None):
        value = (rowwise(loss, q, k, t, strip=strip) * torch.arange(7)).sum()
        agree(value, expected, q, k, t)
    with pytest.raises(DataError, match="one number a row"):
        rowwise(lambda scores, rows: scores, q, k)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_makes_the_loss_so(bad):
    """A training loop sees it in the loss, and no loss hides it."""
    a, b = brute.vectors(5, 3, 0).float(), brute.vectors(5, 3, 1).float()
    a[1, 2] = bad
    labels = torch.tensor([0, 0, 1, 1, 2])
    for loss in (
        info_nce(a.requires_grad_(), b, temperature=0.1),
        clip(a, b, logit_scale=10.0),
        nt_xent(a, b, temperature=0.1),
        sup_con(a, labels, temperature=0.1),
        decoupled(a, b, temperature=0.1),
        sigmoid(a, b, logit_scale=10.0, bias=-10.0),
        soft_target(a, b, torch.eye(5), temperature=0.1),
    ):
        assert not torch.isfinite(loss)


def test_refusals():
    z = torch.ones(3, 2)
    with pytest.raises(DataError, match="same shape"):
        nt_xent(z, z[:2], temperature=0.1)
    with pytest.raises(DataError, match="no partner"):
        info_nce(z, z[:2], temperature=0.1)
    with pytest.raises(DataError, match="labels"):
        sup_con(z, torch.zeros(2), temperature=0.1)
    with pytest.raises(DataError, match="no negatives"):
        decoupled(z[:1], z[:1], temperature=0.1)
    for scale in (0.0, -1.0):
        with pytest.raises(SettingsError):
            clip(z, z, logit_scale=scale)
        with pytest.raises(SettingsError):
            sigmoid(z, z, logit_scale=scale, bias=0.0)
