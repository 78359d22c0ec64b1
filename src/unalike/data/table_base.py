"""What a table offers before it is read, and a table in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from unalike.errors import DataError

Use = Literal["strings", "numbers", "anything", "labels", "json"]
"""What a column is read for: strings (texts, paths), numbers (a feature), anything that names (label, group, id), sets
of labels (lists, or texts), or lists of lists and records (in a text file as JSON)."""


COMPRESSED = {".gz", ".bz2", ".zst"}


ROWS = 16384
"""Rows that are read at a time."""


class Table(Protocol):
    """A table whose columns are known and not yet read."""

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        """Types by name, in order."""

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        """The columns that are keys of ``uses``."""


@dataclass
class MemoryTable:
    """A table that is in memory already, or mapped there."""

    table: pa.Table
    classes: dict[str, list[str]] = field(default_factory=dict)
    """Names of the classes of columns that hold class numbers."""
    splits: dict[str, np.ndarray] = field(default_factory=dict)
    """Row numbers by split."""
    pictures: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Columns of pictures that are objects, which Arrow does not hold."""
    order: Sequence[str] = ()
    """The names of all columns, where some are pictures."""

    def __post_init__(self) -> None:
        names = self.table.column_names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"the table has several columns named {', '.join(twice)}; give each its own name")

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        types = dict(zip(self.table.column_names, self.table.schema.types, strict=True))
        return {name: types.get(name, pa.binary()) for name in self.order or types}

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        return self.table.select([name for name in uses if name not in self.pictures])
