"""Lists in cells: several positives or negatives of one row."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unalike.data import open_collection
from unalike.errors import DataError

ROWS = [("cat.jpg", ["a cat", "one cat"]), ("dog.jpg", ["a dog"]), ("hen.jpg", ["a hen", "one hen", "a bird"])]
EXPECTED = [["a cat", "one cat", None], ["a dog", None, None], ["a hen", "one hen", "a bird"]]


def texts(collection):
    roles = collection.roles("text")
    assert roles == ["text", "text:2", "text:3"]
    return [[collection[role][row] for role in roles] for row in range(len(collection))]


def test_lists_in_parquet_json_and_memory_are_several_roles(tmp_path):
    names, captions = ([row[i] for row in ROWS] for i in (0, 1))
    pq.write_table(pa.table({"name": names, "captions": captions}), tmp_path / "a.parquet")
    lines = "".join(json.dumps({"name": n, "captions": c}) + "\n" for n, c in ROWS)
    (tmp_path / "a.jsonl").write_text(lines)
    for source in (tmp_path / "a.parquet", tmp_path / "a.jsonl"):
        assert texts(open_collection(str(source), roles={"text": "captions"}, id="name")) == EXPECTED
    assert texts(open_collection({"text": captions})) == EXPECTED
    assert texts(open_collection({"text": ["x", ["y", "z"], ["u", "v", "w"]]})) == [
        ["x", None, None],
        ["y", "z", None],
        ["u", "v", "w"],
    ]


def test_lists_of_a_variant_are_numbered_behind_it(tmp_path):
    pq.write_table(pa.table({"q": ["a", "b"], "no": [["x", "y"], ["z", None]]}), tmp_path / "a.parquet")
    found = open_collection(str(tmp_path / "a.parquet"), roles={"text": "q", "text:negative": "no"})
    assert found.roles() == ["text", "text:negative", "text:negative:2"]
    assert found["text:negative:2"].present.tolist() == [True, False]


def test_lists_too_long_or_empty_are_refused():
    with pytest.raises(DataError, match="1 to 64"):
        open_collection({"text": [["x"] * 65, "y"]})
    with pytest.raises(DataError, match="1 to 64"):
        open_collection({"text": [[], []]})
