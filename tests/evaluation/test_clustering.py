"""Clustering and its agreement with classes, against trying every matching and scikit-learn."""

from __future__ import annotations

import warnings
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.evaluation import agreement, agreement_within, chance_agreement, cluster, clustering


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 30), classes=st.integers(1, 4), clusters=st.integers(1, 4), seed=st.integers(0, 999))
def test_accuracy_equals_the_best_of_all_matchings(rows, classes, clusters, seed):
    rng = np.random.default_rng(seed)
    labels, found = rng.integers(0, classes, rows), rng.integers(0, clusters, rows)
    best = max(
        np.mean([matching[cluster] == label for cluster, label in zip(found, labels, strict=True)])
        for matching in permutations(range(4))
    )
    assert agreement(found, labels).accuracy == pytest.approx(best)


def test_information_equals_scikit_learn():
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 5, 200), rng.integers(0, 7, 200)
    hidden = labels.copy()
    hidden[:20] = -1
    reached = agreement(found, hidden)
    assert reached.nmi == pytest.approx(normalized_mutual_info_score(labels[20:], found[20:]))
    assert reached.ari == pytest.approx(adjusted_rand_score(labels[20:], found[20:]))


@pytest.mark.parametrize("many", [20_000, 50])
def test_clusters_that_lie_apart_are_found(many, monkeypatch):
    monkeypatch.setattr(clustering, "_MANY", many)
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 6
    # Of any length: what counts is the direction.
    vectors = (np.eye(6)[labels] + 0.05 * rng.normal(size=(300, 6))) * rng.uniform(0.01, 50, (300, 1))
    found = cluster(vectors, 6)
    assert vars(agreement(found, labels)) == pytest.approx({"nmi": 1, "ari": 1, "accuracy": 1})
    assert (cluster(vectors, 6) == found).all()


def test_a_collapsed_space_is_one_cluster_without_a_warning():
    labels = np.arange(30) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cluster(np.ones((30, 4)), 3)
    assert vars(agreement(found, labels)) == pytest.approx({"nmi": 0, "ari": 0, "accuracy": 1 / 3}, abs=1e-9)


def test_one_class():
    assert agreement(np.zeros(4, dtype=int), ["sun"] * 4).accuracy == 1
    assert agreement(np.array([0, 0, 1, 2]), ["sun"] * 4).accuracy == 0.5


def test_chance_is_above_zero_where_it_should_be():
    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 10, 300), rng.integers(0, 10, 300)
    chance = chance_agreement(found, labels)
    assert chance.ari == pytest.approx(0, abs=0.01)
    assert 0.02 < chance.nmi < 0.2 and 0.1 < chance.accuracy < 0.25
    assert chance == chance_agreement(found, labels)
    many = chance_agreement(found, labels, draws=200, rng=np.random.default_rng(7))
    assert vars(chance) == pytest.approx(vars(many), abs=0.02)


def test_refuses():
    with pytest.raises(SettingsError, match="5 clusters for 4 rows"):
        cluster(np.eye(4), 5)
    with pytest.raises(DataError, match="4 clusters, 3 labels"):
        agreement(np.zeros(4), [0, 1, 2])
    with pytest.raises(DataError, match="no row has a label"):
        agreement(np.zeros(2), [-1, -1])
    with pytest.raises(SettingsError, match="draws=0"):
        chance_agreement(np.zeros(2), [0, 1], draws=0)


def test_agreement_within_is_that_of_each_class_alone():
    from sklearn.metrics import adjusted_mutual_info_score

    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2, -1], [60, 30, 8, 5])
    labels = 4 * classes + rng.integers(0, 4, len(classes))
    labels[:6] = -1
    found = np.where(classes == 2, 99, 10 * classes + rng.integers(0, 3, len(classes)))  # class 2 is one cluster
    rows = [np.flatnonzero((classes == number) & (labels >= 0)) for number in (0, 1)]
    parts = [adjusted_mutual_info_score(labels[each], found[each]) for each in rows]
    wanted = np.average(parts, weights=[54, 30])
    assert agreement_within(found, labels, classes) == pytest.approx(wanted)
    # Clusters that are the classes tell nothing within them.
    with pytest.raises(DataError, match="two clusters"):
        agreement_within(classes, labels, classes)
    with pytest.raises(DataError):
        agreement_within(found[1:], labels, classes)


def test_many_small_clusters_agree_no_better_by_chance():
    rng = np.random.default_rng(1)
    labels, classes = rng.integers(0, 5, 200), np.zeros(200, np.int64)
    assert abs(np.mean([agreement_within(rng.integers(0, 40, 200), labels, classes) for _ in range(20)])) < 0.02
