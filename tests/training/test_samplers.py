"""Batches by cluster and class: what holds for every batch, whatever the codes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.training import ClassBalanced, DistinctClusters, SameCluster

codes_and_batch = st.integers(2, 12).flatmap(
    lambda batch: st.tuples(
        st.lists(st.integers(-1, 7), min_size=batch, max_size=60).map(np.array), st.just(batch), st.integers(0, 99)
    )
)


@given(codes_and_batch)
def test_same_cluster_gives_batches_of_one_cluster(case) -> None:
    codes, batch, seed = case
    order = SameCluster(codes, batch, seed)
    if not any(count >= 2 for code, count in Counter(codes.tolist()).items() if code >= 0):
        with pytest.raises(DataError, match="no cluster has 2 rows"):
            list(order.epoch(0))
        return
    batches = list(order.epoch(3))
    assert len(batches) == len(order) == max(1, len(codes) // batch)
    for rows in batches:
        [code] = set(codes[rows].tolist())
        assert code >= 0
        assert len(set(rows.tolist())) == len(rows) == min(batch, int((codes == code).sum()))
    again = list(SameCluster(torch.from_numpy(codes), batch, seed).epoch(3))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_same_cluster_visits_in_turn_and_loses_no_row_for_good() -> None:
    codes = np.repeat([0, 1, 2], [11, 9, 3])
    order = SameCluster(codes, 4, seed=1)
    seen = Counter()
    for epoch in range(200):
        batches = list(order.epoch(epoch))
        large = [int(codes[rows[0]]) for rows in batches if len(rows) == 4]
        assert {0, 1} == set(large[:2])
        for rows in batches:
            seen.update(rows.tolist())
    # every row about equally often: the small cluster comes in three rounds of four
    counts = np.array([seen[row] for row in range(len(codes))])
    assert counts.min() > 0.7 * counts.mean()
    assert counts.max() < 1.5 * counts.mean()


def test_same_cluster_with_whole_batches_only_leaves_small_clusters_out() -> None:
    codes = np.repeat([0, 1], [9, 3])
    batches = list(SameCluster(codes, 4, 0, least=4).epoch(0))
    assert len(batches) == 3
    assert {len(rows) for rows in batches} == {4}
    assert set(codes[np.concatenate(batches)].tolist()) == {0}
    for least in (1, 5):
        with pytest.raises(SettingsError, match="least"):
            SameCluster(codes, 4, 0, least=least)


@given(codes_and_batch)
def test_distinct_clusters_never_share_a_batch(case) -> None:
    codes, batch, seed = case
    order = DistinctClusters(lambda: torch.from_numpy(codes), batch, seed)
    clusters = len(set(codes[codes >= 0].tolist())) + int((codes < 0).sum())
    if clusters < batch:
        with pytest.raises(SettingsError, match=f"batches of at most {clusters}"):
            list(order.epoch(0))
        return
    batches = list(order.epoch(2))
    assert len(batches) == len(order) == len(codes) // batch
    for rows in batches:
        assert len(set(rows.tolist())) == len(rows) == batch
        known = [code for code in codes[rows].tolist() if code >= 0]
        assert len(set(known)) == len(known)
    # No row comes again while another of its cluster has not come.
    seen = Counter(np.concatenate(batches).tolist())
    for code in set(codes[codes >= 0].tolist()):
        counts = [seen[row] for row in np.flatnonzero(codes == code)]
        assert max(counts) - min(counts) <= 1
    again = list(DistinctClusters(codes, batch, seed).epoch(2))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_distinct_clusters_show_each_row_once_where_that_is_possible() -> None:
    codes = np.arange(40) % 10
    batches = list(DistinctClusters(codes, 8, 0).epoch(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(40))
    uneven = np.repeat([0, 1, 2, 3], [30, 2, 2, 2])
    seen = Counter()
    for epoch in range(100):
        for rows in DistinctClusters(uneven, 3, 0).epoch(epoch):
            seen.update(rows.tolist())
    assert set(seen) == set(range(36))


@given(codes_and_batch, st.integers(1, 6))
def test_class_balanced_gives_p_classes_of_k_rows(case, each: int) -> None:
    codes, batch, seed = case
    each = min(each, batch)
    order = ClassBalanced(codes, batch, seed, each=each)
    classes = Counter(code for code in codes.tolist() if code >= 0)
    if not classes:
        with pytest.raises(DataError, match="no row has a class"):
            list(order.epoch(0))
        return
    ways = min(batch // each, len(classes))
    shots = batch // ways
    batches = list(order.epoch(1))
    assert len(batches) == len(order) == len(codes) // batch
    visits = Counter()
    for rows in batches:
        assert len(rows) == ways * shots <= batch
        grid = codes[rows].reshape(ways, shots)
        assert (grid == grid[:, :1]).all()
        assert len(set(grid[:, 0].tolist())) == ways
        visits.update(grid[:, 0].tolist())
        for code, part in zip(grid[:, 0].tolist(), rows.reshape(ways, shots), strict=True):
            assert len(set(part.tolist())) == min(shots, classes[code])
    assert max(visits[code] for code in classes) - min(visits[code] for code in classes) <= 1
    again = list(ClassBalanced(codes, batch, seed, each=each).epoch(1))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_class_balanced_loses_no_row_for_good() -> None:
    codes = np.repeat([0, 1, 2], [25, 7, 1])
    seen = Counter()
    for epoch in range(100):
        for rows in ClassBalanced(codes, 8, 0, each=4).epoch(epoch):
            seen.update(rows.tolist())
    assert set(seen) == set(range(33))
    with pytest.raises(SettingsError, match="each=9"):
        ClassBalanced(codes, 8, 0, each=9)


@pytest.mark.parametrize("kind", [SameCluster, DistinctClusters, ClassBalanced])
def test_seed_and_epoch_decide_the_batches(kind) -> None:
    codes = np.arange(60) % 10
    first = [np.concatenate(list(kind(codes, 6, seed).epoch(epoch))) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])


def test_codes_are_read_at_the_start_of_each_epoch() -> None:
    codes = torch.zeros(12, dtype=torch.int64)
    order = SameCluster(codes, 4, 0)
    assert len(list(order.epoch(0))) == 3
    codes.copy_(torch.arange(12) // 4)
    assert all(len(set((rows // 4).tolist())) == 1 for rows in order.epoch(1))
