"""Sets of labels: read from lists and from texts, kept as numbers, nothing lost but what is empty."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unalike.data import Collection, LabelsColumn, TextColumn, open_collection
from unalike.errors import DataError

words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=4)
sets = st.lists(st.one_of(st.none(), st.lists(words, max_size=4)), min_size=1, max_size=8)


def wanted(row: list[str] | None) -> list[str] | None:
    return sorted({word.strip() for word in row or () if word.strip()}) or None


@given(sets, st.randoms())
def test_a_column_gives_back_what_it_was_made_of(rows: list[list[str] | None], random) -> None:  # type: ignore[no-untyped-def]
    column = LabelsColumn.from_values(rows)
    assert [column[row] for row in range(len(rows))] == [wanted(row) for row in rows]
    assert column.present.tolist() == [wanted(row) is not None for row in rows]
    order = [random.randrange(len(rows)) for _ in range(len(rows) + 2)]
    chosen = column.select(order)
    assert [chosen[place] for place in range(len(order))] == [wanted(rows[row]) for row in order]
    assert chosen.names == column.names
    groups = column.distinct()
    for one in range(len(rows)):
        for other in range(len(rows)):
            same = wanted(rows[one]) is not None and wanted(rows[one]) == wanted(rows[other])
            assert (groups[one] == groups[other] and groups[one] >= 0) == same
    assert column.fingerprint() == LabelsColumn.from_values(rows).fingerprint()
    if any(wanted(row) for row in rows):
        assert column.fingerprint() != LabelsColumn.from_values([*rows[:-1], ["something else"]]).fingerprint()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a, b", "c"], [["a", "b"], ["c"]]),
        (["a, b; c", "d, e"], [["a, b", "c"], ["d, e"]]),
        (["a; b|c", "d"], [["a; b", "c"], ["d"]]),
        (["one", "two"], [["one"], ["two"]]),
    ],
)
def test_the_separator_of_texts_is_the_first_that_occurs(cells: list[str], expected: list[list[str]]) -> None:
    column = LabelsColumn.from_values(cells)
    assert [column[row] for row in range(2)] == expected
    assert bool(column.notes) == any(each in "".join(cells) for each in "|;,")


def test_what_is_no_set_of_labels_is_refused() -> None:
    with pytest.raises(DataError, match="row 1 holds a int; expected a list of labels"):
        LabelsColumn.from_values([["a"], 3])
    with pytest.raises(DataError, match="row 0 has a label that is a dict"):
        LabelsColumn.from_values([[{"a": 1}]])
    with pytest.raises(DataError, match="codes run from 0 to 2, but there are 2 names"):
        LabelsColumn(np.array([0, 2]), np.array([0, 2]), ["a", "b"])
    with pytest.raises(DataError, match="none of them empty"):
        LabelsColumn(np.array([0]), np.array([0, 1]), [" "])
    with pytest.raises(DataError, match="offsets do not cut"):
        LabelsColumn(np.array([0]), np.array([0, 2]), ["a"])


ROWS = [("a red boat", ["red", "boat, small"]), ("a sea", None), ("a house", ["red", "", "red"])]


def written(folder: Path, ending: str) -> Path:
    path = folder / f"items.{ending}"
    if ending == "parquet":
        lists = pa.array([labels for _, labels in ROWS], pa.list_(pa.string()))
        pq.write_table(pa.table({"body": [text for text, _ in ROWS], "tags": lists}), path)
    elif ending == "jsonl":
        path.write_text("\n".join(json.dumps({"body": text, "tags": labels}) for text, labels in ROWS))
    else:
        lines = [f'"{text}","{"|".join(labels or ())}"' for text, labels in ROWS]
        path.write_text("body,tags\n" + "\n".join(lines))
    return path


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_files_with_lists_and_with_texts_give_the_same_sets(ending: str, tmp_path: Path) -> None:
    opened = open_collection(written(tmp_path, ending), roles={"text": "body", "labels": "tags"})
    column = opened["labels"]
    assert [column[row] for row in range(3)] == [["boat, small", "red"], None, ["red"]]
    assert "1 label is empty and left out" in opened.notes
    assert ("the labels of a row are parted at '|'" in opened.notes) == (ending == "csv")
    assert opened.roles("labels") == ["labels"]
    assert opened.row(0)["labels"] == ["boat, small", "red"]


def test_columns_that_hold_something_else_say_so(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a", "b"], "tags": [{"x": 1}, {"x": 2}]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"'tags' holds struct.*expected lists of labels, or texts"):
        open_collection(tmp_path / "t.parquet", roles={"text": "body", "labels": "tags"})
    (tmp_path / "t.jsonl").write_text('{"body": "a", "tags": ["x"]}\n{"body": "b", "tags": "y"}\n')
    with pytest.raises(DataError, match="line 2: 'tags' holds \"y\"; expected a list of labels"):
        open_collection(tmp_path / "t.jsonl", roles={"text": "body", "labels": "tags"})
    (tmp_path / "s.jsonl").write_text('{"body": "a", "tags": "x, y"}\n{"body": "b", "tags": ["y"]}\n')
    with pytest.raises(DataError, match="expected a text of labels, as the rows before"):
        open_collection(tmp_path / "s.jsonl", roles={"text": "body", "labels": "tags"})
    with pytest.raises(DataError, match=r"has no column 'tag'; .* Did you mean 'tags'"):
        open_collection(tmp_path / "t.jsonl", roles={"text": "body", "labels": "tag"})
    with pytest.raises(DataError, match="has labels and nothing that they label"):
        open_collection(tmp_path / "t.parquet", roles={"labels": "body"})


def test_in_memory_and_in_a_collection() -> None:
    opened = open_collection({"text": ["a", "b"], "labels": [["x", "y"], []]})
    assert opened["labels"][0] == ["x", "y"]
    picked = Collection(
        {"text": TextColumn(["a", "b"]), "labels": LabelsColumn.from_values([["x"], ["y"]])}, name="pair"
    ).select([1])
    assert picked["labels"][0] == ["y"]
