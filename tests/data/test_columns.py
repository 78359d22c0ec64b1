"""Columns: entries, gaps, selection, fingerprints, equal rows."""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unalike.data import ArrayColumn, Column, ImageColumn, LabelColumn, TextColumn
from unalike.errors import DataError

letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"])
words = st.text(st.one_of(letters, st.sampled_from(" \t\n")), max_size=6)
texts = st.lists(st.one_of(st.none(), words), max_size=12)


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


def same_numbers(column: Column) -> None:
    """`distinct` against plain comparison of the entries."""
    entries = [column[i] for i in range(len(column))]
    entries = [entry.tobytes() if isinstance(entry, np.ndarray | Image.Image) else entry for entry in entries]
    numbers = column.distinct()
    assert numbers.dtype == np.int64
    for i, one in enumerate(entries):
        assert (numbers[i] == -1) == (one is None)
        for j, other in enumerate(entries):
            if one is not None and other is not None:
                assert (numbers[i] == numbers[j]) == (one == other)


class TestText:
    @settings(deadline=None)
    @given(texts)
    def test_entries_and_gaps(self, entries: list[str | None]) -> None:
        column = TextColumn(entries)
        expected = [None if entry is None or not entry.strip() else entry for entry in entries]
        assert list(column) == expected
        assert [column[i] for i in range(len(column))] == expected
        assert column.present.tolist() == [entry is not None for entry in expected]

    def test_blank_is_missing(self) -> None:
        assert list(TextColumn(["a", "", " \n\t", None, " b "])) == ["a", None, None, None, " b "]

    @settings(deadline=None)
    @given(texts, st.data())
    def test_selection(self, entries: list[str | None], data: st.DataObject) -> None:
        rows = data.draw(st.lists(st.integers(0, len(entries) - 1), max_size=8)) if entries else []
        column = TextColumn(entries)
        assert list(column.select(rows)) == [column[row] for row in rows]

    @settings(deadline=None)
    @given(texts)
    def test_equal_rows(self, entries: list[str | None]) -> None:
        same_numbers(TextColumn(entries))

    def test_equal_rows_across_chunks(self) -> None:
        column = TextColumn(pa.chunked_array([["a", "b"], ["b", None, "a"], ["c"]]))
        assert column.distinct().tolist() == [0, 1, 1, -1, 0, 2]

    def test_fingerprint_is_of_the_content_alone(self) -> None:
        whole = TextColumn(["a", None, "bc"])
        assert TextColumn(pa.chunked_array([["a"], [None, "bc"]])).fingerprint() == whole.fingerprint()
        assert TextColumn(["x", "a", None, "bc"]).select([1, 2, 3]).fingerprint() == whole.fingerprint()
        others = [["ab", None, "c"], ["a", "bc", None], ["a", None, "bd"], ["a", "bc"]]
        assert len({TextColumn(other).fingerprint() for other in others} | {whole.fingerprint()}) == 5

    def test_fingerprint_is_the_same_on_every_machine(self) -> None:
        def digest(content: bytes) -> bytes:
            return hashlib.blake2b(content, digest_size=16).digest()

        little = struct.Struct("<q").pack
        text = b"text" + little(1) + little(-1) + little(3) + "abé".encode()
        assert TextColumn(["a", None, "bé"]).fingerprint() == digest(text).hex()
        label = b"label" + little(2) + "é".encode() + little(0) + little(-1)
        assert LabelColumn([0, -1], ["é"]).fingerprint() == digest(label).hex()
        array = b"array (1, 2)" + struct.pack("<2f", 1, 2)
        assert ArrayColumn([[1.0, 2.0]]).fingerprint() == digest(array).hex()
        pixels = b"array (2, 2) |u1" + bytes([0, 1, 2, 3])
        image = b"image" + digest(pixels) + bytes(16) + digest(b"x")
        column = ImageColumn([np.arange(4, dtype=np.uint8).reshape(2, 2), None, b"x"])
        assert column.fingerprint() == digest(image).hex()

    def test_what_is_no_text(self) -> None:
        with pytest.raises(DataError, match="row 1 is a bytes; texts are strings or None"):
            TextColumn(["a", b"b"])
        with pytest.raises(DataError, match="row 0 is a float"):
            TextColumn([float("nan")])
        with pytest.raises(DataError, match="surrogates"):
            TextColumn(["\ud800"])


