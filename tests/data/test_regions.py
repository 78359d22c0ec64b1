"""Boxes and masks: read from tables, folders and memory; damage is said, and views of real files keep them in place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from unalike.data import BoxesColumn, ImageBoxes, MaskColumn, open_collection
from unalike.encoders import PackedImages
from unalike.encoders.packed import squared
from unalike.errors import DataError
from unalike.views import ImageViews

BOXES = [[{"box": [2, 3, 9, 8], "class": "red"}, {"box": [10, 0, 12, 12], "class": None}], [], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, the first with a red rectangle, and a mask that names it."""
    for number in range(3):
        pixels = np.full((12, 20, 3), 40 * number, np.uint8)
        mask = np.zeros((12, 20), np.uint8)
        pixels[3:8, 2:9], mask[3:8, 2:9] = (255, 0, 0), 5
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        if number != 2:
            Image.fromarray(mask).save(tmp_path / f"{number}.mask.png")
    return tmp_path


def check(column: BoxesColumn) -> None:
    assert column.names == ["red"] and column.present.tolist() == [True, True, False]
    first = column[0]
    assert isinstance(first, ImageBoxes)
    assert first.corners.tolist() == [[2, 3, 9, 8], [10, 0, 12, 12]] and first.codes.tolist() == [0, -1]
    assert column[1].corners.shape == (0, 4) and column[2] is None


@pytest.mark.parametrize("form", ["jsonl", "parquet", "csv"])
def test_boxes_and_masks_of_a_table(folder, form):
    rows = [
        {"path": f"{number}.png", "things": boxes, "map": f"{number}.mask.png" if number != 2 else None}
        for number, boxes in enumerate(BOXES)
    ]
    table = folder / f"scenes.{form}"
    if form == "jsonl":
        table.write_text("\n".join(map(json.dumps, rows)))
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), table)
    else:
        told = [
            {**row, "things": "" if row["things"] is None else json.dumps(row["things"]).replace('"', '""')}
            for row in rows
        ]
        lines = [f'{row["path"]},"{row["things"]}",{row["map"] or ""}' for row in told]
        table.write_text("\n".join(["path,things,map", *lines]))
    opened = open_collection(str(table), roles={"image": "path", "boxes": "things", "mask": "map"})
    check(opened["boxes"])
    assert opened["mask"].present.tolist() == [True, True, False]
    assert np.unique(opened["mask"][0]).tolist() == [0, 5] and opened["mask"][0].sum() == 5 * 5 * 7
    again = opened.select([2, 0])
    assert again["boxes"][0] is None and again["boxes"][1].codes.tolist() == [0, -1]
    assert again["boxes"].fingerprint() != opened["boxes"].fingerprint()
    assert opened["boxes"].fingerprint() == BoxesColumn.from_values(BOXES).fingerprint()


def test_a_table_of_bare_lists(tmp_path):
    pq.write_table(
        pa.table({"text": ["a", "b"], "at": [[[0, 0, 4, 4]], [[1, 1, 2, 2], [3, 3, 4, 4]]]}), tmp_path / "t.parquet"
    )
    boxes = open_collection(str(tmp_path / "t.parquet"), roles={"text": "text", "boxes": "at"})["boxes"]
    assert [len(boxes[row].corners) for row in range(2)] == [1, 2] and boxes.names == []


def test_masks_beside_pictures(folder):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "alone.mask.png")
    opened = open_collection(str(folder))
    assert list(opened.ids) == ["0.png", "1.png", "2.png", "alone.mask.png"]  # a mask of nothing is a picture
    assert opened["mask"].present.tolist() == [True, True, False, False]
    assert opened["mask"].distinct().tolist() == [0, 0, -1, -1]


def test_boxes_and_masks_stay_in_place_from_the_file_to_the_view(folder):
    """Red pixels, the mask and the box of one view of one file cover each other."""
    opened = open_collection(str(folder)).with_columns({"boxes": BoxesColumn.from_values([[[2, 3, 9, 8]]] * 3)})
    packed = PackedImages.from_column(opened["image"], 32)
    view = ImageViews(32, crop_scale=(0.5, 1.0), jitter_p=0, gray=0, blur=0, mean=(0, 0, 0), std=(1, 1, 1))
    [(pixels, geometry)] = view.views_and_geometry(packed.take([0, 1]), torch.Generator().manual_seed(3), count=1)
    whole = geometry.after(squared([(12, 20)] * 2, 32))
    masks = whole.mask([torch.from_numpy(opened["mask"][row]) for row in range(2)])
    boxes = whole.boxes([torch.from_numpy(opened["boxes"][row].corners) for row in range(2)])
    for seen, mask, box in zip(pixels, masks, boxes, strict=True):
        red = (seen[0] > 0.6) & (seen[1] < 0.3)
        assert bool((mask == 5).any()) and ((mask == 5) ^ red).float().mean() < 0.06
        left, top, right, bottom = box.corners[0].round().int().tolist()
        assert (mask[top:bottom, left:right] == 5).all() and (mask == 5).sum() == (bottom - top) * (right - left)


def test_masks_of_palettes_count_and_colours_are_refused(tmp_path):
    paletted = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    paletted.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    paletted.save(tmp_path / "p.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "rgb.png")
    (tmp_path / "text.png").write_text("no picture")
    column = MaskColumn([tmp_path / name for name in ("p.png", "rgb.png", "text.png")])
    assert column[0].tolist() == [[0, 1], [2, 1]]
    with pytest.raises(DataError, match=r"rgb\.png cannot be read: a picture of the mode RGB"):
        column[1]
    with pytest.raises(DataError, match=r"text\.png cannot be read: not a picture"):
        column[2]
    with pytest.raises(DataError, match="expected integers"):
        MaskColumn([np.zeros((2, 2))])[0]


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[[5, 0, 1, 2]]], "left before right"),
        ([[[0, 0, 1]]], "expected a list of"),
        ([[{"bbox": [0, 0, 1, 1]}]], "expected a list of"),
        ([[[0, 0, float("nan"), 1]]], "left before right"),
        ([3], "expected a list of"),
    ],
)
def test_what_is_no_box_is_said(boxes, words):
    with pytest.raises(DataError, match=words):
        BoxesColumn.from_values(boxes)


def test_a_table_says_which_column_holds_no_boxes(tmp_path):
    (tmp_path / "t.csv").write_text("text,at\na,here\n")
    with pytest.raises(DataError, match="column 'at' holds no boxes"):
        open_collection(str(tmp_path / "t.csv"), roles={"text": "text", "boxes": "at"})
