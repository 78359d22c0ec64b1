"""Tables from files: CSV, Parquet, JSON lines, saved Hugging Face datasets. Only the wanted columns are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from unalike.data.csv_tables import CSV_SUFFIXES as CSV_SUFFIXES
from unalike.data.csv_tables import CsvTable
from unalike.data.json_tables import JSON_SUFFIXES, JsonTable
from unalike.data.line_files import LINES_SUFFIXES, LinesTable
from unalike.data.memory_tables import memory_table as memory_table
from unalike.data.memory_tables import of_datasets
from unalike.data.table_base import COMPRESSED, ROWS, MemoryTable, Use
from unalike.data.table_base import Table as Table
from unalike.errors import DataError, MissingExtra

PARQUET_SUFFIXES = {".parquet", ".pq"}
ARROW_SUFFIXES = {".arrow", ".feather", ".ipc"}

TABLE_SUFFIXES = CSV_SUFFIXES | JSON_SUFFIXES | PARQUET_SUFFIXES | ARROW_SUFFIXES
"""Files of which several may be one table."""

SERIES_TABLES = CSV_SUFFIXES | PARQUET_SUFFIXES
"""Those of them of which each may be a series."""


class ParquetTable:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pyarrow.parquet.ParquetFile(path, memory_map=True)
            schema = self._file.schema_arrow
            self.columns: Mapping[str, pa.DataType] = dict(zip(schema.names, schema.types, strict=True))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # names of columns may be no UTF-8
            raise DataError(f"{path} cannot be read as Parquet: {error}") from error

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        schema = pa.schema([(name, self.columns[name]) for name in uses])
        try:
            batches = list(self._file.iter_batches(ROWS, columns=list(uses)))
            for batch in batches:
                batch.validate(full=True)  # strings that are no UTF-8 would fail wherever they are first looked at
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self._path} is damaged: {error}") from error
        return pa.Table.from_batches(batches).select(list(uses)) if batches else schema.empty_table()


def ending_of(path: Path) -> str:
    """The ending of a file's name that says what it holds, in lower case, beneath those of a compression."""
    return next(
        (suffix for suffix in reversed([each.lower() for each in path.suffixes]) if suffix not in COMPRESSED), ""
    )


def open_table(path: Path, encoding: str | None = None) -> Table | None:
    """The table in a file, by the ending of its name; None where that is of no known kind."""
    ending = ending_of(path)
    if ending in ARROW_SUFFIXES:
        return _open_arrow(path)
    if ending in LINES_SUFFIXES:
        return LinesTable(path, encoding)
    if ending in CSV_SUFFIXES:
        return CsvTable(path, encoding)
    if ending in JSON_SUFFIXES:
        return JsonTable(path, encoding)
    if ending in PARQUET_SUFFIXES:
        return ParquetTable(path)
    return None


def _open_arrow(path: Path) -> MemoryTable:
    """A file of Arrow or Feather, mapped, of the format with an index or of a stream."""
    try:
        with pa.memory_map(str(path)) as mapped:
            head = bytes(mapped.read(6))
        if head == b"ARROW1":
            return MemoryTable(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
        if head.startswith(b"FEA1"):
            raise DataError(f"{path} is of Feather's first version, which pyarrow gives up; write it as Parquet")
        return MemoryTable(pa.ipc.open_stream(pa.memory_map(str(path))).read_all())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as Arrow or Feather: {error}") from error


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets.Dataset.save_to_disk` or `datasets.DatasetDict.save_to_disk` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def open_saved_dataset(folder: Path) -> MemoryTable:
    """A Hugging Face dataset from a disk, as a mapped table: nothing is decoded, pictures and sound stay bytes.

    Raises:
        MissingExtra: the package `datasets` is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "hub") from error
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged folder fails in json, in pyarrow or in datasets itself
        raise DataError(f"{folder} cannot be read as a Hugging Face dataset: {error}") from error
    return of_datasets(loaded)


def table_of(source: Any, encoding: str | None) -> Table | None:
    """A table from memory or from a file, its columns yet to be read; None for anything else."""
    if isinstance(source, str | Path):
        return open_table(Path(source), encoding) if Path(source).is_file() else None
    return memory_table(source)
