"""Clicks: what is read of a table of events, and what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unalike.data import ClicksColumn, Collection, leave_one_out, open_clicks
from unalike.errors import DataError


def events(**columns: list) -> pa.Table:
    return pa.table(columns)


def shop(table: pa.Table | Path, **options: object) -> Collection:
    return open_clicks(table, **{"user": "u", "item": "i", "time": "t", "name": "shop"} | options)  # type: ignore[arg-type]


def many(users: int = 6, seed: int = 0) -> Collection:
    """Users with 1 to ``users`` events."""
    generator = np.random.default_rng(seed)
    sequences = [[f"i{item}" for item in generator.integers(0, 9, 1 + user)] for user in range(users)]
    return Collection(
        {"clicks": ClicksColumn.of_sequences(sequences)}, name="many", ids=[f"u{n}" for n in range(users)]
    )


def test_rows_are_users_and_their_items_stand_in_the_order_of_time() -> None:
    table = events(u=["b", "a", "b", "a", "b"], i=["x", "y", "z", "x", "y"], t=[3, 9, 1, 4, 2])
    opened = shop(table)
    assert opened.ids == ["b", "a"]
    assert [opened["clicks"][row] for row in range(2)] == [["z", "y", "x"], ["x", "y"]]
    assert any("not in the order of t" in note for note in opened.notes)


def test_events_that_stand_in_order_are_not_spoken_of_and_ties_stay_as_they_stood() -> None:
    opened = shop(events(u=["a", "a", "a", "b"], i=["x", "z", "y", "x"], t=[1, 5, 5, 0]))
    assert opened.notes == ()
    assert opened["clicks"][0] == ["x", "z", "y"]


@pytest.mark.parametrize(
    "times",
    [
        ["2026-03-02", "2026-03-01", "2025-12-31"],
        ["2026-03-01 12:30:05", "2026-03-01 12:30:04", "2026-03-01 09:00:00"],
        ["2026-03-01T12:30:05Z", "2026-03-01T12:30:04Z", "2026-03-01T09:00:00Z"],
        ["10", "9", "-1"],
        [0.75, 0.5, 0.25],
    ],
    ids=["dates", "local times", "times with a zone", "numbers as strings", "fractions"],
)
def test_times_are_numbers_or_iso_8601(times: list) -> None:
    assert shop(events(u=["a"] * 3, i=["x", "y", "z"], t=times))["clicks"][0] == ["z", "y", "x"]


def test_files_of_every_kind_say_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"u": ["007", "007", "8"], "i": ["x", "y", "x"], "t": [2, 1, 5]})
    frame.to_csv(tmp_path / "shop.csv", index=False)
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "shop.parquet")
    frame.to_json(tmp_path / "shop.jsonl", orient="records", lines=True)
    opened = [shop(tmp_path / f"shop.{ending}") for ending in ("csv", "parquet", "jsonl")] + [shop(frame)]
    assert len({each.fingerprint() for each in opened}) == 1
    assert opened[0].ids == ["007", "8"]


def test_without_times_the_order_of_the_table_counts() -> None:
    opened = open_clicks(events(u=["a", "b", "a"], i=["y", "y", "x"]), user="u", item="i", name="shop")
    assert opened["clicks"][0] == ["y", "x"]


def test_whole_numbers_that_arrive_as_floats_are_whole() -> None:
    opened = shop(events(u=["a", "a"], i=[7.0, 8.0], t=[1, 2]))
    assert opened["clicks"][0] == ["7", "8"]


def test_events_with_gaps_are_left_out_and_counted() -> None:
    table = events(u=["a", None, "a", "a", "a"], i=["x", "y", None, "z", "y"], t=[1, 2, 3, None, 5])
    opened = shop(table)
    assert opened["clicks"][0] == ["x", "y"]
    assert [note for note in opened.notes if "left out" in note] == [
        "left out without user (u): 1 event of 5",
        "left out without item (i): 1 event of 5",
        "left out without time (t): 1 event of 5",
    ]


def test_duplicate_events_are_counted_and_kept_once() -> None:
    opened = shop(events(u=["a"] * 4, i=["x", "x", "y", "x"], t=[1, 1, 2, 3]))
    assert opened["clicks"][0] == ["x", "y", "x"]
    assert opened.notes == ("left out as repeats of the same user, item and time: 1 event",)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"user": "usr"}, "no column 'usr' for the user of an event; it has u, i, t"),
        ({"item": "items"}, "no column 'items' for the item"),
        ({"time": "when"}, "no column 'when' for the time"),
    ],
)
def test_a_missing_column_is_named(columns: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        shop(events(u=["a"], i=["x"], t=[1]), **columns)


def test_unreadable_times_no_times_and_no_table_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'soon', are neither numbers nor dates"):
        shop(events(u=["a", "a"], i=["x", "y"], t=["soon", "later"]))
    with pytest.raises(DataError, match="neither numbers nor dates"):
        shop(events(u=["a", "a"], i=["x", "y"], t=["2026-03-01", "17"]))
    with pytest.raises(DataError, match="not finite"):
        shop(events(u=["a", "a"], i=["x", "y"], t=[1.5, float("inf")]))
    with pytest.raises(DataError, match="none with u and i and t filled in"):
        shop(events(u=["a"], i=["x"], t=pa.array([None], pa.int64())))
    with pytest.raises(DataError, match="no table of events"):
        shop(tmp_path)


def test_items_have_names(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("i,price,title\ny,3,Yak\nx,4,Xylophone\n")
    opened = shop(events(u=["a"] * 3, i=["x", "y", "z"], t=[1, 2, 3]), items=tmp_path / "items.csv")
    column = opened["clicks"]
    assert isinstance(column, ClicksColumn)
    assert [column.title(item) for item in range(3)] == ["Xylophone", "Yak", "z"]
    assert any(": 1 item of 3" in note for note in opened.notes)
    (tmp_path / "others.csv").write_text("id,name\n1,one\n")
    with pytest.raises(DataError, match="names none of the items"):
        shop(events(u=["a"], i=["x"], t=[1]), items=tmp_path / "others.csv")
    with pytest.raises(DataError, match="no table of items"):
        shop(events(u=["a"], i=["x"], t=[1]), items=tmp_path / "none.csv")


def test_leave_one_out_against_a_plain_reading() -> None:
    opened = many()
    cut = leave_one_out(opened)
    whole = {opened.ids[row]: opened["clicks"][row] for row in range(len(opened))}
    column = cut["clicks"]
    assert isinstance(column, ClicksColumn)
    names = column.vocabulary
    test, validation, train = (cut.splits[name] for name in ("test", "validation", "train"))
    assert [cut.ids[row] for row in test] == ["u2", "u3", "u4", "u5"]
    for row, held in zip(test, validation, strict=True):
        events_of = whole[cut.ids[row]]
        assert column[row] == events_of[:-1]
        assert names[column.next_items[row]] == events_of[-1]
        assert column[held] == events_of[:-2]
        assert names[column.next_items[held]] == events_of[-2]
    assert [column[row] for row in train] == [whole[f"u{n}"][:-2] for n in (2, 3, 4, 5)] + [whole["u1"]]
    assert [note.partition(":")[0] for note in cut.notes][:2] == [
        "left out with a single event, which has no order",
        "trained on with nothing held out, for two events",
    ]


def test_no_later_event_is_seen_in_training() -> None:
    """What users choose last may be anything: the training rows are the same, and ask for nothing."""
    trained = []
    for last in (["p", "q"], ["r", "s"]):
        sequences = [["a", "b", "c", *last], ["c", "a", *last], ["b", "c", "b", *reversed(last)]]
        vocabulary = ["a", "b", "c", "p", "q", "r", "s"]
        column = ClicksColumn.of_sequences([vocabulary, *sequences])
        cut = leave_one_out(Collection({"clicks": column}, name="shop")).split("train")
        trained.append([cut["clicks"][row] for row in range(1, len(cut))])
        assert (cut["clicks"].next_items == -1).all()
    assert trained[0] == trained[1]


def test_items_that_are_only_held_out_are_counted_and_short_users_are_an_error() -> None:
    column = ClicksColumn.of_sequences([["a", "b", "a", "new"], ["b", "a", "b", "a"]])
    cut = leave_one_out(Collection({"clicks": column}, name="shop"))
    assert cut.notes == ("in held-out events alone, and so never trained on: 1 item, counted as misses",)
    with pytest.raises(DataError, match="none with three events"):
        leave_one_out(Collection({"clicks": ClicksColumn.of_sequences([["a"], ["a", "b"]])}, name="shop"))


def test_a_column_of_clicks_is_a_column() -> None:
    column = ClicksColumn.of_sequences([["a", "b", "a"], [], ["b"], ["b"]])
    assert column.present.tolist() == [True, False, True, True]
    assert column.distinct().tolist() == [0, -1, 1, 1]
    assert column[1] is None
    assert column.returning == pytest.approx(1 / 5)
    assert column.select([2, 0])[1] == ["a", "b", "a"]
    assert column.fingerprint() == ClicksColumn.of_sequences([["a", "b", "a"], [], ["b"], ["b"]]).fingerprint()
    assert column.fingerprint() != column.before_last(1).fingerprint()
    ours = column.followed_by(column.select([1]))
    assert [ours[row] for row in range(5)] == [["a", "b", "a"], None, ["b"], ["b"], None]
    with pytest.raises(DataError, match="outside of the events"):
        ClicksColumn(np.zeros(2), np.array([0]), np.array([3]), np.array([3]), ["a"])
    with pytest.raises(DataError, match="there are 1"):
        ClicksColumn(np.array([5]), np.array([0]), np.array([1]), np.array([1]), ["a"])
