"""The kNN probe against scikit-learn and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.evaluation import knn_accuracy, knn_predict, neighbours


def by_loops(train, labels, test, k, temperature):
    def unit(rows):
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    answers = []
    for row in unit(test.astype(np.float64)):
        scores = unit(train.astype(np.float64)) @ row
        votes = {}
        for place in sorted(np.flatnonzero(labels >= 0), key=lambda place: (-scores[place], place))[:k]:
            votes[labels[place]] = votes.get(labels[place], 0) + np.exp(scores[place] / temperature)
        answers.append(max(sorted(votes), key=votes.get))
    return np.array(answers)


@settings(max_examples=40, deadline=None)
@given(train=st.integers(1, 40), test=st.integers(1, 15), k=st.integers(1, 60), seed=st.integers(0, 999))
def test_weighted_votes_equal_loops(train, test, k, seed):
    rng = np.random.default_rng(seed)
    held, asked = rng.normal(size=(train, 3)), rng.normal(size=(test, 3))
    labels = rng.integers(-1, 4, train) * 5
    labels[labels < 0] = -1
    labels[0] = 10
    assert (knn_predict(held, labels, asked, k=k, temperature=0.2) == by_loops(held, labels, asked, k, 0.2)).all()


@pytest.mark.parametrize("k", [1, 2, 7])
def test_plain_votes_equal_scikit_learn(k):
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(0)
    held, asked, labels = rng.normal(size=(120, 5)), rng.normal(size=(60, 5)), rng.integers(0, 4, 120)
    reference = KNeighborsClassifier(k, metric="cosine").fit(held, labels).predict(asked)
    assert (knn_predict(held, labels, asked, k=k, temperature=None) == reference).all()


def test_votes_counted_in_strips_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    held, asked, labels = rng.normal(size=(120, 5)), rng.normal(size=(60, 5)), rng.integers(0, 9, 120)
    whole = knn_predict(held, labels, asked)
    monkeypatch.setattr(neighbours, "_VOTES_AT_ONCE", 50)
    assert (knn_predict(held, labels, asked) == whole).all()


def test_leaves_itself_out():
    vectors = np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1], [0.5, 0.5]])
    assert knn_predict(vectors, [0, 1, 0, 1, -1], k=1).tolist() == [1, 0, 1, 0, -1]
    assert knn_accuracy(vectors, [0, 1, 0, 1, -1], k=1) == 0.0
    assert knn_accuracy(vectors, [0, 0, 1, 1, -1], k=1) == 1.0


def test_names_agree_between_sets_that_were_read_apart():
    class Column:
        def __init__(self, codes, names):
            self.codes, self.names = np.array(codes), names

    train, test = np.eye(2), np.eye(2)
    assert knn_accuracy(train, Column([0, 1], ["sun", "sea"]), test, Column([1, 0], ["sea", "sun"]), k=1) == 1.0
    assert knn_accuracy(train, ["sun", "sea"], test, ["sun", "moon"], k=1) == 0.5
    assert knn_accuracy(train, ["sun", "sea"], test, ["sun", None], k=1) == 1.0


def test_one_class_and_a_collapsed_space_are_defined():
    assert knn_accuracy(np.ones((5, 3)), np.zeros(5, dtype=int)) == 1.0
    labels = np.arange(100) % 4
    assert knn_accuracy(np.ones((100, 3)), labels, np.ones((100, 3)), labels, k=9) == 0.25
    assert knn_accuracy(np.zeros((100, 3)), labels, np.zeros((100, 3)), labels, k=9) == 0.25


def test_a_small_temperature_does_not_overflow():
    assert knn_predict(np.eye(2), [4, 5], np.array([[1.0, 0.9]]), k=2, temperature=1e-5).tolist() == [4]


def test_refuses_what_cannot_vote():
    with pytest.raises(DataError, match="3 training vectors, 2 training labels"):
        knn_predict(np.eye(3), [0, 1], np.eye(3))
    with pytest.raises(DataError, match="0 training rows have a label"):
        knn_predict(np.eye(2), [-1, -1], np.eye(2))
    with pytest.raises(DataError, match="1 training rows have a label; expected at least 2"):
        knn_predict(np.eye(2), [0, -1])
    with pytest.raises(DataError, match="no test row has a label"):
        knn_accuracy(np.eye(2), [0, 1], np.eye(2), [-1, -1])
    with pytest.raises(DataError, match="both or neither"):
        knn_accuracy(np.eye(2), [0, 1], np.eye(2))
    with pytest.raises(DataError, match="row 1 of train holds NaN"):
        knn_predict(np.array([[1.0], [np.nan]]), [0, 1], np.eye(1))
    with pytest.raises(DataError, match="integer or name"):
        knn_predict(np.eye(2), np.array([0.5, 1.0]), np.eye(2))
    with pytest.raises(SettingsError, match="k=0"):
        knn_predict(np.eye(2), [0, 1], np.eye(2), k=0)
    with pytest.raises(SettingsError, match="temperature=0"):
        knn_predict(np.eye(2), [0, 1], np.eye(2), temperature=0)
