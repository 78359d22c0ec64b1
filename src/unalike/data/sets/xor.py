"""Three rows of bits of which any two may say nothing of each other, and all three everything: Symile's simulation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, LabelColumn
from unalike.data.media import StackColumn
from unalike.data.sets.drawing import Draws
from unalike.data.sets.stored import groups_of, splits_of, write_rows
from unalike.errors import SettingsError

BITS = 5
ROWS = {"train": 6000, "validation": 1000, "test": 2000}


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    """Draw the two independent rows of bits, and a number that decides whether the third is their exclusive or."""
    drawn = [Draws(name, row) for row in range(sum(ROWS.values()))]
    first, second = (np.array([draws.whole(2**BITS) for draws in drawn]) for _ in range(2))
    split_of = np.repeat(list(ROWS), list(ROWS.values()))
    write_rows(
        made / "rows.parquet",
        {
            "a": pa.array(first, pa.int64()),
            "b": pa.array(second, pa.int64()),
            "drawn": pa.array([draws.number() for draws in drawn], pa.float64()),
        },
        splits={split: np.flatnonzero(split_of == split) for split in ROWS},
    )


def open_set(name: str, folder: Path, dataset: str = "1") -> Collection:
    """The set for one probability that the third row of bits is the exclusive or of the two others.

    Raises:
        SettingsError: the probability is no number from 0 to 1.
    """
    try:
        share = float(dataset)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise SettingsError(f"{name}:{dataset} is no set; {name}:0.5 is one, with a probability from 0 to 1")
    table = pq.read_table(folder / "rows.parquet")
    first, second = (np.asarray(table[column], np.int64) for column in "ab")
    third = np.where(np.asarray(table["drawn"]) < share, first ^ second, first)
    return Collection(
        {
            "array": ArrayColumn(bits(second)),
            "points": StackColumn(bits(first)[:, :, None], kind="points"),
            "series": StackColumn(bits(third)[:, None], kind="series"),
            "label": LabelColumn(second, [f"{number:0{BITS}b}" for number in range(2**BITS)]),
        },
        name=f"{name}:{dataset}",
        splits=splits_of(table),
        groups=groups_of(table),
    )


def bits(numbers: np.ndarray) -> np.ndarray:
    """float32 ``(N, BITS)``, the first bit first."""
    return ((numbers[:, None] >> np.arange(BITS - 1, -1, -1)) & 1).astype(np.float32)
