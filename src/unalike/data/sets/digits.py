"""Scikit-learn's digits, with fixed splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, ImageColumn, LabelColumn
from unalike.data.sets.stored import groups_of, splits_of


def pictures(images: np.ndarray) -> np.ndarray:
    """Uint8 ``(N, 8, 8)``: the counts from 0 to 16 as grey from 0 to 255."""
    return np.rint(images * (255 / 16)).astype(np.uint8)


def open_set(name: str, folder: Path) -> Collection:
    from sklearn.datasets import load_digits

    digits = load_digits()
    table = pq.read_table(folder / "digits.parquet")
    return Collection(
        {
            "image": ImageColumn(pictures(digits.images)),
            "array": ArrayColumn(digits.data),
            "label": LabelColumn(digits.target, [str(digit) for digit in digits.target_names]),
        },
        name=name,
        splits=splits_of(table),
        groups=groups_of(table),
    )
