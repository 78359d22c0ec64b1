"""Data that are in memory: what speaks Arrow, Hugging Face, pandas, tensors and arrays, lists of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image

from unalike.data import open_collection
from unalike.data.pixels import depth_scale
from unalike.errors import DataError

datasets = pytest.importorskip("datasets")

ROWS: dict[str, list[Any]] = {
    "word": ["one", "two", "three", "four"],
    "kind": list("abab"),
    "size": [1.0, 2.0, 3.0, 4.0],
}

VIEWS = pa.schema([("word", pa.string_view()), ("kind", pa.large_string()), ("size", pa.float32())])


class Frame:
    """A frame of another library, of which only Arrow's stream is known, as of Polars and DuckDB."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.columns = table.column_names

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def of_rows() -> list[dict[str, Any]]:
    return [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Frame(pa.table(ROWS)),
        lambda: Frame(pa.table(ROWS).cast(VIEWS)),
        lambda: pa.RecordBatch.from_pydict(ROWS),
        lambda: pd.DataFrame(ROWS),
        lambda: datasets.Dataset.from_dict(ROWS),
        of_rows,
    ],
)
def test_tables_by_the_names_of_their_columns(make: Any) -> None:
    opened = open_collection(make(), roles={"text": "word", "array": "size"}, label="kind")
    assert list(opened["text"]) == ROWS["word"] and opened.label is not None
    assert opened["array"].values[:, 0].tolist() == ROWS["size"]
    assert [opened.label[row] for row in range(4)] == ROWS["kind"]
    with pytest.raises(DataError, match=r"no column 'wrod'; it has word, kind, size. Did you mean 'word'\?"):
        open_collection(make(), roles={"text": "wrod"})


def test_the_order_of_columns_is_that_of_their_names_as_asked() -> None:
    turned = pa.table({"b": [1.0, 2.0], "a": [3.0, 4.0]})
    asked = open_collection(Frame(turned), roles={"array": "a,b"})
    assert asked["array"].values.tolist() == [[3, 1], [4, 2]]


def test_splits_of_a_dictionary_of_datasets() -> None:
    parts = datasets.DatasetDict(
        train=datasets.Dataset.from_dict(ROWS), test=datasets.Dataset.from_dict(ROWS).select([3, 0])
    )
    opened = open_collection(parts, roles={"text": "word"})
    assert opened.split("test")["text"][0] == "four" and len(opened.split("train")) == 4


def test_classes_and_pictures_of_a_dataset() -> None:
    pictures = [Image.new("RGB", (4, 4), (60 * number, 0, 0)) for number in range(4)]
    features = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    opened = open_collection(datasets.Dataset.from_dict({"image": pictures, "kind": [0, 1, 1, 0]}, features))
    assert opened.roles() == ["image", "label"] and opened["label"][1] == "dog"
    assert opened["image"][3].getpixel((0, 0)) == (180, 0, 0)


@pytest.mark.parametrize("make", [pd.DataFrame, lambda columns: pd.DataFrame(columns).to_dict("records")])
def test_pictures_in_a_column(make: Any) -> None:
    pictures = [
        Image.new("L", (5, 4), 50),
        None,
        np.full((4, 5, 3), 7, np.uint8),
        torch.full((3, 4, 5), 9, dtype=torch.uint8),
    ]
    opened = open_collection(make({"photo": pictures, "text": list("abcd")}), roles={"image": "photo", "text": "text"})
    assert [picture and picture.getpixel((0, 0)) for picture in (opened["image"][row] for row in range(4))] == [
        (50, 50, 50), None, (7, 7, 7), (9, 9, 9),
    ]  # fmt: skip
    assert open_collection(make({"photo": pictures, "n": [1, 2, 3, 4]}), roles={"image": "photo"})["image"][0].size == (
        5,
        4,
    )
    with pytest.raises(DataError, match="'photo' holds pictures, which cannot be text; take it with --image photo"):
        open_collection(make({"photo": pictures, "text": list("abcd")}), roles={"text": "photo"})


PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        PIXELS.transpose(0, 3, 1, 2),
        PIXELS / np.float32(255),
        torch.from_numpy(PIXELS / 255.0).permute(0, 3, 1, 2).requires_grad_(),
        torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float(),
        PIXELS.astype(np.int64),
        [torch.from_numpy(picture).permute(2, 0, 1) for picture in PIXELS],
        [picture / 255.0 for picture in PIXELS],
        {"image": PIXELS.transpose(0, 3, 1, 2) / 255.0},
    ],
)
def test_any_order_of_channels_and_any_numbers(given: Any) -> None:
    opened = open_collection(given)
    assert opened.roles() == ["image"]
    assert all(np.array_equal(np.asarray(opened["image"][row]), PIXELS[row]) for row in range(6))


def test_how_arrays_are_read_is_told() -> None:
    notes = open_collection(PIXELS.transpose(0, 3, 1, 2) / 255.0).notes
    assert notes == ("pictures are taken as arrays (N, C, H, W) of numbers from 0 to 1",)
    assert open_collection(PIXELS).notes == ()


def test_more_than_eight_bits_have_one_scale() -> None:
    deep = np.stack([np.full((4, 4), value, np.uint16) for value in (0, 1000, 3000)])
    opened = open_collection(deep)
    assert [opened["image"][row].getpixel((0, 0))[0] for row in range(3)] == [0, 62, 187]
    assert opened.notes == ("pictures are taken as arrays of values up to 3,000, of 12 bits",)
    assert depth_scale(65535)[0] * 65535 == 255


def test_normalised_pictures_are_refused_with_a_hint() -> None:
    with pytest.raises(DataError, match=r"numbers from -1 to 1; expected 0 to 1 or 0 to 255.*Undo a normalisation"):
        open_collection(np.linspace(-1, 1, 2 * 3 * 16).reshape(2, 3, 4, 4))


def test_a_picture_with_a_number_that_is_none_is_skipped() -> None:
    pictures = np.full((200, 3, 4, 4), 0.5)
    pictures[7, 0, 0, 0] = np.nan
    opened = open_collection(pictures)
    assert len(opened) == 199 and opened.skipped[0].id == "7"


def test_missing_as_pandas_says_it() -> None:
    words = pd.Series(["a", None, "c", float("nan")])
    opened = open_collection({"text": words, "label": pd.Series([1, 2, pd.NA, 1], dtype="Int64")})
    assert list(opened["text"]) == ["a", "c"] and opened["label"].codes.tolist() == [0, -1]


def test_two_columns_of_one_name() -> None:
    frame = pd.concat([pd.DataFrame(ROWS)] * 2, axis=1)
    with pytest.raises(DataError, match="the data frame has several columns named kind, size, word"):
        open_collection(frame, roles={"text": "word"})
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["x", "x"])
    with pytest.raises(DataError, match="several columns named x"):
        open_collection(table, roles={"text": "x"})


def test_rows_of_mixed_types_name_the_column() -> None:
    with pytest.raises(DataError, match="the column 'a' has values of mixed types"):
        open_collection([{"a": "x"}, {"a": 1}], roles={"text": "a"})
