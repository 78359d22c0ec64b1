"""Shuttle: sensor readings of a space shuttle, nearly all in the normal state."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows

FEATURES = tuple(f"f{number}" for number in range(1, 10))


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    content = gzip.decompress((sources[0] / "river/datasets/shuttle.csv.gz").read_bytes())
    table = pyarrow.csv.read_csv(pa.BufferReader(content))
    columns = {feature: table[feature].cast(pa.float32()).combine_chunks() for feature in FEATURES}
    state = np.where(np.asarray(table["anomaly"]) == 0, "normal", "anomaly")
    readings = np.stack([np.asarray(column) for column in columns.values()], axis=1)
    # Equal readings stay in one split, so that none is tested that was learned.
    groups = np.unique(readings, axis=0, return_inverse=True)[1].ravel()
    labels = np.unique(state, return_inverse=True)[1]
    write_rows(made / "rows.parquet", {**columns, "state": pa.array(state)}, groups=groups, labels=labels)


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    readings = np.stack([np.asarray(table[feature]) for feature in FEATURES], axis=1)
    return Collection(
        {"array": ArrayColumn(readings), "label": label_of(table, "state")},
        name=name,
        splits=splits_of(table),
        groups=groups_of(table),
    )
