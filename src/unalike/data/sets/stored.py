"""What the sets share: Parquet tables with a split and a group in each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.columns import Column, ImageColumn, LabelColumn, TextColumn
from unalike.data.media import TagsColumn
from unalike.data.roles import kind_of
from unalike.data.splits import make_splits

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def locale_of(code: str) -> str:
    """The name of a language as roles have it: ``pt_BR`` is ``pt-br``, ``sr@latin`` is ``sr-latin``."""
    return code.replace("_", "-").replace("@", "-").lower()


def splits_of(table: pa.Table, column: str = "split") -> dict[str, np.ndarray]:
    """The rows of each split, from a column of their names; train, validation, test, as far as there are."""
    named = np.array(table[column].to_pylist())
    return {name: np.flatnonzero(named == name) for name in ("train", "validation", "test") if (named == name).any()}


def groups_of(table: pa.Table) -> np.ndarray:
    return np.asarray(table["group"], np.int64)


def label_of(table: pa.Table, column: str) -> LabelColumn:
    """A label out of a column of strings, null where it is missing; the classes are in the order of the alphabet."""
    return LabelColumn.from_values(table[column].to_pylist())


def columns_of(table: pa.Table) -> dict[str, Column]:
    """The columns of pictures, texts and tags, those named as a role: image, image:google, text:de, tags:de."""
    made: dict[str, type[ImageColumn] | type[TextColumn]] = {
        "image": ImageColumn,
        "text": TextColumn,
        "tags": TagsColumn,
    }
    kinds = {name: kind_of(name) for name in table.column_names}
    return {name: made[kind](table[name]) for name, kind in kinds.items() if kind in made}


def names_of(splits: Mapping[str, np.ndarray], rows: int) -> pa.Array:
    """The name of each row's split, null where it is in none: what `splits_of` reads."""
    split = np.full(rows, None, object)
    for name, chosen in splits.items():
        split[chosen] = name
    return pa.array(list(split), pa.string())


def write_rows(
    path: Path,
    columns: Mapping[str, pa.Array | Sequence],
    *,
    groups: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    splits: Mapping[str, np.ndarray] | None = None,
    fractions: Mapping[str, float] = FRACTIONS,
) -> None:
    """Write rows as Parquet, with a group and a split each; splits are made by group and label unless given."""
    table = pa.table(dict(columns))
    if groups is None:
        groups = np.arange(table.num_rows)
    if splits is None:
        splits = make_splits(table.num_rows, fractions=fractions, groups=groups, labels=labels)
    table = table.append_column("split", names_of(splits, table.num_rows))
    table = table.append_column("group", pa.array(np.unique(groups, return_inverse=True)[1], pa.int32()))
    pq.write_table(table, path, compression="zstd")