class TestImages:
    def test_sources(self, tmp_path: Path) -> None:
        path = tmp_path / "a b é 猫.png"
        path.write_bytes(png(1))
        column = ImageColumn([path, str(path), png(2), np.full((2, 2), 3, np.uint8), None, Image.new("L", (2, 2), 4)])
        values = [None if picture is None else picture.getpixel((0, 0))[0] for picture in column]
        assert values == [1, 1, 2, 3, None, 4]
        assert column.present.tolist() == [True, True, True, True, False, True]
        assert column.distinct().tolist()[:2] == [0, 0]
        assert column.distinct()[4] == -1

    def test_stacked_and_arrow_sources(self) -> None:
        stacked = ImageColumn(np.arange(3, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2))
        assert [picture.getpixel((0, 0))[0] for picture in stacked] == [0, 1, 2]
        assert stacked.present.all()
        files = ImageColumn(pa.chunked_array([[png(5), None], [png(6)]]))
        assert files[2].getpixel((0, 0))[0] == 6
        assert files[1] is None
        assert files.present.tolist() == [True, False, True]

    def test_selection_keeps_sources_where_they_are(self) -> None:
        column = ImageColumn([png(value) for value in range(5)]).select([3, 1, 4]).select(np.array([2, 0]))
        assert [picture.getpixel((0, 0))[0] for picture in column] == [4, 3]
        assert column.source(0) == png(4)

    def test_fingerprint_is_of_the_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(png(1))
        (tmp_path / "b.png").write_bytes(png(1))
        prints = {
            ImageColumn([source]).fingerprint() for source in (tmp_path / "a.png", str(tmp_path / "b.png"), png(1))
        }
        assert len(prints) == 1
        assert ImageColumn([png(2)]).fingerprint() not in prints
        assert ImageColumn([None]).fingerprint() != ImageColumn([None, None]).fingerprint()
        assert ImageColumn([png(2), png(1)]).select([1]).fingerprint() in prints
        pixels = np.arange(8, dtype=np.uint8).reshape(1, 2, 4)
        assert ImageColumn(pixels).fingerprint() != ImageColumn(pixels.reshape(1, 4, 2)).fingerprint()

    def test_errors_name_the_picture(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"")
        with pytest.raises(DataError, match=r"a\.png cannot be read: the file is empty"):
            ImageColumn([tmp_path / "a.png"])[0]
        with pytest.raises(DataError, match="picture of row 1 cannot be read"):
            ImageColumn([None, b"text"])[1]
        with pytest.raises(DataError, match=r"b\.png cannot be read: No such file"):
            ImageColumn([tmp_path / "b.png"]).fingerprint()

    def test_index_beyond_the_end(self) -> None:
        with pytest.raises(IndexError):
            ImageColumn([png(1)])[1]


class TestArrays:
    def test_entries_gaps_and_selection(self) -> None:
        column = ArrayColumn(np.array([[1, 2], [3, 4], [5, 6]]))
        assert column.values.dtype == np.float32
        assert column[1].tolist() == [3, 4]
        assert column.select([2, 0]).values.tolist() == [[5, 6], [1, 2]]
        gaps = ArrayColumn([[1.0, np.nan], [np.inf, 1], [1, 2]])
        assert gaps.present.tolist() == [False, False, True]
        assert gaps[0] is None

    def test_float32_is_not_copied(self) -> None:
        values = np.zeros((3, 2), np.float32)
        assert np.shares_memory(ArrayColumn(values).values, values)

    @settings(deadline=None)
    @given(st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.0, float("nan")]), min_size=2, max_size=2), min_size=1))
    def test_equal_rows(self, rows: list[list[float]]) -> None:
        column = ArrayColumn(np.array(rows) + 0.0)
        same_numbers(column)

    def test_fingerprint(self) -> None:
        values = np.arange(6, dtype=np.float32)
        prints = [ArrayColumn(values.reshape(shape)).fingerprint() for shape in ((2, 3), (3, 2))]
        prints += [ArrayColumn(values.reshape(2, 3) + 1).fingerprint()]
        assert len(set(prints)) == 3
        assert ArrayColumn(values.reshape(2, 3).astype(">f8")).fingerprint() == prints[0]

    @pytest.mark.parametrize("values", [[1.0, 2.0], [["a", "b"]], np.zeros((2, 0)), np.zeros((2, 2), complex)])
    def test_what_is_no_array(self, values: object) -> None:
        with pytest.raises(DataError, match=r"expected numbers in rows and columns, \(N, F\)"):
            ArrayColumn(values)


class TestLabels:
    def test_values(self) -> None:
        column = LabelColumn.from_values(["b", None, float("nan"), "a", "b", ""])
        assert column.names == ["a", "b"]
        assert column.codes.tolist() == [1, -1, -1, 0, 1, -1]
        assert [column[i] for i in range(6)] == ["b", None, None, "a", "b", None]

    def test_numbers_sort_as_numbers(self) -> None:
        assert LabelColumn.from_values([10, 9, np.int64(2)]).names == ["2", "9", "10"]
        assert LabelColumn.from_values([1.0, float("nan"), 0.0]).names == ["0", "1"]
        assert LabelColumn.from_values([True, False]).names == ["False", "True"]

    def test_selection_keeps_the_names(self) -> None:
        chosen = LabelColumn([0, 1, 2], ["a", "b", "c"]).select([2])
        assert (chosen.codes.tolist(), chosen.names) == ([2], ["a", "b", "c"])

    def test_equal_rows(self) -> None:
        same_numbers(LabelColumn([2, 0, -1, 2], ["a", "b", "c"]))

    def test_codes_and_names_must_fit(self) -> None:
        with pytest.raises(DataError, match="codes run from 0 to 2, but there are 2 names"):
            LabelColumn([0, 2], ["a", "b"])
        with pytest.raises(DataError, match="codes run from -2"):
            LabelColumn([-2], ["a"])
        with pytest.raises(DataError, match="distinct names"):
            LabelColumn([0], ["a", "a"])


def test_a_column_of_ones_own_has_equal_rows() -> None:
    class Words(Column):
        kind = "word"

        def __init__(self, words: list[str | None]) -> None:
            self.words = words

        def __len__(self) -> int:
            return len(self.words)

        def __getitem__(self, index: int) -> str | None:
            return self.words[index]

        def select(self, indices: object) -> Column:
            raise NotImplementedError

        @property
        def present(self) -> np.ndarray:
            return np.array([word is not None for word in self.words])

        def fingerprint(self) -> str:
            return ""

    assert Words(["a", None, "b", "a"]).distinct().tolist() == [0, -1, 1, 0]
