"""The compiled kernels against the portable path in float64, for every instruction set that this processor has."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import brute
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._pytree import tree_map

from unalike.errors import SettingsError
from unalike.objectives import (
    backend,
    clip,
    fast,
    info_nce,
    memory,
    native,
    nt_xent,
    score_sums,
    stored_exponentials,
    sup_con,
    tiles,
    use_backend,
)
from unalike.objectives.native import build
from unalike.pairing import Graph, SameIndex, SameLabel, SharedText, Without

needs_kernels = pytest.mark.skipif(native.kernels() is None, reason=f"portable: {native.why_portable()}")


def has(level: str) -> bool:
    with use_backend(level):
        return backend() == f"native ({level})"


LEVELS = [level for level in native.LEVELS if has(level)]


def small_tiles(monkeypatch, rows: int, columns: int) -> None:
    monkeypatch.setattr(
        tiles, "native", lambda shape, threads, symmetric: tiles.Shape(rows, rows if symmetric else columns)
    )
    monkeypatch.setattr(tiles, "native_strip", lambda shape, threads: tiles.Shape(rows, columns))


def pairing_of(kind: str, n: int, m: int, seed: int, itself: bool):
    generator = torch.Generator().manual_seed(seed)
    if kind == "index":
        return SameIndex(views=2) if itself else SameIndex()
    if kind == "labels":
        rows = torch.randint(-1, 3, (n,), generator=generator)
        return SameLabel(rows) if itself else SameLabel(rows, torch.randint(-1, 3, (m,), generator=generator))
    if kind == "graph":
        weights = torch.rand(n, m, generator=generator)
        weights = weights + weights.T if itself else weights
        return Graph((weights * (weights > weights.mean())).to_sparse())
    if kind == "without":
        pairs = torch.stack(
            [torch.randint(n, (5,), generator=generator), torch.randint(m, (5,), generator=generator)], 1
        )
        return Without(SameIndex(), torch.cat([pairs, pairs.flip(1)]) if itself else pairs)
    return SharedText(torch.randint(0, 3, (n,), generator=generator), "ignored")


def all_sums(sums) -> list[torch.Tensor]:
    values = [sums.negative, sums.positive, sums.mean]
    return values if sums.columns is None else values + all_sums(sums.columns)


@needs_kernels
@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    extra=st.integers(0, 30),
    d=st.integers(1, 9),
    kind=st.sampled_from(["index", "labels", "graph", "without", "ignored"]),
    itself=st.booleans(),
    columns=st.booleans(),
    temperature=st.sampled_from([0.02, 0.3, "row"]),
    tile=st.sampled_from([(4, 8), (16, 16), (8, 64), None]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_equals_the_portable_path(level, n, extra, d, kind, itself, columns, temperature, tile, threads, seed):
    n = 2 * n if itself else n
    m = n if itself or kind == "ignored" else n + extra
    columns = columns and temperature != "row" and not itself
    q = brute.vectors(n, d, seed, dtype=torch.float32)
    k = None if itself else brute.vectors(m, d, seed + 1, dtype=torch.float32)
    t = torch.linspace(0.1, 1, n) if temperature == "row" else torch.tensor(temperature)
    pairing = pairing_of(kind, n, m, seed, itself)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    results = []
    try:
        with pytest.MonkeyPatch.context() as patch:
            if tile is not None:
                small_tiles(patch, *tile)
            for dtype, name in ((torch.float32, level), (torch.float64, "portable")):
                a, learned = q.to(dtype).requires_grad_(), t.to(dtype).requires_grad_()
                b = None if k is None else k.to(dtype).requires_grad_()
                with use_backend(name):
                    sums = score_sums(a, b, temperature=learned, pairing=pairing, columns=columns)
                    weights = torch.rand(6, n + m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
                    values = all_sums(sums)
                    loss = sum(
                        (torch.where(torch.isfinite(v), v, 0.0) * w[: len(v)]).sum()
                        for v, w in zip(values, weights, strict=False)
                    )
                    loss = loss + 0.0 * (a.sum() + learned.sum() + (0.0 if b is None else b.sum()))
                    inputs = [x for x in (a, b, learned) if x is not None]
                    results.append((values, brute.gradients(loss, *inputs)))
    finally:
        torch.set_num_threads(before)
    (found, slopes), (exact, exact_slopes) = results
    for value, right in zip(found, exact, strict=True):
        assert torch.allclose(value, right, rtol=3e-6, atol=3e-6)
    scale = max(float(right.norm()) for right in exact_slopes[:-1])
    for slope, right in zip(slopes[:-1], exact_slopes[:-1], strict=True):
        assert float((slope - right).norm()) <= 5e-6 * scale + 1e-6
    inner = float((exact_slopes[0] * q).abs().sum()) / float(t.min().detach()) + 1e-6
    assert float((slopes[-1] - exact_slopes[-1]).abs().max()) <= 2e-5 * inner + 1e-4


@needs_kernels
@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    extra=st.integers(0, 50),
    d=st.integers(1, 8),
    family=st.sampled_from(["one-sided", "two-sided", "symmetric"]),
    tile=st.sampled_from([(4, 8), (16, 32), None]),
    scale=st.sampled_from([5.0, 100.0]),
    seed=st.integers(0, 10**6),
)
def test_gradients_that_come_with_the_loss(n, extra, d, family, tile, scale, seed):
    extra = extra if family == "one-sided" else 0
    q, k = brute.vectors(n, d, seed), brute.vectors(n + extra, d, seed + 1)
    wide = [x.float().double().requires_grad_() for x in (q, k, torch.tensor(1 / scale))]
    target = torch.arange(n)
    if family == "symmetric":
        both = torch.cat(wide[:2])
        scores = (both @ both.T / wide[2]).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
        exact = torch.nn.functional.cross_entropy(scores, torch.arange(2 * n).roll(n))
    else:
        scores = wide[0] @ wide[1].T / wide[2]
        exact = torch.nn.functional.cross_entropy(scores, target)
        if family == "two-sided":
            exact = (exact + torch.nn.functional.cross_entropy(scores.T, target)) / 2
    right = brute.gradients(exact, *wide)
    size = max(float(right[0].norm()), float(right[1].norm())) + 1e-3
    with pytest.MonkeyPatch.context() as patch:
        if tile is not None:
            small_tiles(patch, *tile)
        for name in ("auto", "portable"):
            a, b, t = (x.detach().float().requires_grad_() for x in wide)
            with use_backend(name):
                if family == "symmetric":
                    loss = nt_xent(a, b, temperature=t)
                else:
                    loss = info_nce(a, b, temperature=t, symmetric=family == "two-sided")
            assert brute.off(loss, exact) < 1e-5 or float((loss - exact).abs().detach()) < 1e-6
            for slope, expected in zip(brute.gradients(loss * 3.0, a, b), right[:2], strict=True):
                assert float((slope / 3 - expected).norm()) < 1e-5 * size
            assert float(brute.gradients(loss, t)[0] - right[2]) == pytest.approx(0, abs=2e-4 * scale * size)


@needs_kernels
def test_same_bits_every_time():
    q, k = brute.vectors(700, 24, 0).float(), brute.vectors(700, 24, 1).float()
    labels = torch.arange(700) % 9
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for loss in (
            lambda a, b: clip(a, b, logit_scale=20.0),
            lambda a, b: nt_xent(a, b, temperature=0.1),
            lambda a, b: info_nce(a, b, temperature=0.1),
            lambda a, b: sup_con(a, labels, temperature=0.1) + 0 * b.sum(),
        ):
            runs = []
            for _ in range(5):
                a, b = q.clone().requires_grad_(), k.clone().requires_grad_()
                value = loss(a, b)
                runs.append([value, *brute.gradients(value, a, b)])
            for run in runs[1:]:
                assert all(torch.equal(x, y) for x, y in zip(run, runs[0], strict=True))
    finally:
        torch.set_num_threads(before)


@needs_kernels
@pytest.mark.parametrize(("size", "kept"), [(0, 0), (4000, 0), (4000, memory.KEPT), (20000, memory.KEPT), (1 << 20, 0)])
def test_stored_exponentials_change_nothing_but_time(size, kept, monkeypatch):
    """None, some or all tiles are kept, in small or large pages; a second backward pass finds them unharmed."""
    monkeypatch.setattr(memory, "KEPT", kept)
    small_tiles(monkeypatch, 16, 32)
    q, k = brute.vectors(90, 30, 0).float(), brute.vectors(90, 30, 1).float()
    labels = torch.arange(90) % 7
    for loss in (
        lambda a, b: clip(a, b, logit_scale=20.0),
        lambda a, b: nt_xent(a, b, temperature=0.1),
        lambda a, b: sup_con(a, labels, temperature=0.1) + 0 * b.sum(),
        lambda a, b: clip(a, b, logit_scale=20.0, pairing=SharedText(labels)),
    ):
        found = []
        for name in ("auto", "portable"):
            a, b = q.clone().requires_grad_(), k.clone().requires_grad_()
            with stored_exponentials(size), use_backend(name):
                value = loss(a, b)
                first = brute.gradients(value, a, b)
                again = brute.gradients(value, a, b)
            assert all(torch.equal(x, y) for x, y in zip(first, again, strict=True))
            found.append([value, *first])
        assert all(brute.off(x, y) < 3e-6 for x, y in zip(*found, strict=True))


@needs_kernels
@pytest.mark.parametrize("pairing", [None, SharedText(torch.arange(96) // 2)])
def test_memory_of_the_call_before_is_used_again(pairing, monkeypatch):
    """Larger or smaller, never by two losses at once, and never more than one piece of it is kept."""
    monkeypatch.setattr(memory, "KEPT", 0)
    monkeypatch.setattr(memory.Loan, "_spare", [])
    small_tiles(monkeypatch, 16, 32)

    def loss(rows: int) -> tuple[torch.Tensor, ...]:
        a, b = (brute.vectors(rows, 16, seed).float().requires_grad_() for seed in (0, 1))
        some = None if pairing is None else SharedText(torch.arange(rows) // 2)
        return clip(a, b, logit_scale=20.0, pairing=some), a, b

    def bits(rows: int) -> list[torch.Tensor]:
        return [torch.stack([g.norm() for g in brute.gradients(*loss(rows))]), *brute.gradients(*loss(rows))]

    fresh = {}
    for rows in (64, 96, 48):
        memory.Loan._spare.clear()
        fresh[rows] = bits(rows)
        assert [piece.numel() for piece in memory.Loan._spare] == [rows * rows]
    for rows, kept in ((64, 64), (96, 96), (48, 96), (96, 96)):
        assert all(torch.equal(x, y) for x, y in zip(bits(rows), fresh[rows], strict=True))
        assert [piece.numel() for piece in memory.Loan._spare] == [kept * kept]
    memory.Loan._spare[0].fill_(torch.nan)
    with stored_exponentials(6000):  # some tiles only, in a piece that has room for all
        assert all(torch.equal(x, y) for x, y in zip(bits(96), fresh[96], strict=True))
    first, second = loss(96), loss(96)
    for one in (first, second):
        assert all(torch.equal(x, y) for x, y in zip(brute.gradients(*one), fresh[96][1:], strict=True))
    del first, second, one
    assert len(memory.Loan._spare) == 1
    monkeypatch.setattr(memory, "LENT", 100)
    bits(64)
    assert not memory.Loan._spare


def test_without_memory_nothing_but_the_error_is_said(monkeypatch):
    def nothing_left(loan):
        raise MemoryError

    said = []
    monkeypatch.setattr(memory.Loan, "_large", nothing_left)
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    with pytest.raises(MemoryError):
        memory.Loan(1 << 24)
    gc.collect()
    assert not said


@needs_kernels
def test_scores_of_too_wide_a_range_take_the_portable_path():
    kernels = native.kernels()
    q = brute.vectors(5, 4, 0).float()
    assert fast.shift_for(kernels, q, q, 10.0) == 0.0
    assert fast.shift_for(kernels, q, q, 100.0) == pytest.approx(40.0, abs=1e-3)
    assert fast.shift_for(kernels, q, q, 1000.0) is None
    for bad in (float("nan"), float("inf")):
        assert fast.shift_for(kernels, torch.full((2, 2), bad), q[:2, :2].contiguous(), 1.0) is None


@needs_kernels
def test_the_environment_chooses():
    code = "from unalike.objectives import backend; print(backend())"
    for wanted, expected in (("portable", "portable"), ("baseline", "native (baseline)")):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "UNALIKE_BACKEND": wanted}, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected, done.stderr


def test_an_unknown_backend_is_refused():
    with pytest.raises(SettingsError, match="fastest"), use_backend("fastest"):
        pass
    with use_backend("portable"):
        assert backend() == "portable" and native.why_portable() == "asked for"


def test_without_a_library_all_goes_on(tmp_path):
    found = native._load(tmp_path / "nothing.so")
    assert isinstance(found, str) and "not compiled" in found
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    assert isinstance(native._load(broken), str)


@pytest.mark.skipif(not build.supported() or build.compiler() is None, reason="no C compiler, or not Linux on x86-64")
def test_it_compiles(tmp_path):
    library = build.build(tmp_path / "kernels.so")
    assert isinstance(native._load(library), native.Kernels)


def test_a_failing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "compiler", lambda: None)
    with pytest.raises(RuntimeError, match="no C compiler"):
        build.build(tmp_path / "kernels.so")
    fake = Path(tmp_path / "cc")
    fake.write_text("#!/bin/sh\necho no space left; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(build, "compiler", lambda: str(fake))
    with pytest.raises(RuntimeError, match="no space left"):
        build.build(tmp_path / "kernels.so")


class Wrapped(torch.Tensor):
    """A tensor that holds another and has no memory of its own, as those that are parts of a larger one."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, strides=held.stride())

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, function, types, given=(), named=None):
        def bare(tree):
            return tree_map(lambda each: each.held if isinstance(each, cls) else each, tree)

        return function(*bare(given), **bare(named or {}))


def test_a_tensor_without_memory_of_its_own_takes_the_portable_path():
    queries, keys = torch.randn(5, 3), torch.randn(5, 3)
    expected = info_nce(queries, keys, temperature=0.5)
    torch.testing.assert_close(info_nce(Wrapped(queries), Wrapped(keys), temperature=0.5), expected)
    torch.testing.assert_close(info_nce(queries, Wrapped(keys), temperature=0.5), expected)
