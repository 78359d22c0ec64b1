"""P@k, R@k and PSP@k against plain loops, written from the papers' formulas and not from the code."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.evaluation import commonest_labels, neighbours_labels, propensities, rank_labels

sizes = st.tuples(st.integers(1, 6), st.integers(2, 7), st.integers(0, 10_000), st.booleans())


def drawn(rows: int, labels: int, seed: int, ties: bool) -> tuple[np.ndarray, list[set[int]]]:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (rows, labels)).astype(float) if ties else rng.normal(size=(rows, labels))
    right = [set(np.flatnonzero(rng.random(labels) < 0.4).tolist()) for _ in range(rows)]
    right[0] |= {int(rng.integers(labels))}
    return scores, right


def as_pairs(right: list[set[int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(row, label) for row, labels in enumerate(right) for label in sorted(labels)]
    return np.array([row for row, _ in pairs]), np.array([label for _, label in pairs])


@given(sizes)
def test_measures_equal_loops(size: tuple[int, int, int, bool]) -> None:
    rows, labels, seed, _ = size
    scores, right = drawn(*size)
    found = rank_labels(lambda some: scores[some], as_pairs(right), rows, labels, keep=labels)
    asked = [row for row in range(rows) if right[row]]
    counts = np.random.default_rng(seed).integers(0, 30, labels)
    weights = [1 / each for each in propensities(counts, 50)]
    assert found.rows.tolist() == asked
    for k in range(1, labels + 1):
        precision, recall, reached, best = [], [], 0.0, 0.0
        for row in asked:
            order = sorted(range(labels), key=lambda label: (-scores[row][label], label))[:k]
            precision.append(sum(label in right[row] for label in order) / k)
            recall.append(sum(label in right[row] for label in order) / len(right[row]))
            reached += sum(weights[label] for label in order if label in right[row])
            # The best of all lists of k labels, tried one by one.
            best += max(
                sum(weights[label] for label in some if label in right[row])
                for some in itertools.combinations(range(labels), k)
            )
        np.testing.assert_allclose(found.precision(k), precision)
        np.testing.assert_allclose(found.recall(k), recall)
        assert found.psp(k, propensities(counts, 50)) == pytest.approx(reached / best)
    assert found.psp(labels, propensities(counts, 50)) == pytest.approx(1.0)


def test_propensities_are_those_of_the_formula() -> None:
    counts, rows, a, b = [0, 1, 7, 400], 1234, 0.5, 0.4
    constant = (math.log(rows) - 1) * (b + 1) ** a
    expected = [1 / (1 + constant * math.exp(-a * math.log(count + b))) for count in counts]
    np.testing.assert_allclose(propensities(np.array(counts), rows, a=a, b=b), expected)
    usual = propensities(np.arange(50), 1000)
    assert (np.diff(usual) > 0).all() and usual.min() > 0 and usual.max() < 1
    with pytest.raises(SettingsError, match="of 2 rows"):
        propensities(np.array([1]), 2)


def test_rare_labels_count_for_more() -> None:
    right = [{0, 1}, {0, 1}]
    weigh = propensities(np.array([900, 2, 3]), 1000)
    rare, common = ([[0.0, 1.0, 0.5]] * 2, [[1.0, 0.0, 0.5]] * 2)
    one, other = (
        rank_labels(lambda some, s=s: np.array(s)[some], as_pairs(right), 2, 3, keep=1) for s in (rare, common)
    )
    assert one.precision(1).mean() == other.precision(1).mean() == 1.0
    assert one.psp(1, weigh) == 1.0 > 2 * other.psp(1, weigh)


@given(st.integers(1, 4), st.integers(0, 1000), st.booleans())
def test_neighbours_vote_with_their_cosines(k: int, seed: int, sparse: bool) -> None:
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(seed)
    asked, known = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in rng.normal(size=(2, 5, 3)))
    right = [set(np.flatnonzero(rng.random(4) < 0.5).tolist()) for _ in range(5)]
    given_as = (csr_matrix(asked), csr_matrix(known)) if sparse else (asked, known)
    votes = neighbours_labels(*given_as, as_pairs(right), 4, k=k)(np.arange(5))
    for row in range(5):
        near = sorted(range(5), key=lambda other: -float(asked[row] @ known[other]))[:k]
        for label in range(4):
            expected = sum(max(float(asked[row] @ known[other]), 0) for other in near if label in right[other])
            assert votes[row, label] == pytest.approx(expected)


def test_the_commonest_labels_are_the_same_for_all() -> None:
    found = rank_labels(commonest_labels(np.array([3, 9, 5])), as_pairs([{1}, {0}]), 2, 3, keep=2)
    assert found.ranked.tolist() == [[1, 2], [1, 2]]
    assert found.hits.tolist() == [[True, False], [False, False]]


def test_what_is_refused() -> None:
    scores = np.zeros((2, 3))
    with pytest.raises(DataError, match="no row has a label"):
        rank_labels(lambda some: scores[some], as_pairs([set(), set()]), 2, 3)
    with pytest.raises(DataError, match="lies outside"):
        rank_labels(lambda some: scores[some], (np.array([0]), np.array([3])), 2, 3)
    with pytest.raises(DataError, match="a label twice"):
        rank_labels(lambda some: scores[some], (np.array([0, 0]), np.array([1, 1])), 2, 3)
    with pytest.raises(DataError, match="expected finite numbers"):
        rank_labels(lambda some: scores[some] * np.nan, as_pairs([{0}, set()]), 2, 3)
    found = rank_labels(lambda some: scores[some], as_pairs([{0}, {1}]), 2, 3, keep=2)
    with pytest.raises(SettingsError, match="k=3; 2 labels of each row were kept"):
        found.precision(3)
    with pytest.raises(DataError, match="expected one a label"):
        found.psp(1, np.ones(2))
