"""The data of a claim: no group crosses, and the test rows are handed out once."""

from __future__ import annotations

import numpy as np
import pytest

from unalike.claims import Ground, Sealed
from unalike.data import ArrayColumn, Collection, LabelColumn
from unalike.errors import DataError
from unalike.records import Bed


def collection(groups=None, **splits):
    rows = 40
    return Collection(
        {
            "array": ArrayColumn(np.random.default_rng(0).normal(size=(rows, 3))),
            "label": LabelColumn(np.arange(rows) % 4, list("abcd")),
        },
        name="made",
        splits=splits or {"train": np.arange(30), "test": np.arange(30, 40)},
        groups=groups,
    )


def test_the_test_split_opens_once():
    test = Sealed([1, 2])
    assert test.open().tolist() == [1, 2]
    with pytest.raises(DataError, match="a second time"):
        test.open()
    assert test.reads == 2


def test_a_validation_split_is_cut_from_training_rows_by_whole_groups():
    groups = np.repeat(np.arange(20), 2)
    ground = Ground.of(Bed(set="made"), collection(groups), {})
    assert set(ground.validation) | set(ground.train) == set(range(30))
    assert not set(groups[ground.validation]) & set(groups[ground.train])


def test_no_test_split_is_an_error():
    with pytest.raises(DataError, match="no split test"):
        Ground.of(Bed(set="made"), collection(train=np.arange(30)), {})


def test_fewer_rows_are_the_same_ones_every_time():
    first = Ground.of(Bed(set="made", rows=10), collection(), {}).train
    assert len(first) == 10
    assert first.tolist() == Ground.of(Bed(set="made", rows=10), collection(), {}).train.tolist()


def test_some_classes_may_be_learned_from_and_all_tested():
    ground = Ground.of(Bed(set="made", classes=("a", "c")), collection(), {})
    codes = ground.collection["label"].codes
    assert set(codes[ground.train]) == {0, 2}
    assert set(codes[ground.test]) == {0, 1, 2, 3}
    with pytest.raises(DataError, match="no class z"):
        Ground.of(Bed(set="made", classes=("z",)), collection(), {})
