"""Handwritten digits pasted on crops of photos: raw pixels no longer tell one digit from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, Column, ImageColumn, LabelColumn
from unalike.data.sets.drawing import Draws, crop, fitted, open_photo, paste, shape_of
from unalike.data.sets.mnist import open_set as open_mnist
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows
from unalike.data.splits import long_tail

SIDE = 24
PHOTOS: Mapping[str, tuple[str, ...]] = {
    "train": ("astronaut", "brick", "camera", "chelsea", "coins", "hubble_deep_field", "moon", "rocket", "china"),
    "validation": ("coffee", "gravel", "flower"),
    "test": ("motorcycle_left", "grass", "clock_motion"),
}
"""Scikit-image's photos by name, and two of scikit-learn's; no photo is in two splits."""
ROWS: Mapping[str, Mapping[str, int]] = {
    "clutter": {"train": 4000, "validation": 1000, "test": 2000},
    "rotated": {"train": 4000, "validation": 600, "test": 1200},
}
WELL_POSED = ("2", "3", "4", "5", "6", "7", "9")
"""Digits whose turn can be told: a ring has none, and a stroke leans by hand as much as it is turned."""


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    mnist = open_mnist("mnist", sources[0])
    photos = {split: [(photo, _photo(photo, sources[1])) for photo in names] for split, names in PHOTOS.items()}
    render(name, mnist, photos, made, ROWS[name])


def render(
    name: str,
    mnist: Collection,
    photos: Mapping[str, Sequence[tuple[str, Image.Image]]],
    made: Path,
    rows: Mapping[str, int],
) -> None:
    """Draw a set: each digit once, in the split in which MNIST has it, on a crop of a photo of that split."""
    digits, labels = mnist["image"], mnist["label"]
    assert isinstance(digits, ImageColumn) and isinstance(labels, LabelColumn)
    usable = {labels.names.index(digit) for digit in (WELL_POSED if name == "rotated" else labels.names)}
    pixels, table, angles = [], [], []
    for split, count in rows.items():
        known = [row for row in mnist.splits[split] if labels.codes[row] in usable]
        for row in (known[index] for index in Draws(name, split).shuffled(len(known))[:count]):
            draws = Draws(name, row)
            photo, picture = photos[split][draws.whole(len(photos[split]))]
            shape = shape_of(np.asarray(digits.source(int(row))))
            if name == "rotated":
                # The angle as it is stored, float32, is the one that is drawn.
                angle = float(np.float32(draws.number(-45, 45)))
                shape = shape_of(np.asarray(turned(shape, angle)))
            else:
                angle = 0.0
            longest = draws.number(16, 22) if name == "rotated" else draws.number(10, 16)
            pixels.append(paste(crop(picture, SIDE, draws), fitted(shape, longest), draws))
            table.append((labels.names[labels.codes[row]], photo, split))
            angles.append(angle)
    np.save(made / "pixels.npy", np.stack(pixels), allow_pickle=False)
    label, photo_of, split_of = (list(column) for column in zip(*table, strict=True))
    columns: dict[str, pa.Array | Sequence] = {"label": label, "photo": photo_of}
    if name == "rotated":
        columns["angle"] = pa.array(angles, pa.float32())
    write_rows(
        made / "rows.parquet",
        columns,
        groups=np.unique(photo_of, return_inverse=True)[1],
        splits={split: np.flatnonzero(np.array(split_of) == split) for split in rows},
    )


def turned(shape: Image.Image, angle: float) -> Image.Image:
    """A shape turned counter-clockwise by so many degrees about its middle, at four times its size."""
    large = shape.resize((shape.width * 4, shape.height * 4), Image.Resampling.BICUBIC)
    return large.rotate(angle, Image.Resampling.BICUBIC, expand=True)


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    columns: dict[str, Column] = {
        "image": ImageColumn(np.load(folder / "pixels.npy", allow_pickle=False)),
        "label": label_of(table, "label"),
        "label:photo": label_of(table, "photo"),
    }
    if "angle" in table.column_names:
        columns["array:angle"] = ArrayColumn(np.asarray(table["angle"], np.float32)[:, None])
    collection = Collection(columns, name=name, splits=splits_of(table), groups=groups_of(table))
    return with_long_tail(collection) if name == "clutter-lt" else collection


def with_long_tail(collection: Collection, *, ratio: float = 50) -> Collection:
    """The same with a training split in which the smallest class has a ``ratio``-th of the largest one's rows."""
    label = collection.label
    assert label is not None
    train = collection.splits["train"]
    kept = train[long_tail(label.codes[train], ratio=ratio)]
    rest = [rows for split, rows in collection.splits.items() if split != "train"]
    return collection.select(np.sort(np.concatenate([kept, *rest])))


def _photo(name: str, wheel: Path) -> Image.Image:
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return Image.fromarray(load_sample_image(f"{name}.jpg"))
    found = [wheel / f"skimage/data/{name}{suffix}" for suffix in (".png", ".jpg")]
    return open_photo(next(path for path in found if path.is_file()))
