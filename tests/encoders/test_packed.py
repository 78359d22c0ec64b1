"""Packed columns give what direct decoding gives, whether they lie in memory or in a file."""

from __future__ import annotations

import io
import json
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unalike.data import ArrayColumn, ImageColumn
from unalike.encoders import PackedArrays, PackedImages, PackedTokens
from unalike.encoders.packed import square


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def column() -> ImageColumn:
    rng = np.random.default_rng(0)
    sizes = [(20, 20), (37, 20), (16, 50), (8, 8)]
    pictures = [png(rng.integers(0, 256, (*size, 3), np.uint8)) for size in sizes]
    return ImageColumn([*pictures, None, pictures[0][:60]])


@pytest.mark.parametrize("fit", ["crop", "pad", "trim"])
@pytest.mark.parametrize("place", ["memory", "vanishing file", "cache"])
def test_pictures_equal_direct_decoding(column, fit, place, tmp_path):
    packed = PackedImages.from_column(
        column,
        16,
        fit=fit,
        cache=tmp_path if place == "cache" else None,
        in_memory=2**30 if place == "memory" else 0,
    )
    assert isinstance(packed.pixels, np.memmap) == (place != "memory")
    assert packed.present.tolist() == [True, True, True, True, False, False]
    assert list(packed.failures) == [5]
    taken = packed.take([5, 2, 0, 4, 2])
    assert taken.dtype == torch.uint8
    for got, row in zip(taken, [None, 2, 0, None, 2], strict=True):
        expected = np.zeros((16, 16, 3), np.uint8) if row is None else np.asarray(square(column[row], 16, fit))
        assert np.array_equal(got.permute(1, 2, 0).numpy(), expected)


def test_square_crops_the_centre_and_pads_with_white():
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = (0, 200, 0)
    picture = Image.fromarray(pixels)
    assert np.unique(np.asarray(square(picture, 10)).reshape(-1, 3), axis=0).tolist() == [[0, 200, 0]]
    padded = np.asarray(square(picture, 30, "pad"))
    assert (padded[:10] == 255).all()
    assert (padded[20:] == 255).all()
    assert (padded[10:20, 10:20] == (0, 200, 0)).all()


