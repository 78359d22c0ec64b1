"""Series from folders, .ts files, tables and arrays; what is wrong with them is told or counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unalike.data import open_collection
from unalike.data.cases import lengths_of, series_column
from unalike.data.ts_files import read_ts
from unalike.errors import DataError


def csv(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(" ", "\n") + "\n")


def test_a_folder_of_csv_files(tmp_path: Path) -> None:
    csv(tmp_path / "s" / "walk" / "a.csv", "x,y 1,2 3,4 5,6")
    csv(tmp_path / "s" / "run" / "b.csv", "y,x 8,7 ,9")
    csv(tmp_path / "s" / "run" / "c.csv", "x,y 1,1")
    (tmp_path / "s" / "readme.md").write_text("no series")
    found = open_collection(tmp_path / "s")
    assert found.ids == ["run/b.csv", "run/c.csv", "walk/a.csv"]
    assert [found["label"][row] for row in range(3)] == ["run", "run", "walk"]
    np.testing.assert_array_equal(found["series"][2], np.array([[1, 3, 5], [2, 4, 6]], np.float32))
    # Channels are told by their names, not by their order in the file; what is shorter is filled up with NaN.
    nan = np.nan
    np.testing.assert_array_equal(found["series"][0], np.array([[7, 9, nan], [8, nan, nan]], np.float32))
    assert lengths_of(found["series"].values).tolist() == [2, 1, 3]
    notes = " ".join(found.notes)
    assert "from 1 to 3 steps" in notes
    assert "1 values are missing in 1 series" in notes
    assert "1 file is no series" in notes


def test_times_order_the_steps_and_are_no_channel(tmp_path: Path) -> None:
    csv(tmp_path / "s" / "a.csv", "time,x 3,30 1,10 2,20")
    csv(tmp_path / "s" / "b.csv", "Timestamp,x 2024-01-01,1 2024-01-02,2 2024-03-01,3")
    found = open_collection(tmp_path / "s")
    np.testing.assert_array_equal(found["series"].values[:, 0], [[10, 20, 30], [1, 2, 3]])
    notes = " ".join(found.notes)
    assert "1 series has steps out of order; they are sorted by time" in notes
    assert "1 series has steps that are not evenly spaced" in notes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time,x 1,2 ,3", "1 of 2 steps have no time"),
        ("time,x 1,2 1,3", "1 steps have the time of another step"),
        ("time,x soon,2 1,3", "the time of a step cannot be read"),
        ("z 1 2", "it has the channels z; others have x"),
        ("x one two", "is no channel of numbers"),
        ("1,2 3,4", "must name the channels"),
        ("x", "it has 0 steps"),
    ],
)
def test_a_bad_file_is_named_and_counted(tmp_path: Path, text: str, expected: str) -> None:
    for number in range(9):
        csv(tmp_path / "s" / f"{number}.csv", "x 1 2 3")
    csv(tmp_path / "s" / "bad.csv", text)
    with pytest.raises(DataError, match=r"1 of 10 items of s cannot be read.*\n  bad.csv: .*" + expected):
        open_collection(tmp_path / "s")
    found = open_collection(tmp_path / "s", tolerance=0.2)
    assert len(found) == 9
    assert [each.id for each in found.skipped] == ["bad.csv"]


def test_a_constant_channel_is_told(tmp_path: Path) -> None:
    for number in range(3):
        csv(tmp_path / "s" / f"{number}.csv", f"x,y {number},5 3,5")
    assert any("channel 2 has one value throughout" in note for note in open_collection(tmp_path / "s").notes)


def test_ts_files_with_splits(tmp_path: Path) -> None:
    (tmp_path / "G_TRAIN.ts").write_text("@problemName G\n@data\n1,2,3:a\n4,?:b\n5,6:a\n")
    (tmp_path / "G_TEST.ts").write_text("@data\n7,8:b\n9,10:a\n")
    found = open_collection(tmp_path)
    assert found.ids[0] == "G_TEST.ts#0"
    assert {name: len(rows) for name, rows in found.splits.items()} == {"test": 2, "train": 3}
    assert [found["label"][row] for row in range(5)] == ["b", "a", "a", "b", "a"]
    assert len(open_collection(tmp_path / "G_TRAIN.ts")) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2:a\n", "no line @data"),
        ("@timestamps true\n@data\n(1,2),(2,3):a\n", "gives a time with each step"),
        ("@data\n1,x:a\n", "case 0 .* something else than numbers"),
        ("@data\n", "no series behind @data"),
        ("@data\n1,2\n", "has no class"),
    ],
)
def test_a_bad_ts_file(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.ts").write_text(text)
    with pytest.raises(DataError, match=expected):
        open_collection(tmp_path / "a.ts")


def test_a_ts_file_without_classes(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("@classLabel false\n@data\n1,2:3,4\n")
    cases, labels = read_ts(tmp_path / "a.ts")
    np.testing.assert_array_equal(cases[0], [[1, 2], [3, 4]])
    assert labels == [""]


def test_long_form(tmp_path: Path) -> None:
    table = {
        "machine": ["a", "b", "a", "b", "b"],
        "time": [2, 1, 1, 2, 3],
        "heat": [20.0, 1, 10, None, 3],
        "state": ["ok", "bad", "ok", "bad", "bad"],
    }
    pq.write_table(pa.table(table), tmp_path / "long.parquet")
    found = open_collection(tmp_path / "long.parquet", roles={"series": "heat"}, id="machine", label="state")
    assert found.ids == ["a", "b"]
    np.testing.assert_array_equal(found["series"].values[:, 0], np.array([[10, 20, np.nan], [1, np.nan, 3]]))
    assert [found["label"][row] for row in range(2)] == ["ok", "bad"]
    table["state"][2] = "bad"
    pq.write_table(pa.table(table), tmp_path / "long.parquet")
    with pytest.raises(DataError, match="row 2 is a step of a series that begins with the label 'ok' and says 'bad'"):
        open_collection(tmp_path / "long.parquet", roles={"series": "heat"}, id="machine", label="state")
    table["machine"][1] = None
    pq.write_table(pa.table(table), tmp_path / "long.parquet")
    with pytest.raises(DataError, match="1 of 5 steps of long do not say to which series"):
        open_collection(tmp_path / "long.parquet", roles={"series": "heat"}, id="machine")


def test_rows_that_are_series(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [[1.0, 2], [3.0], None], "y": [[5.0, 6], [7.0], None]}), tmp_path / "l.parquet")
    found = open_collection(tmp_path / "l.parquet", roles={"series": "x,y"})
    assert len(found) == 2, "a row without a series is left out"
    np.testing.assert_array_equal(found["series"][0], [[1, 2], [5, 6]])
    (tmp_path / "wide.csv").write_text("t0,t1,kind\n1,2,a\n3,4,b\n")
    found = open_collection(tmp_path / "wide.csv", roles={"series": "t0,t1"}, label="kind")
    np.testing.assert_array_equal(found["series"].values[:, 0], [[1, 2], [3, 4]])
    np.save(tmp_path / "s.npy", np.ones((4, 2, 7), np.float32))
    assert open_collection(tmp_path / "s.npy").roles() == ["series"]
    assert len(open_collection({"series": [np.arange(3), np.arange(5)]})) == 2


def test_what_is_no_series() -> None:
    with pytest.raises(DataError, match="1 and 2 channels"):
        series_column([np.ones((1, 3)), np.ones((2, 3))])
    with pytest.raises(DataError, match="something else than numbers"):
        series_column([np.array(["a"])])
    with pytest.raises(DataError, match="has the shape"):
        series_column([np.ones((1, 2, 3))])
    with pytest.raises(DataError, match=r"need .* GiB"):
        series_column([np.broadcast_to(np.float32(1), 2**29)] + [np.ones(1)] * 8)
    assert np.isnan(series_column([np.array([1.0, np.inf])]).values[0, 0, 1])


@pytest.mark.parametrize("wrap", [lambda values: values, lambda values: {"series": values}])
def test_the_order_of_channels_and_steps_is_told(wrap, tmp_path: Path) -> None:
    opened = open_collection(wrap(np.random.default_rng(0).normal(size=(5, 3, 20))))
    assert opened["series"][0].shape == (3, 20)
    assert "5 series of 3 channels and 20 steps; give x.transpose(0, 2, 1) if" in opened.notes[0]
    with pytest.raises(DataError, match=r"\(5, 20, 1\) is read as .* 20 channels and one step.*x.transpose\(0, 2, 1\)"):
        open_collection(wrap(np.zeros((5, 20, 1))))
    np.savez(tmp_path / "a.npz", x=np.zeros((5, 20, 1)), y=np.arange(5))
    with pytest.raises(DataError, match="one step"):
        open_collection(tmp_path / "a.npz")
