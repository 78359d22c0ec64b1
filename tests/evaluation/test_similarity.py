"""Similarity correlation, histograms of pairs, zero-shot classification and the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.evaluation import (
    Relevance,
    bootstrap_interval,
    class_vectors,
    similarity_correlation,
    similarity_histogram,
    zero_shot,
    zero_shot_correct,
)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_correlation_equals_ranks_by_hand():
    from scipy.stats import rankdata

    rng = np.random.default_rng(0)
    one, other, ratings = rng.normal(size=(40, 5)), rng.normal(size=(40, 5)), rng.integers(0, 6, 40)
    ranks = rankdata((unit(one) * unit(other)).sum(axis=1)), rankdata(ratings)
    expected = np.corrcoef(*ranks)[0, 1]
    assert similarity_correlation(one * 9, other, ratings) == pytest.approx(expected, abs=1e-6)


def test_correlation_of_what_does_not_vary_is_zero():
    assert similarity_correlation(np.ones((5, 2)), np.ones((5, 2)), np.arange(5)) == 0
    assert similarity_correlation(np.eye(3), np.ones((3, 3)) * [1, 2, 3], np.ones(3)) == 0
    with pytest.raises(DataError, match="5 first, 5 second, 4 ratings"):
        similarity_correlation(np.ones((5, 2)), np.ones((5, 2)), np.arange(4))
    with pytest.raises(DataError, match="a number for each pair"):
        similarity_correlation(np.ones((2, 2)), np.ones((2, 2)), np.array([1.0, np.nan]))


@settings(max_examples=25, deadline=None)
@given(queries=st.integers(1, 20), corpus=st.integers(1, 30), bins=st.integers(1, 20), seed=st.integers(0, 99))
def test_histogram_equals_numpy(queries, corpus, bins, seed):
    rng = np.random.default_rng(seed)
    asked, held = rng.normal(size=(queries, 4)), rng.normal(size=(corpus, 4))
    groups, rows = rng.integers(0, 3, queries), rng.integers(0, 3, corpus)
    found = similarity_histogram(asked, held, Relevance.from_groups(groups, rows), bins=bins)
    scores, same = unit(asked) @ unit(held).T, groups[:, None] == rows[None]
    # A cosine at an edge may fall to either side in float32: the sums up to each edge differ by it at most.
    for counts, which in ((found.positive, same), (found.negative, ~same)):
        expected = np.histogram(scores[which], found.edges)[0]
        assert counts.sum() == which.sum()
        assert np.abs(np.cumsum(counts) - np.cumsum(expected)).max() <= 1
    assert found.queries == queries


def test_histogram_of_a_set_with_itself():
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(30, 3)), rng.integers(0, 4, 30)
    relevance = Relevance.from_groups(labels, labels)
    found = similarity_histogram(vectors, vectors, relevance, exclude_self=True)
    pairs = (labels[:, None] == labels[None]).sum() - 30
    assert found.positive.sum() == pairs and found.negative.sum() == 30 * 29 - pairs
    part = similarity_histogram(vectors, vectors, relevance, exclude_self=True, sample=10)
    assert part.queries == 10 and (part.positive + part.negative).sum() == 290
    assert part.to_json()["queries"] == 10 and len(part.to_json()["edges"]) == 51


def test_overlap_is_one_for_a_collapsed_space_and_zero_for_a_parted_one():
    collapsed = similarity_histogram(np.ones((9, 2)), np.ones((9, 2)))
    assert collapsed.overlap == pytest.approx(1)
    assert similarity_histogram(np.eye(9), np.eye(9)).overlap == 0
    assert similarity_histogram(np.eye(2), np.eye(2), Relevance.from_groups([0, 1], [5, 5])).overlap == 0
    with pytest.raises(SettingsError, match="bins=0"):
        similarity_histogram(np.eye(2), np.eye(2), bins=0)
    with pytest.raises(DataError, match="relevance of 3 queries"):
        similarity_histogram(np.eye(2), np.eye(2), Relevance.diagonal(3))


def test_zero_shot_equals_loops():
    rng = np.random.default_rng(0)
    rows, classes, labels = rng.normal(size=(80, 5)), rng.normal(size=(6, 5)), rng.integers(-1, 6, 80)
    scores = unit(rows) @ unit(classes).T
    for top in (1, 2, 99):
        hits = [labels[i] in np.argsort(-scores[i])[:top] for i in range(80) if labels[i] >= 0]
        assert zero_shot_correct(rows, classes * 7, labels, top=top).tolist() == hits
        assert zero_shot(rows, classes, labels, top=top) == np.mean(hits)


def test_prompts_are_averaged_as_directions():
    prompts, classes = np.array([[3.0, 0], [0, 1], [0, -5]]), [0, 0, 1]
    np.testing.assert_allclose(class_vectors(prompts, classes), [[0.5**0.5, 0.5**0.5], [0, -1]], atol=1e-6)
    with pytest.raises(DataError, match=r"none for the classes \[1\]"):
        class_vectors(prompts, [0, 0, 2])
    with pytest.raises(DataError, match="label 2 and 2 class vectors"):
        zero_shot(np.eye(2), np.eye(2), [0, 2])
    with pytest.raises(DataError, match="no row has a label"):
        zero_shot(np.eye(2), np.eye(2), [-1, -1])
    with pytest.raises(SettingsError, match="top=0"):
        zero_shot(np.eye(2), np.eye(2), [0, 1], top=0)


def test_bootstrap_equals_drawing_items():
    values = np.random.default_rng(0).exponential(size=60).round(1)
    rng = np.random.default_rng(1)
    means = [rng.choice(values, 60).mean() for _ in range(20_000)]
    expected = np.quantile(means, [0.05, 0.95])
    found = bootstrap_interval(values, level=0.9, resamples=20_000)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        low, high = bootstrap_interval(rng.random(100) < 0.3, resamples=400, rng=rng)
        covered += low <= 0.3 <= high
    assert 0.91 < covered / 400 < 0.98


def test_bootstrap_in_strips_and_of_one_value(monkeypatch):
    from unalike.evaluation import bootstrap

    values = np.arange(50.0)
    whole = bootstrap_interval(values)
    monkeypatch.setattr(bootstrap, "_COUNTS_AT_ONCE", 1000)
    assert bootstrap_interval(values) == pytest.approx(whole, abs=0.5)
    assert bootstrap_interval(np.full(9, 0.25)) == (0.25, 0.25)
    assert bootstrap_interval(np.array([3.0])) == (3.0, 3.0)
    for wrong in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(DataError, match="finite value for each item"):
            bootstrap_interval(wrong)
    with pytest.raises(SettingsError, match=r"level=1\.5"):
        bootstrap_interval(values, level=1.5)