def drawing(size: int, margin: int, ground: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """A red square with a green corner on a ground of one colour."""
    pixels = np.full((size + 2 * margin, size + 2 * margin, 3), ground, np.uint8)
    pixels[margin : margin + size, margin : margin + size] = (200, 0, 0)
    pixels[margin : margin + size // 2, margin : margin + size // 2] = (0, 200, 0)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("ground", [(255, 255, 255), (10, 20, 30)])
def test_trimmed_drawings_are_alike_whatever_their_margin(ground):
    whole = np.asarray(square(drawing(32, 0), 16))
    for margin in (0, 3, 16):
        assert np.array_equal(np.asarray(square(drawing(32, margin, ground), 16, "trim")), whole)


def test_trimming_keeps_small_things_small_and_centres_what_is_long():
    dot = np.asarray(square(drawing(8, 36), 40, "trim"))
    assert (dot != 255).any(2).sum() == 64  # 8 of 80 pixels: half of the picture stays, at its own scale
    bar = Image.new("RGB", (40, 40), "white")
    bar.paste("red", (4, 2, 34, 12))
    rows = (np.asarray(square(bar, 30, "trim")) != 255).any((1, 2))
    assert np.flatnonzero(rows).tolist() == list(range(10, 20))


def test_what_has_no_ground_of_one_colour_is_not_trimmed():
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    pixels[0, 0], pixels[-1, -1] = 0, 255
    assert np.array_equal(np.asarray(square(Image.fromarray(pixels), 20, "trim")), pixels)
    blank = Image.new("RGB", (12, 12), "blue")
    assert np.array_equal(np.asarray(square(blank, 12, "trim")), np.asarray(blank))


def test_taking_gives_a_copy(column):
    packed = PackedImages.from_column(column, 16)
    packed.take([0]).zero_()
    assert packed.take([0]).any()


def test_cache_is_written_once_and_again_when_it_is_damaged(column, tmp_path):
    first = PackedImages.from_column(column, 16, cache=tmp_path, in_memory=0)
    expected = first.take(range(6))
    (file,) = tmp_path.glob("*.pixels")
    written = file.stat().st_mtime_ns
    again = PackedImages.from_column(column, 16, cache=tmp_path, in_memory=0)
    assert file.stat().st_mtime_ns == written
    assert torch.equal(again.take(range(6)), expected)
    assert again.failures == first.failures
    del first, again
    file.write_bytes(file.read_bytes()[:-1])
    assert torch.equal(PackedImages.from_column(column, 16, cache=tmp_path, in_memory=0).take(range(6)), expected)
    assert not list(tmp_path.glob("*.part"))


def test_a_cache_without_its_list_of_failures_is_not_trusted(column, tmp_path):
    PackedImages.from_column(column, 16, cache=tmp_path, in_memory=0)
    (notes,) = tmp_path.glob("*.json")
    assert list(json.loads(notes.read_text())) == ["5"]
    notes.unlink()
    assert list(PackedImages.from_column(column, 16, cache=tmp_path, in_memory=0).failures) == [5]


def test_other_sizes_and_other_pictures_do_not_share_a_cache_file(column, tmp_path):
    for each, size, fit in [(column, 16, "crop"), (column, 8, "crop"), (column, 16, "pad")]:
        PackedImages.from_column(each, size, fit=fit, cache=tmp_path, in_memory=0)
    PackedImages.from_column(column.select([1, 0]), 16, cache=tmp_path, in_memory=0)
    assert len(list(tmp_path.glob("*.pixels"))) == 4


def test_interrupted_writing_leaves_nothing_that_could_be_found(column, tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unalike.encoders.packed.json.dumps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        PackedImages.from_column(column, 16, cache=tmp_path, in_memory=0)
    assert list(tmp_path.iterdir()) == []


def test_packing_thousands_of_pictures_holds_few_at_a_time():
    one = png(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    column = ImageColumn([one] * 3000)
    tracemalloc.start()
    packed = PackedImages.from_column(column, 64, in_memory=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert packed.pixels.nbytes == 3000 * 3 * 64 * 64  # 35 MiB
    assert peak < 4 * 2**20


rows_of_tokens = st.lists(st.lists(st.integers(1, 99), max_size=7), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(rows=rows_of_tokens, in_memory=st.sampled_from([0, 40, 2**20]), data=st.data())
def test_tokens_are_padded_rows(rows, in_memory, data):
    chunks = [
        (np.array([t for row in part for t in row], np.int64), np.array([len(row) for row in part]))
        for part in (rows[:3], rows[3:])
    ]
    packed = PackedTokens.from_chunks(chunks, np.ones(len(rows), bool), in_memory=in_memory)
    assert len(packed) == len(rows)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    tokens = packed.take(chosen)
    longest = max(1, *(len(rows[i]) for i in chosen))
    assert tokens.ids.shape == tokens.mask.shape == (len(chosen), longest)
    assert tokens.ids.dtype == torch.int64
    for ids, mask, i in zip(tokens.ids.tolist(), tokens.mask.tolist(), chosen, strict=True):
        assert ids == rows[i] + [0] * (longest - len(rows[i]))
        assert mask == [True] * len(rows[i]) + [False] * (longest - len(rows[i]))


def test_many_tokens_go_to_a_file_and_stay_out_of_memory():
    chunk = (np.arange(1, 200_001, dtype=np.int32), np.full(1000, 200))
    tracemalloc.start()
    packed = PackedTokens.from_chunks((chunk for _ in range(50)), np.ones(50_000, bool), in_memory=2**20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert packed.values.nbytes == 40_000_000
    assert peak < 8 * 2**20
    assert packed.take([49_999]).ids[0, -1] == 200_000


def test_no_rows_give_an_empty_batch():
    assert len(PackedTokens.from_chunks([], np.ones(0, bool)).take([])) == 0
    assert len(PackedImages.from_column(ImageColumn([]), 8).take([])) == 0


def test_missing_rows_of_numbers_are_zeros():
    packed = PackedArrays.from_column(ArrayColumn([[1.0, 2.0], [np.nan, 3.0]]))
    assert packed.present.tolist() == [True, False]
    assert packed.take([1, 0]).tolist() == [[0.0, 0.0], [1.0, 2.0]]
    packed.take([0]).zero_()
    assert packed.take([0]).tolist() == [[1.0, 2.0]]
