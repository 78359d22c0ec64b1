"""Tables from files: CSV, Parquet, JSON lines, saved Hugging Face datasets. Only the wanted columns are read."""

from __future__ import annotations

import codecs
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from unalike.errors import DataError, MissingExtra

Use = Literal["strings", "numbers", "anything", "labels"]
"""What a column is read for: strings (texts, paths), numbers (a feature), anything that names (label, group, id), or
sets of labels (lists, or texts)."""

CSV_SUFFIXES = {".csv", ".tsv", ".tab"}
JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
PARQUET_SUFFIXES = {".parquet", ".pq"}
COMPRESSED = {".gz", ".bz2", ".zst"}

_MISSING = ["", "NaN", "nan", "<NA>", "#N/A"]
"""Cells of a CSV file that stand for nothing. "NA" and "null" do not: they may be Namibia, or a word."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK = 8 << 20
_ROWS = 16384


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
            batches = list(self._file.iter_batches(_ROWS, columns=list(uses)))
            for batch in batches:
                batch.validate(full=True)  # strings that are no UTF-8 would fail wherever they are first looked at
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self._path} is damaged: {error}") from error
        return pa.Table.from_batches(batches).select(list(uses)) if batches else schema.empty_table()


class CsvTable:
    """A CSV or TSV file with a header, in any encoding that Python knows; a byte order mark decides by itself."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self._path = path
        self._encoding = find_encoding(path, encoding)
        self.columns: Mapping[str, pa.DataType] = {}
        with self._reading():
            self._delimiter = "\t" if {".tsv", ".tab"} & set(path.suffixes) else self._sniff()
            schema = self._open(pyarrow.csv.ConvertOptions(null_values=_MISSING, strings_can_be_null=True)).schema
            names = schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"{path} has several columns named {', '.join(twice)}; give each its own name")
        self.columns = dict(zip(names, schema.types, strict=True))

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        types = {name: pa.float64() if use == "numbers" else pa.large_string() for name, use in uses.items()}
        options = pyarrow.csv.ConvertOptions(
            include_columns=list(uses), column_types=types, null_values=_MISSING, strings_can_be_null=True
        )
        with self._reading():
            return pa.Table.from_batches(self._open(options), pa.schema(list(types.items())))

    def _open(self, convert: pyarrow.csv.ConvertOptions) -> pyarrow.csv.CSVStreamingReader:
        return pyarrow.csv.open_csv(
            pa.input_stream(str(self._path), compression="detect"),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK, encoding=self._encoding),
            pyarrow.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert,
        )

    def _sniff(self) -> str:
        """The delimiter: what the header has most of. Spreadsheets in much of Europe write semicolons."""
        with open_text(self._path, self._encoding) as file:
            header = file.readline(1 << 16)
        return max(",;\t", key=header.count)

    def _reading(self) -> _Reading:
        return _Reading(self._path, self._encoding, tuple(self.columns))


_NO_NUMBER = re.compile(
    r"In CSV column #(?P<column>\d+): (?:Row #(?P<line>\d+): )?CSV conversion error to double: invalid value "
    r"'(?P<value>.*?)'"
)


@dataclass
class _Reading:
    """Turns what goes wrong while a text file is read into a `DataError` that names the place."""

    path: Path
    encoding: str
    names: Sequence[str] = ()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnicodeError) or (isinstance(error, pa.ArrowInvalid) and "UTF8" in str(error)):
            raise DataError(wrong_encoding(self.path, self.encoding)) from error
        if isinstance(error, pa.ArrowInvalid) and "Empty CSV" in str(error):
            raise DataError(f"{self.path} is empty; expected a header and rows") from error
        wrong = _NO_NUMBER.search(str(error))
        if isinstance(error, pa.ArrowInvalid) and wrong is not None:
            line = f" in line {wrong['line']}" if wrong["line"] else ""
            raise DataError(
                f"{self.path}: the column {self.names[int(wrong['column'])]!r} is wanted as numbers, but holds "
                f"{wrong['value']!r}{line}. Give a number there, or an empty cell for a missing one, or leave the "
                "column out (--array with the other columns)"
            ) from error
        if isinstance(error, pa.ArrowException | OSError):
            raise DataError(
                f"{self.path} cannot be read: {error}. A cell that holds the delimiter, a quote or a line break"
                ' stands in quotes ("...")'
            ) from error


