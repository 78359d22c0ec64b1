"""Which rows hold the same thing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unalike.data import ArrayColumn, Collection, ImageColumn, LabelColumn, TextColumn, find_same
from unalike.data.sameness import copies_under_other_names, worded
from unalike.errors import DataError


def pairs_of(same):
    """All pairs of rows that share a code, by double loops."""
    table = [set(row.tolist()) - {-1} for row in same.table]
    return {(i, j) for i in range(len(table)) for j in range(len(table)) if i < j and table[i] & table[j]}


def test_texts_are_compared_as_they_are_read():
    column = TextColumn(["A red  box", "a RED box ", "ｆｕｌｌ", "full", "cafe\u0301", "café", "other", None])
    same = find_same(Collection({"text": column}, name="x"))
    assert pairs_of(same) == {(0, 1), (2, 3), (4, 5)}
    assert same.codes["text"][7] == -1
    assert same.shared("text") == 6
    chunked = pa.chunked_array([["A"], ["a ", None]])
    assert worded(chunked.cast(pa.large_string())).to_pylist() == ["a", "a", None]


def test_one_text_in_two_roles_is_one_thing_and_a_label_is_none():
    asked, told = TextColumn(["a", "b", "c"]), TextColumn(["x", "a", "y"])
    names = LabelColumn([0, 0, 0], ["all"])
    same = find_same(Collection({"text": asked, "text:positive": told, "label": names}, name="x"))
    assert pairs_of(same) == {(0, 1)}
    assert list(same.codes) == ["text", "text:positive"]


def test_a_hard_negative_makes_no_two_rows_the_same():
    columns = {"text": TextColumn(["a", "b"]), "text:negative": TextColumn(["b", "z"])}
    same = find_same(Collection(columns, name="x"))
    assert pairs_of(same) == set()
    assert same.hard["text:negative"][0] == same.codes["text"][1]
    assert len(set(same.components())) == 2


def test_kinds_never_meet_and_numbers_are_compared_exactly():
    columns = {"text": TextColumn(["a", "b", "c"]), "array": ArrayColumn([[0.0, 1.0], [2.0, 1.0], [-0.0, 1.0]])}
    same = find_same(Collection(columns, name="x"))
    assert pairs_of(same) == {(0, 2)}
    assert not set(same.codes["text"]) & set(same.codes["array"])


def test_groups_are_one_thing_where_asked():
    collection = Collection({"text": TextColumn(["a", "b", "c"])}, name="x", groups=[7, 8, 7])
    assert pairs_of(find_same(collection)) == set()
    assert pairs_of(find_same(collection, group=True)) == {(0, 2)}


def test_files_and_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), np.uint8)
    for name, picture in zip(("a.png", "b.png", "c.png"), (pixels[0], pixels[0], pixels[1]), strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    Image.fromarray(pixels[0]).save(tmp_path / "d.bmp")  # the same pixels in another file
    names = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png", "d.bmp", "a.png", "gone.png")]
    column = ImageColumn(names)
    same = find_same(Collection({"image": column}, name="x"))
    assert pairs_of(same) == {(0, 1), (0, 4), (1, 4)}
    assert same.codes["image"][5] == -1
    assert copies_under_other_names(column) == [(names[1], names[0])]
    packed = np.stack([pixels[0], pixels[0], pixels[1], pixels[0], pixels[0], pixels[0]])
    assert pairs_of(same.with_pixels({"image": packed})) == {(0, 1), (0, 3), (0, 4), (1, 3), (1, 4), (3, 4)}


@given(
    table=st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=1, max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_components_are_those_of_a_walk(table):
    values = [[None if value < 0 else f"{name}{value}" for value in column]
              for name, column in zip("ab", zip(*table, strict=True), strict=True)]  # fmt: skip
    same = find_same(Collection({"text": TextColumn(values[0]), "text:b": TextColumn(values[1])}, name="x"))
    owner = list(range(len(table)))
    for i, j in pairs_of(same):
        owner = [owner[i] if each == owner[j] else each for each in owner]
    found = same.components()
    for i in range(len(table)):
        assert found[i] <= max(found[:i], default=-1) + 1  # numbered in order of appearance
        for j in range(len(table)):
            assert (found[i] == found[j]) == (owner[i] == owner[j])


def test_rows_that_cross_a_split_are_found():
    asked, told = TextColumn(["a", "a", "b", "c"]), TextColumn(["1", "2", "2", "3"])
    same = find_same(Collection({"text": asked, "text:positive": told}, name="x"))
    assert same.crossing({"train": np.array([0]), "test": np.array([2, 3])}).tolist() == [2]
    assert same.select(np.array([0, 2])).components().tolist() == [0, 1]


def test_data_without_anything_to_compare_are_refused():
    with pytest.raises(DataError, match="no role"):
        find_same(Collection({"label": LabelColumn([0], ["a"])}, name="x"))
