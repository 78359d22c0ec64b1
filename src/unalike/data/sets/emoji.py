"""The emoji: one thing in three styles of art and 28 languages."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import Column
from unalike.data.sets.stored import columns_of, groups_of, label_of, splits_of


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "emoji.parquet")
    columns: dict[str, Column] = {
        **columns_of(table),
        "label": label_of(table, "category"),
        "label:subgroup": label_of(table, "subcategory"),
    }
    ids = table["id"].to_pylist()
    return Collection(columns, name=name, ids=ids, splits=splits_of(table), groups=groups_of(table))