class JsonTable:
    """A file of JSON lines: one object a line, keys are columns, blank lines are skipped."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self._path = path
        self._encoding = find_encoding(path, encoding)
        columns: dict[str, pa.DataType] = {}
        for (_, row), _ in zip(self._rows(), range(1000), strict=False):
            for name, value in row.items():
                if columns.get(name, pa.null()) == pa.null():
                    columns[name] = _json_type(value)
        self.columns: Mapping[str, pa.DataType] = columns

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        types: dict[str, pa.DataType] = {name: self._type(name, use) for name, use in uses.items()}
        parts: dict[str, list[pa.Array]] = {name: [] for name in uses}
        held: dict[str, list[Any]] = {name: [] for name in uses}
        for line, row in self._rows():
            for name, use in uses.items():
                held[name].append(self._checked(row.get(name), use, types[name], name, line))
            if len(next(iter(held.values()))) == _ROWS:
                _flush(held, parts, types)
        _flush(held, parts, types)
        return pa.table({name: pa.chunked_array(parts[name], types[name]) for name in uses})

    def _type(self, name: str, use: Use) -> pa.DataType:
        if use == "labels" and pa.types.is_list(self.columns[name]):
            return pa.large_list(pa.large_string())
        if use != "numbers":
            return pa.large_string()
        return pa.large_list(pa.float64()) if pa.types.is_list(self.columns[name]) else pa.float64()

    def _checked(self, value: Any, use: Use, expected: pa.DataType, name: str, line: int) -> Any:
        if value is None:
            return None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if use == "anything" and isinstance(value, str | int | float):
            return str(value) if not isinstance(value, float) or value == value else None
        if use == "strings" and (isinstance(value, str) or value != value):
            return value if isinstance(value, str) else None  # NaN, which Python's JSON writes, is no string
        if use == "numbers" and number and pa.types.is_floating(expected):
            return float(value)
        if use == "numbers" and isinstance(value, list) and pa.types.is_large_list(expected):
            return value
        if use == "labels" and isinstance(value, str) and not pa.types.is_large_list(expected):
            return value
        names = isinstance(value, list) and all(each is None or isinstance(each, str | int | float) for each in value)
        if use == "labels" and names and pa.types.is_large_list(expected):
            return [None if each is None else str(each) for each in value]
        wanted = {"strings": "a string", "anything": "a string or a number", "numbers": f"{expected}"}.get(
            use, "a list of labels" if pa.types.is_large_list(expected) else "a text of labels, as the rows before"
        )
        raise DataError(
            f"{self._path}, line {line}: {name!r} holds {json.dumps(value, ensure_ascii=False)[:40]}; expected {wanted}"
        )

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with _Reading(self._path, self._encoding), open_text(self._path, self._encoding) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    raise DataError(f"{self._path}, line {number} is not JSON ({error}): {_short(line)}") from error
                if not isinstance(row, dict):
                    raise DataError(
                        f"{self._path}, line {number}: expected one object a line ({{...}}): {_short(line)}"
                    )
                yield number, row


def open_table(path: Path, encoding: str | None = None) -> Table | None:
    """The table in a file, by the ending of its name; None where that is of no known kind."""
    endings = [suffix.lower() for suffix in path.suffixes]
    ending = next((suffix for suffix in reversed(endings) if suffix not in COMPRESSED), "")
    if ending in CSV_SUFFIXES:
        return CsvTable(path, encoding)
    if ending in JSON_SUFFIXES:
        return JsonTable(path, encoding)
    if ending in PARQUET_SUFFIXES:
        return ParquetTable(path)
    return None


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets.Dataset.save_to_disk` or `datasets.DatasetDict.save_to_disk` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def open_saved_dataset(folder: Path) -> tuple[MemoryTable, dict[str, np.ndarray]]:
    """A Hugging Face dataset from a disk, as a mapped table: nothing is decoded, pictures and sound stay bytes.

    Returns:
        The table, and the row numbers of each split if there are splits.

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
    parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
    tables = [part.with_format("arrow")[:] for part in parts.values()]
    classes = {
        name: list(feature.names)
        for name, feature in next(iter(parts.values())).features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    ends = np.cumsum([0, *(len(part) for part in tables)])
    splits = {split: np.arange(ends[i], ends[i + 1]) for i, split in enumerate(parts) if split}
    return MemoryTable(pa.concat_tables(tables), classes), splits


def find_encoding(path: Path, encoding: str | None) -> str:
    """The encoding of a text file: that of its byte order mark, else the one given, else UTF-8.

    Raises:
        DataError: Python knows no encoding of the given name, or the file cannot be opened.
    """
    try:
        name = codecs.lookup(encoding or "utf-8").name
    except LookupError:
        raise DataError(f"there is no encoding {encoding!r}; common ones are utf-8, latin-1, cp1252, utf-16") from None
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    for mark, marked in _BOMS:
        if head.startswith(mark):
            return marked
    if b"\0" in head and name == "utf-8":
        raise DataError(
            f"{path} begins with zero bytes among its letters: it is UTF-16 without a byte order mark (try"
            " encoding='utf-16-le', --encoding utf-16-le), or no text at all"
        )
    return name


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """A text file, decompressed as its name says, without its byte order mark."""
    stream: Any = pa.input_stream(str(path), compression="detect")
    return io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf-8" else encoding, newline="\n")


def wrong_encoding(path: Path, encoding: str) -> str:
    """Which byte of a file is not of the encoding, and what to do."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, offset = 1, 0
    with pa.input_stream(str(path), compression="detect") as file:
        while block := file.read(1 << 20):
            pending = len(decoder.getstate()[0])
            try:
                line += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                byte = error.object[error.start]
                where = f"byte 0x{byte:02x} at offset {offset - pending + error.start}, line {line}"
                break
            offset += len(block)
        else:
            where = "it ends in the middle of a character"
    return (
        f"{path} is not {encoding.upper()} ({where}). Say which encoding it has, for instance encoding='latin-1'"
        " (--encoding latin-1), or save it as UTF-8"
    )


def memory_table(source: Any) -> MemoryTable | None:
    """A pyarrow table or a pandas data frame as a table; None for anything else. Pandas is never imported for it."""
    if isinstance(source, pa.Table):
        return MemoryTable(source)
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(source, pandas.DataFrame):
        return None
    try:
        return MemoryTable(pa.Table.from_pandas(source, preserve_index=False))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the data frame has a column of mixed types: {error}") from error


def table_of(source: Any, encoding: str | None) -> Table | None:
    """A table from memory or from a file, its columns yet to be read; None for anything else."""
    if isinstance(source, str | Path):
        return open_table(Path(source), encoding) if Path(source).is_file() else None
    return memory_table(source)


def _flush(held: dict[str, list[Any]], parts: dict[str, list[pa.Array]], types: Mapping[str, pa.DataType]) -> None:
    for name, values in held.items():
        try:
            parts[name].append(pa.array(values, types[name]))
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            raise DataError(f"the column {name!r} cannot be read as {types[name]}: {error}") from error
        values.clear()


def _json_type(value: Any) -> pa.DataType:
    if value is None or value != value:
        return pa.null()
    if isinstance(value, str):
        return pa.large_string()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int | float):
        return pa.float64()
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return pa.list_(pa.large_string())
    numbers = isinstance(value, list) and all(isinstance(each, int | float) for each in value)
    return pa.list_(pa.float64()) if numbers else pa.struct([])


def _short(line: str, most: int = 60) -> str:
    line = line.strip()
    return line if len(line) <= most else line[:most] + "..."
