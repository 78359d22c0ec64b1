"""Splits: complete, disjoint, never through a group, with the shares that were asked for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from unalike.data import frequency_thirds, long_tail, make_splits
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


@given(st.lists(st.integers(-1, 4), min_size=40, max_size=200), st.floats(1, 8), st.integers(0, 3))
def test_a_long_tail_falls_exponentially(labels: list[int], ratio: float, seed: int) -> None:
    codes = np.array(labels)
    counts = np.bincount(codes[codes >= 0], minlength=5)
    head, classes = counts[counts > 0].min(), (counts > 0).sum()
    assume(classes >= 2 and ratio <= head)
    rows = long_tail(codes, ratio=ratio, seed=seed)
    assert (np.diff(rows) > 0).all() and (codes[rows] >= 0).all()
    sizes = sorted(np.bincount(codes[rows], minlength=5)[counts > 0], reverse=True)
    assert sizes == [round(head * (1 / ratio) ** (i / (classes - 1))) for i in range(classes)]
    assert rows.tolist() == long_tail(codes, ratio=ratio, seed=seed).tolist()


def test_the_seed_chooses_classes_and_rows_of_a_long_tail() -> None:
    labels = np.repeat(np.arange(6), 50)
    orders = {tuple(np.bincount(labels[long_tail(labels, ratio=50, seed=seed)])) for seed in range(8)}
    assert len(orders) > 4 and all(sorted(order) == sorted(next(iter(orders))) for order in orders)
    # The same on every machine and with every NumPy.
    assert np.bincount(labels[long_tail(labels, ratio=50)]).tolist() == [50, 2, 23, 1, 5, 10]
    heads = {tuple(long_tail(np.repeat([0, 1], [60, 50]), ratio=1, seed=seed)) for seed in range(4)}
    assert len(heads) == 4, "a class that is cut to the size of another is cut at random"


@pytest.mark.parametrize(
    ("labels", "ratio", "message"),
    [
        ([0, 0, -1], 1.0, "of 1 classes; expected .* at least two"),
        ([0, 0, 1, 1], 3.0, "a ratio of 3.0; expected one from 1 to 2"),
        ([0, 0, 1, 1], 0.5, "a ratio of 0.5"),
    ],
)
def test_a_long_tail_that_cannot_be(labels: list[int], ratio: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        long_tail(labels, ratio=ratio)


@given(st.lists(st.integers(-1, 9), min_size=20, max_size=80))
def test_thirds_by_frequency(labels: list[int]) -> None:
    codes = np.array(labels)
    counts = {code: labels.count(code) for code in set(labels) - {-1}}
    assume(len(counts) >= 3)
    thirds = frequency_thirds(codes)
    assert list(thirds) == ["head", "medium", "tail"]
    assert [code for third in thirds.values() for code in third] == sorted(counts, key=lambda c: (-counts[c], c))
    sizes = [len(third) for third in thirds.values()]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[2] <= 1


def test_two_classes_have_no_thirds() -> None:
    with pytest.raises(DataError, match="2 classes cannot be parted"):
        frequency_thirds([0, 1, 1, -1])
