"""One table in several files, tar shards, and the files of JSON, Arrow and plain text."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

from unalike.data import open_collection
from unalike.errors import DataError


def rows(first: int, count: int = 3) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {"text": [f"row {n}" for n in numbers], "x": [float(n) for n in numbers], "y": [n % 2 for n in numbers]}
    )


def write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif path.suffix == ".csv":
        path.write_text(
            ",".join(table.column_names)
            + "\n"
            + "".join(",".join(map(str, r.values())) + "\n" for r in table.to_pylist())
        )
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pa.feather.write_feather(table, path)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "arrow"])
def test_shards_of_a_folder_are_one_table(tmp_path: Path, ending: str) -> None:
    for number in range(3):
        write(tmp_path / "set" / f"part-{number:05}.{ending}", rows(3 * number))
    opened = open_collection(tmp_path / "set", roles={"text": "text", "array": "x"}, label="y")
    assert list(opened["text"]) == [f"row {n}" for n in range(9)] and opened.notes == ("3 files are read as one table",)
    assert opened["array"].values[:, 0].tolist() == list(range(9))
    found = open_collection(str(tmp_path / "set" / f"part-0000[12].{ending}"), roles={"text": "text"})
    assert list(found["text"]) == [f"row {n}" for n in range(3, 9)]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_numbered_shards_of_numbers_are_no_series(tmp_path: Path, ending: str) -> None:
    for number in range(2):
        write(tmp_path / "set" / f"train-{number:05}-of-00002.{ending}", rows(3 * number).drop_columns("text"))
    opened = open_collection(tmp_path / "set")
    assert opened.roles() == ["array"] and len(opened) == 6
    assert opened.notes == ("2 files are read as one table", "the columns x, y are taken as array")


def test_files_that_are_series_are_told_to_be(tmp_path: Path) -> None:
    for name in ("left", "right"):
        write(tmp_path / "set" / f"{name}.csv", rows(0).drop_columns("text"))
    opened = open_collection(tmp_path / "set")
    assert (
        opened.roles() == ["series"] and opened.notes[0] == "each of 2 files is taken as one series, its rows as steps"
    )
    table = open_collection(tmp_path / "set", roles={"array": "x,y"})
    assert table.roles() == ["array"] and len(table) == 6


def test_splits_by_the_names_of_shards(tmp_path: Path) -> None:
    for name, first in (("train-00000-of-00002", 0), ("train-00001-of-00002", 3), ("test-00000-of-00001", 6)):
        write(tmp_path / "set" / f"{name}.parquet", rows(first))
    opened = open_collection(tmp_path / "set", roles={"text": "text"})
    assert list(opened.split("train")["text"]) == [f"row {n}" for n in range(6)]
    assert list(opened.split("test")["text"]) == ["row 6", "row 7", "row 8"]


def test_shards_of_other_columns_name_the_file(tmp_path: Path) -> None:
    write(tmp_path / "set" / "part-1.csv", rows(0))
    write(tmp_path / "set" / "part-2.csv", rows(0).rename_columns(["text", "x", "z"]))
    with pytest.raises(DataError, match=r"part-2.csv has other columns than .*part-1.csv: y, z"):
        open_collection(tmp_path / "set", roles={"text": "text"})


def test_patterns(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    assert len(open_collection(str(tmp_path / "[01].png"))["image"]) == 2
    with pytest.raises(DataError, match=r"no file matches '.*\*.csv'"):
        open_collection(str(tmp_path / "*.csv"))


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return path


def picture(value: int) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (4, 4), (value, 0, 0)).save(held, "PNG")
    return held.getvalue()


def test_tar_shards(tmp_path: Path) -> None:
    for shard in range(2):
        files = {}
        for number in range(2):
            value = 10 * shard + number
            files |= {f"./{number:03}.png": picture(value), f"./{number:03}.txt": f"é {value}".encode()}
            files |= {
                f"./{number:03}.cls": b"%d" % number,
                f"./{number:03}.json": json.dumps({"url": f"u{value}"}).encode(),
            }
        archive(tmp_path / f"{shard:05}.tar", files)
    for source in (tmp_path, str(tmp_path / "*.tar")):
        opened = open_collection(source, roles={"image": "image", "text": "txt"}, label="cls")
        assert list(opened["text"]) == ["é 0", "é 1", "é 10", "é 11"] and opened["label"].codes.tolist() == [0, 1, 0, 1]
        assert [opened["image"][row].getpixel((0, 0))[0] for row in range(4)] == [0, 1, 10, 11]
    one = open_collection(tmp_path / "00001.tar", roles={"image": "image", "text": "url"})
    assert list(one["text"]) == ["u10", "u11"]


def test_a_row_of_an_archive_may_lack_a_part_and_not_have_two(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", {"1.png": picture(1), "1.txt": b"one", "2.txt": b"two", "3.jpg": picture(3)})
    opened = open_collection(path)
    assert opened.roles() == ["image", "text"] and opened["image"].present.tolist() == [True, False, True]
    archive(tmp_path / "b.tar", {"1.png": picture(1), "1.jpg": picture(1)})
    with pytest.raises(DataError, match=r"two pictures for '1', the second 1.jpg"):
        open_collection(tmp_path / "b.tar")
    (tmp_path / "c.tar").write_bytes(os.urandom(2000))
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        open_collection(tmp_path / "c.tar")


@pytest.mark.parametrize(
    "content",
    [
        [{"text": "a", "n": 1}, {"text": "b", "n": 2}],
        {"data": [{"text": "a", "n": 1}, {"text": "b", "n": 2}]},
        {"text": ["a", "b"], "n": [1, 2]},
    ],
)
def test_json_of_one_value(tmp_path: Path, content: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content, indent=2))
    opened = open_collection(tmp_path / "a.json", roles={"text": "text", "array": "n"})
    assert list(opened["text"]) == ["a", "b"] and opened["array"].values.tolist() == [[1], [2]]


def test_json_with_one_object_a_line_and_json_that_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"text": "a"}\n{"text": "b"}\n')
    assert list(open_collection(tmp_path / "a.json")["text"]) == ["a", "b"]
    (tmp_path / "a.json").write_text("[1, 2]")
    with pytest.raises(DataError, match="expected a list of objects"):
        open_collection(tmp_path / "a.json")


def test_arrow_as_a_stream(tmp_path: Path) -> None:
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, rows(0).schema) as stream:
        stream.write_table(rows(0))
    opened = open_collection(tmp_path / "a.arrow", roles={"text": "text"})
    assert list(opened["text"]) == ["row 0", "row 1", "row 2"]
    for content, told in (
        (b"ARROW1 and nothing", "cannot be read as Arrow or Feather"),
        (b"FEA1....", "first version"),
    ):
        (tmp_path / "b.feather").write_bytes(content)
        with pytest.raises(DataError, match=told):
            open_collection(tmp_path / "b.feather")


def test_one_text_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufefffirst, line\r\n\r\nthird é\n".encode())
    opened = open_collection(tmp_path / "a.txt")
    assert list(opened["text"]) == ["first, line", "third é"]
    assert "1 of 3 rows has no entry and is left out" in opened.notes
    (tmp_path / "b.txt").write_text("1.0 2.5 -3e-1\n4 5 6\n")
    with pytest.raises(DataError, match=r"begins with numbers.*save it as .csv"):
        open_collection(tmp_path / "b.txt")


def test_ranges_and_patterns_of_columns(tmp_path: Path) -> None:
    names = [f"t{number}" for number in (*range(10, 0, -1), 0)]
    (tmp_path / "a.csv").write_text(
        ",".join([*names, "name"]) + "\n" + (",".join(name[1:] for name in names) + ",x\n") * 2
    )
    in_order = open_collection(tmp_path / "a.csv", roles={"array": "t0..t10"})
    assert in_order["array"].values[0].tolist() == list(range(11))
    assert open_collection(tmp_path / "a.csv", roles={"array": "t8..t9,t1"})["array"].values[0].tolist() == [8, 9, 1]
    assert open_collection(tmp_path / "a.csv", roles={"series": "t0..t10"})["series"][0].tolist() == [list(range(11))]
    as_they_stand = open_collection(tmp_path / "a.csv", roles={"array": "t*"})
    assert as_they_stand["array"].values[0].tolist() == [*range(10, 0, -1), 0]
    with pytest.raises(DataError, match=r"no column 't11'; it has t10, t9, t8, t7, t6, t5, t4, t3, t2, t1 and 2 more"):
        open_collection(tmp_path / "a.csv", roles={"array": "t0..t11"})
    with pytest.raises(DataError, match="runs backwards"):
        open_collection(tmp_path / "a.csv", roles={"array": "t3..t1"})


def test_a_label_of_its_own_for_each_row_is_told() -> None:
    table = pa.table({"x": [0.1, 0.2, 0.3], "y": [1.5, 2.5, 3.5]})
    notes = open_collection(table, roles={"array": "x"}, label="y").notes
    assert "each of 3 rows has a label of its own" in notes[0] and "--target COLUMN" in notes[0]
    assert not open_collection(table, roles={"array": "x"}, label=["a", "b", "a"]).notes
