"""One table in several files: the shards of a folder, or what a pattern such as ``data/*.parquet`` finds."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from unalike.data.folders import SPLITS, PictureFolder
from unalike.data.series import TIMES
from unalike.data.table_base import Table, Use
from unalike.data.tables import SERIES_TABLES, TABLE_SUFFIXES, ending_of, open_table
from unalike.errors import DataError

_NUMBERED = re.compile(r"(part|shard|chunk)[-_.]?\d+|\d+-of-\d+", re.I)


class ShardedTable:
    """Tables of the same columns, one after the other.

    Args:
        paths: the files, in the order of their rows.
        encoding: of text files, if not UTF-8.
        splits: the split of each file; None where its name says nothing.

    Raises:
        DataError: a file cannot be read, or has other columns than the first.
    """

    def __init__(self, paths: Sequence[Path], encoding: str | None = None, splits: Sequence[str | None] = ()) -> None:
        self._tables: list[Table] = []
        for path in paths:
            table = open_table(path, encoding)
            if table is None:
                raise DataError(f"{path} is no table; a table in several files has files of one kind")
            if self._tables and set(table.columns) != set(self._tables[0].columns):
                odd = set(table.columns) ^ set(self._tables[0].columns)
                raise DataError(
                    f"{path} has other columns than {paths[0]}: {', '.join(sorted(odd)[:10])}. The files of one table "
                    "have the same columns; give those of another kind alone"
                )
            self._tables.append(table)
        self.columns: Mapping[str, pa.DataType] = self._tables[0].columns
        self._splits = list(splits)
        self.splits: dict[str, np.ndarray] = {}

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        parts = [table.read(uses) for table in self._tables]
        ends = np.cumsum([0, *map(len, parts)])
        names = [split for split in dict.fromkeys(self._splits) if split is not None]
        if "train" in names and len(names) > 1 and None not in self._splits:
            for name in names:
                spans = zip(self._splits, itertools.pairwise(ends), strict=True)
                self.splits[name] = np.concatenate([np.arange(*span) for split, span in spans if split == name])
        try:
            return pa.concat_tables(parts, promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(f"the files of the table hold other types than each other: {error}") from error


def sharded(found: PictureFolder, asked: bool, encoding: str | None) -> ShardedTable | None:
    """The table that the files of a folder make together; None where they are series, one a file.

    They are a table where columns are asked for, where no series is kept in such files (JSON lines, Arrow), where they
    are numbered as shards are, or where the first has a column of texts.
    """
    paths = [Path(path) for path in found.paths]
    kinds = {ending_of(path) for path in paths}
    if not kinds <= TABLE_SUFFIXES or (len(paths) < 2 and not asked):
        return None
    numbered = all(_NUMBERED.search(path.name) for path in paths) and found.labels is None
    if not (asked or not kinds & SERIES_TABLES or numbered or _has_texts(paths[0], encoding)):
        return None
    split_of = {int(row): split for split, rows in found.splits.items() for row in rows}
    return ShardedTable(paths, encoding, [split_of.get(row, split_named(path)) for row, path in enumerate(paths)])


def split_named(path: Path) -> str | None:
    """The split that the beginning of a shard's name speaks of, such as ``train-00000-of-00002.parquet``."""
    return SPLITS.get(re.split(r"[-_.]", path.name)[0].lower())


def matched(pattern: str) -> list[Path]:
    """The files that a pattern with ``*``, ``?`` or ``[...]`` finds, in the order of their names; none of plain names.

    Raises:
        DataError: the pattern finds nothing.
    """
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return []
    paths = sorted(Path(found) for found in glob.glob(pattern, recursive=True) if Path(found).is_file())  # noqa: PTH207
    if not paths:
        raise DataError(f"no file matches {pattern!r}; look at the folder, or quote the pattern for the shell")
    return paths


def _has_texts(path: Path, encoding: str | None) -> bool:
    try:
        table = open_table(path, encoding)
    except DataError:  # of series one that cannot be read is left out, and counted
        return False
    if table is None:
        return False
    texts = [name for name, kind in table.columns.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]
    return any(name.strip().lower() not in TIMES for name in texts)
