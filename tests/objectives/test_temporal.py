"""Losses over steps against plain loops in float64."""

from __future__ import annotations

import math

import pytest
import torch

from unalike.errors import DataError, SettingsError
from unalike.objectives import mmd, neighbouring_windows, ts2vec


def told_apart(entries, partner, anchors):
    """Mean cross-entropy of each anchor's partner among all entries but itself."""
    losses = []
    for i in anchors:
        scores = {j: float(entries[i] @ entries[j]) for j in entries if j != i}
        losses.append(math.log(sum(math.exp(s) for s in scores.values())) - scores[partner(i)])
    return losses


def halved(z, present):
    found = []
    for b in range(len(z)):
        row = []
        for t in range(len(z[b]) // 2):
            there = [z[b][2 * t + k] for k in (0, 1) if present[b][2 * t + k]]
            row.append(torch.stack(there).amax(0) if there else torch.zeros_like(z[b][0]))
        found.append(row)
    return found


def loops(first, second, present, instance):
    """TS2Vec's loss as in its equations, with moments that are missing left out of every sum."""
    total, level = 0.0, 0
    while True:
        size, steps = len(first), len(first[0])
        by_moment, by_series = [], []
        for t in range(steps):
            entries = {(v, b): z[b][t] for v, z in enumerate((first, second)) for b in range(size) if present[b][t]}
            by_moment += told_apart(entries, lambda i: (1 - i[0], i[1]), entries)
        for b in range(size):
            entries = {(v, t): z[b][t] for v, z in enumerate((first, second)) for t in range(steps) if present[b][t]}
            by_series += told_apart(entries, lambda i: (1 - i[0], i[1]), entries)
        total += instance * sum(by_moment) / len(by_moment)
        if steps > 1:
            total += (1 - instance) * sum(by_series) / len(by_series)
        level += 1
        if steps == 1:
            return total / level
        first, second = halved(first, present), halved(second, present)
        present = [[present[b][2 * t] or present[b][2 * t + 1] for t in range(steps // 2)] for b in range(size)]


@pytest.mark.parametrize(("size", "steps", "holes"), [(3, 8, False), (4, 7, True), (2, 1, False), (1, 5, False)])
def test_ts2vec(size: int, steps: int, holes: bool) -> None:
    generator = torch.Generator().manual_seed(steps)
    first, second = (torch.randn(size, steps, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    present = torch.ones(size, steps, dtype=torch.bool)
    if holes:
        present[0, 3:] = False
        present[2, 1] = False
    value = ts2vec(first, second, present=present, instance=0.3)
    expected = loops(first.unbind(0), second.unbind(0), present.tolist(), 0.3)
    assert float(value) == pytest.approx(expected, rel=1e-9)
    if not holes:
        assert float(ts2vec(first, second, instance=0.3)) == pytest.approx(expected, rel=1e-9)


def test_ts2vec_has_finite_gradients_that_missing_moments_do_not_get() -> None:
    first = torch.randn(3, 6, 4, dtype=torch.float64, requires_grad=True)
    present = torch.ones(3, 6, dtype=torch.bool)
    present[1, 2:] = False
    present[2] = False
    ts2vec(first, first.detach().flip(2), present=present).backward()
    assert torch.isfinite(first.grad).all()
    assert float(first.grad[~present].abs().sum()) == 0
    assert float(first.grad[present].abs().sum()) > 0
    few = [torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda a, b: ts2vec(a, b), few)


def windows_by_loops(tokens, lengths, windows, temperature):
    losses = []
    for row, length in zip(tokens, lengths, strict=True):
        count = min(windows, length)
        if count < 3:
            continue
        units = [row[t] / row[t].norm() for t in range(length)]
        # torch's adaptive pooling: window k goes from floor(k L / n) to ceil((k + 1) L / n).
        cut = [torch.stack(units[k * length // count : -(-(k + 1) * length // count)]).amax(0) for k in range(count)]
        for i in range(count):
            positive = i + 1 if i + 1 < count else i - 1
            negatives = [j for j in range(count) if abs(i - j) > 1]
            scores = {j: float(cut[i] @ cut[j]) / temperature for j in [positive, *negatives]}
            losses.append(math.log(sum(math.exp(s) for s in scores.values())) - scores[positive])
    return losses


def test_neighbouring_windows() -> None:
    tokens = torch.randn(4, 11, 3, dtype=torch.float64, requires_grad=True)
    present = torch.arange(11) < torch.tensor([11, 6, 2, 11])[:, None]
    value = neighbouring_windows(tokens, present=present, windows=5, temperature=0.7)
    rows = [windows_by_loops([tokens[i].detach()], [length], 5, 0.7) for i, length in enumerate((11, 6, 2, 11))]
    means = [sum(row) / len(row) for row in rows if row]
    assert float(value.detach()) == pytest.approx(sum(means) / len(means), rel=1e-9)
    value.backward()
    assert torch.isfinite(tokens.grad).all()
    assert float(tokens.grad[2].abs().sum()) == 0, "two steps have no window that the first does not touch"
    assert float(neighbouring_windows(torch.ones(2, 2, 3))) == 0
    three = torch.randn(2, 3, 4, requires_grad=True)
    neighbouring_windows(three).backward()
    assert torch.isfinite(three.grad).all(), "of three windows the middle one has no negative"


def test_mmd() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (5, 7))
    both = [*first, *second]
    squares = [[float((a - b).square().sum()) for b in both] for a in both]
    middle = sum(map(sum, squares)) / (12 * 11)
    kernel = [[sum(math.exp(-d / (middle * 2.0**k)) for k in range(-2, 3)) for d in row] for row in squares]
    within = [sum(kernel[i][j] for i in range(5) for j in range(5)) / 25]
    within.append(sum(kernel[i][j] for i in range(5, 12) for j in range(5, 12)) / 49)
    between = sum(kernel[i][j] for i in range(5) for j in range(5, 12)) / 35
    assert float(mmd(first, second)) == pytest.approx(sum(within) - 2 * between, rel=1e-9)
    assert float(mmd(first, first[torch.randperm(5)])) == pytest.approx(0, abs=1e-12), "only the sample counts"
    same = torch.ones(3, 2, requires_grad=True)
    mmd(same, torch.ones(3, 2)).backward()
    assert torch.isfinite(same.grad).all()


def test_mmd_of_large_samples_is_that_of_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    samples = [torch.randn(n, 4, generator=generator, dtype=torch.float64, requires_grad=True) for n in (9, 14)]

    def found() -> list[torch.Tensor]:
        value = mmd(*samples)
        return [value.detach(), *torch.autograd.grad(value, samples)]

    whole = found()
    kept: list[int] = []
    monkeypatch.setattr("unalike.objectives.temporal.strip_rows", lambda columns, megabytes: 5)
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each.numel()) or each, lambda each: each):
        stripped = found()
    assert max(kept) == 23 * 23, "no differences of 23 x 23 x 4 are kept"
    for one, other in zip(whole, stripped, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_refusals() -> None:
    tokens = torch.ones(2, 4, 3)
    with pytest.raises(DataError, match="twice"):
        ts2vec(tokens, tokens[:1])
    with pytest.raises(DataError, match="present"):
        ts2vec(tokens, tokens, present=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(SettingsError, match="instance=2"):
        ts2vec(tokens, tokens, instance=2)
    with pytest.raises(SettingsError, match="windows=2"):
        neighbouring_windows(tokens, windows=2)
    with pytest.raises(SettingsError, match="temperature=0"):
        neighbouring_windows(tokens, temperature=0)
    with pytest.raises(DataError, match=r"\(B, T, D\)"):
        neighbouring_windows(tokens[0])
    with pytest.raises(DataError, match=r"\(N, D\)"):
        mmd(tokens[0], tokens[0, :, :1])
