"""Words by their closest senses against human ratings, with scipy as the reference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.stats import spearmanr

from unalike.data import cache_folder, is_fetched, open_set
from unalike.errors import DataError
from unalike.evaluation import sense_correlation, similarity_correlation

CACHE = cache_folder()  # before the tests are given one of their own


def test_the_closest_senses_by_double_loops():
    generator = np.random.default_rng(0)
    senses = generator.normal(size=(30, 6))
    first, second = ([generator.choice(30, generator.integers(1, 6)) for _ in range(40)] for _ in range(2))
    ratings = generator.integers(0, 10, 40) / 2
    alike = [
        max(1 - cosine(senses[a], senses[b]) for a in one for b in other)
        for one, other in zip(first, second, strict=True)
    ]
    expected = spearmanr(np.round(alike, 6), ratings).statistic
    assert sense_correlation(senses, first, second, ratings) == pytest.approx(expected, abs=1e-9)


def test_words_that_share_a_sense_are_equally_alike():
    senses = np.random.default_rng(2).normal(size=(40, 7))
    rows = [[row] for row in range(39)]
    others = [*rows[:30], *([row + 1] for row in range(30, 39))]
    ratings = np.r_[np.full(30, 5.0), np.full(9, 1.0)]
    assert sense_correlation(senses, rows, others, ratings) == pytest.approx(
        spearmanr([1.0] * 30 + [1 - cosine(senses[r], senses[r + 1]) for r in range(30, 39)], ratings).statistic
    )


def test_words_of_one_sense_are_compared_as_pairs_of_vectors():
    generator = np.random.default_rng(1)
    one, other, ratings = generator.normal(size=(9, 4)), generator.normal(size=(9, 4)), generator.normal(size=9)
    rows = np.arange(9)[:, None]
    found = sense_correlation(np.concatenate([one, other]), list(rows), list(rows + 9), ratings)
    assert found == pytest.approx(similarity_correlation(one, other, ratings), abs=1e-9)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="1 words have no senses"):
        sense_correlation(np.eye(3), [[0], []], [[1], [2]], np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="expected as many of each"):
        sense_correlation(np.eye(3), [[0]], [[1], [2]], np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="not all finite"):
        sense_correlation(np.eye(3), [[0], [1]], [[1], [2]], np.array([1.0, np.nan]))
    assert sense_correlation(np.eye(3), [[0], [1]], [[1], [2]], np.array([3.0, 3.0])) == 0.0


@pytest.mark.skipif(not is_fetched("word-similarity", cache=CACHE), reason="word-similarity has not been fetched here")
def test_related_words_are_rated_higher_where_relation_was_asked_for():
    pairs = open_set("word-similarity", cache=CACHE)
    ratings: dict[frozenset, dict[str, float]] = {}
    for row in range(len(pairs)):
        words = frozenset({pairs["text"][row].lower(), pairs["text:second"][row].lower()})
        ratings.setdefault(words, {})[pairs.label[row]] = float(pairs["array"][row][0])
    both = [each for each in ratings.values() if len(each) == 2]
    assert len(both) == 9
    assert all(each["WordSim-353"] > each["SimLex-999"] for each in both)
