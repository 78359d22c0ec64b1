"""What the sets of small grey pictures share: one array of pixels, one table of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, ImageColumn, LabelColumn
from unalike.data.sets.stored import groups_of, splits_of, write_rows


def write_pixels(made: Path, pixels: np.ndarray, codes: np.ndarray, names: Sequence[str], groups: np.ndarray) -> None:
    """Keep uint8 pixels ``(N, H, W)`` with their classes; splits are made by group and class."""
    np.save(made / "pixels.npy", pixels, allow_pickle=False)
    write_rows(made / "rows.parquet", {"label": [names[code] for code in codes]}, groups=groups, labels=codes)


def open_pixels(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    pixels = np.load(folder / "pixels.npy", allow_pickle=False)
    return Collection(
        {
            "image": ImageColumn(pixels),
            "array": ArrayColumn(pixels.reshape(len(pixels), -1) / np.float32(255)),
            "label": LabelColumn.from_values(table["label"].to_pylist()),
        },
        name=name,
        splits=splits_of(table),
        groups=groups_of(table),
    )


def copies(pixels: np.ndarray, *, tolerance: float, block: int = 500) -> np.ndarray:
    """Number of the group of each picture, where a picture and its copies, mirrored or not, are one group.

    Args:
        pixels: uint8 ``(N, H, W)``.
        tolerance: pictures that differ by less than this, rms of 255, count as copies.
        block: pictures compared with all others at a time.
    """
    # Sums of products of bytes are exact in float64, so that every machine finds the same groups.
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    squares = (flat**2).sum(1)
    pairs = []
    for turned in (flat, pixels[:, :, ::-1].reshape(len(pixels), -1).astype(np.float64)):
        for start in range(0, len(flat), block):
            part = slice(start, start + block)
            distance = squares[part, None] + squares - 2 * flat[part] @ turned.T
            near, other = np.nonzero(distance < tolerance**2 * flat.shape[1])
            pairs.append((near + start, other))
    a, b = np.concatenate(pairs, axis=1)
    return connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(len(flat),) * 2), directed=False)[1]
