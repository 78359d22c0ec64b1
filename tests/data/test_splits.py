"""Splits: complete, disjoint, never through a group, with the shares that were asked for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from unalike.data import make_splits
from unalike.errors import DataError

THREE = {"train": 0.8, "validation": 0.1, "test": 0.1}


# A handful of rows has too few groups for three splits: those draws only see the error.
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 12)), min_size=8, max_size=60), st.integers(0, 5))
def test_every_row_once_and_no_group_cut(rows: list[tuple[int, int]], seed: int) -> None:
    labels, groups = (np.array(column) for column in zip(*rows, strict=True))
    try:
        splits = make_splits(len(rows), fractions=THREE, groups=groups, labels=labels, seed=seed)
    except DataError as error:
        assert "would be empty" in str(error)
        assume(False)
    assert sorted(np.concatenate(list(splits.values()))) == list(range(len(rows)))
    assert all((np.diff(indices) > 0).all() for indices in splits.values())
    sides = [set(groups[indices]) for indices in splits.values()]
    assert sum(map(len, sides)) == len(set(groups))
    largest = np.bincount(groups).max()
    for split, indices in splits.items():
        assert abs(len(indices) - THREE[split] * len(rows)) <= 2 * largest


def test_shares_of_the_whole_and_of_each_class() -> None:
    labels = np.random.default_rng(0).choice(5, 2000, p=[0.5, 0.3, 0.1, 0.05, 0.05])
    splits = make_splits(2000, fractions=THREE, labels=labels)
    assert {split: len(indices) for split, indices in splits.items()} == {"train": 1600, "validation": 200, "test": 200}
    for split, indices in splits.items():
        counts, expected = np.bincount(labels[indices]), THREE[split] * np.bincount(labels)
        assert np.abs(counts - expected).max() <= 2


def test_rows_are_drawn_at_random() -> None:
    draws = [make_splits(40, fractions={"train": 0.75, "test": 0.25}, seed=seed)["test"] for seed in range(400)]
    counts = np.bincount(np.concatenate(draws), minlength=40)
    assert counts.sum() == 4000
    # Each row is in the test split in about a quarter of the draws: five standard deviations either way.
    assert np.abs(counts - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


def test_the_seed_decides_on_every_machine() -> None:
    def test_split(seed: int) -> list[int]:
        return make_splits(12, fractions={"train": 0.75, "test": 0.25}, seed=seed)["test"].tolist()

    assert test_split(0) == test_split(0)
    assert len({tuple(test_split(seed)) for seed in range(20)}) > 10
    code = "from unalike.data import make_splits as m; print(m(12, fractions={'train': 0.75, 'test': 0.25})['test'])"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert other.stdout.strip() == str(np.array(test_split(0)))


def test_a_group_counts_as_the_class_of_most_of_its_rows() -> None:
    groups = np.repeat(np.arange(40), 3)
    labels = np.where(np.arange(120) % 3 == 0, 9, groups % 2)  # a third of each group has another class
    splits = make_splits(120, fractions={"train": 0.5, "test": 0.5}, groups=groups, labels=labels)
    assert np.bincount(np.unique(groups[splits["test"]]) % 2).tolist() == [10, 10]


def test_what_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"3 rows in 1 groups are too few .* test would be empty"):
        make_splits(3, fractions={"train": 0.5, "test": 0.5}, groups=[1, 1, 1])
    for fractions in ({"train": 0.5}, {"train": 1.2, "test": -0.2}, {}):
        with pytest.raises(DataError, match="add up to 1"):
            make_splits(3, fractions=fractions)
    with pytest.raises(DataError, match="expected one a row"):
        make_splits(3, fractions={"train": 1.0}, groups=[1, 2])
