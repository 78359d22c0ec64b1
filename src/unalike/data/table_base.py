"""What a table offers before it is read, and a table in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

Use = Literal["strings", "numbers", "anything", "labels"]
"""What a column is read for: strings (texts, paths), numbers (a feature), anything that names (label, group, id), or
sets of labels (lists, or texts)."""


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

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        return dict(zip(self.table.column_names, self.table.schema.types, strict=True))

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        return self.table.select(list(uses))
