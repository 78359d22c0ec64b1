"""Exact top-k against plain sorting of the whole score matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.search import exact, top_k


def by_sorting(queries, corpus, k, metric, exclude_self):
    """All scores in float64, sorted so that the lower index comes first among equals."""
    queries, corpus = queries.astype(np.float64), corpus.astype(np.float64)
    if metric == "cosine":
        queries, corpus = (
            side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (queries, corpus)
        )
    scores = queries @ corpus.T
    if exclude_self:
        np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, : min(k, len(corpus) - exclude_self)]
    return np.take_along_axis(scores, order, axis=1), order


@settings(max_examples=80, deadline=None)
@given(
    queries=st.integers(1, 40),
    corpus=st.integers(1, 90),
    width=st.integers(1, 6),
    k=st.integers(1, 100),
    block_rows=st.integers(1, 100),
    own=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_sorting_with_many_ties(queries, corpus, width, k, block_rows, own, seed):
    rng = np.random.default_rng(seed)
    # Small whole numbers: scores are exact in float32, and many are equal.
    held = rng.integers(-2, 3, (corpus, width)).astype(np.float32)
    asked = held if own else rng.integers(-2, 3, (queries, width)).astype(np.float32)
    exclude = own and corpus > 1
    scores, indices = top_k(asked, held, k, metric="dot", exclude_self=exclude, block_rows=block_rows)
    expected_scores, expected = by_sorting(asked, held, k, "dot", exclude)
    assert (indices == expected).all()
    assert (scores == expected_scores).all()


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_many_tiles(metric, monkeypatch):
    monkeypatch.setattr(exact, "_TILE_ON_CPU", 3000)
    monkeypatch.setattr(exact, "_QUERIES_ON_CPU", 60)
    monkeypatch.setattr(exact, "_QUERIES_A_PASS", 200)
    rng = np.random.default_rng(0)
    held, asked = rng.normal(size=(1500, 16)).astype(np.float32), rng.normal(size=(333, 16)).astype(np.float32)
    scores, indices = top_k(asked, held, 10, metric=metric, block_rows=400)
    expected_scores, expected = by_sorting(asked, held, 10, metric, False)
    assert (indices == expected).all()
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)


def test_excludes_itself_across_tiles_and_passes(monkeypatch):
    monkeypatch.setattr(exact, "_TILE_ON_CPU", 700)
    monkeypatch.setattr(exact, "_QUERIES_ON_CPU", 30)
    monkeypatch.setattr(exact, "_QUERIES_A_PASS", 110)
    held = np.random.default_rng(0).normal(size=(250, 5)).astype(np.float32)
    _, indices = top_k(held, held, 249, exclude_self=True, block_rows=77)
    assert all(sorted(row) == [i for i in range(250) if i != own] for own, row in enumerate(indices.tolist()))
    assert (indices == by_sorting(held, held, 249, "cosine", True)[1]).mean() > 0.999


@pytest.mark.parametrize("order", ["rising", "falling", "constant"])
def test_orders_that_defeat_the_threshold(order):
    values = {"rising": np.arange(5000), "falling": -np.arange(5000), "constant": np.zeros(5000)}[order]
    held = np.stack([np.ones(5000), values], axis=1).astype(np.float32)
    asked = np.array([[0.0, 1.0], [5.0, 1.0]], dtype=np.float32)
    scores, indices = top_k(asked, held, 7, metric="dot", block_rows=900)
    expected_scores, expected = by_sorting(asked, held, 7, "dot", False)
    assert (indices == expected).all() and (scores == expected_scores).all()


@pytest.mark.parametrize(("queries", "width"), [(1, 33), (1, 384), (5, 128), (33, 7)])
def test_duplicates_come_in_the_order_of_the_corpus(queries, width):
    asked = np.random.default_rng(0).normal(size=(queries, width)).astype(np.float32)
    held = np.concatenate([-asked[:1], np.repeat(asked[:1], 3000, axis=0)])
    _, indices = top_k(asked[:1], held, 5, block_rows=1000)
    assert indices.tolist() == [[1, 2, 3, 4, 5]]


def test_scores_do_not_depend_on_the_company():
    rng = np.random.default_rng(0)
    held, asked = rng.normal(size=(777, 48)).astype(np.float32), rng.normal(size=(50, 48)).astype(np.float32)
    together, alone = top_k(asked, held, 9), [top_k(asked[row : row + 1], held, 9) for row in range(50)]
    for row, (scores, indices) in enumerate(alone):
        assert (together[0][row] == scores[0]).all() and (together[1][row] == indices[0]).all()


def test_a_row_of_zeros_scores_zero():
    scores, indices = top_k(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0], [-1.0, 0.0], [2.0, 0.0]]), 3)
    assert indices.tolist() == [[2, 0, 1]]
    assert scores.tolist() == [[1.0, 0.0, -1.0]]


def test_types_follow_the_queries():
    held = np.eye(4, dtype=np.float64)
    for asked in (torch.eye(4, dtype=torch.bfloat16), np.eye(4, dtype=np.int32)):
        scores, indices = top_k(asked, held, 1)
        assert isinstance(scores, type(asked)) and isinstance(indices, type(asked))
        assert str(scores.dtype).endswith("float32") and str(indices.dtype).endswith("int64")
        assert indices[:, 0].tolist() == [0, 1, 2, 3]
    assert isinstance(top_k(np.eye(4), torch.eye(4), 1)[0], np.ndarray)


def test_inputs_are_left_as_they_were():
    held = torch.full((6, 3), 2.0, requires_grad=True)
    asked = np.full((2, 3), 5.0, dtype=np.float32)
    scores, _ = top_k(asked, held, 2)
    assert (asked == 5).all() and bool((held == 2).all())
    assert isinstance(scores, np.ndarray)


def test_a_memory_map_is_read_in_blocks(tmp_path):
    rng = np.random.default_rng(0)
    stored = np.memmap(tmp_path / "vectors", dtype=np.float32, mode="w+", shape=(2000, 8))
    stored[:] = rng.normal(size=(2000, 8))
    stored.flush()
    held = np.memmap(tmp_path / "vectors", dtype=np.float32, mode="r", shape=(2000, 8))
    _, indices = top_k(stored[:50], held, 3, block_rows=128)
    assert (indices == by_sorting(np.asarray(stored[:50]), np.asarray(stored), 3, "cosine", False)[1]).all()


@pytest.mark.parametrize(
    ("queries", "corpus", "words"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "one and the same space"),
        (np.ones(3), np.ones((2, 3)), "queries has the shape"),
        (np.ones((0, 3)), np.ones((2, 3)), "queries has the shape"),
        (np.ones((2, 3)), np.ones((0, 3)), "corpus has the shape"),
        (np.array([[1.0, np.nan]]), np.ones((2, 2)), "row 0 of queries holds NaN"),
        (np.ones((1, 2)), np.array([[1.0, 1.0], [np.inf, 0.0]]), "row 1 of corpus holds NaN"),
        (np.ones((1, 2)), np.array([["a", "b"]]), "real numbers"),
        (torch.ones(1, 2, dtype=torch.complex64), np.ones((1, 2)), "real numbers"),
    ],
)
def test_refuses_what_is_no_space(queries, corpus, words):
    with pytest.raises(DataError, match=words):
        top_k(queries, corpus, 1)


def test_refuses_settings_that_make_no_sense():
    with pytest.raises(SettingsError, match=r"k=0, block_rows=0, metric='l2'"):
        top_k(np.eye(2), np.eye(2), 0, block_rows=0, metric="l2")
    with pytest.raises(DataError, match="its own queries"):
        top_k(np.ones((2, 2)), np.ones((3, 2)), 1, exclude_self=True)
    with pytest.raises(DataError, match="at least two"):
        top_k(np.ones((1, 2)), np.ones((1, 2)), 1, exclude_self=True)
