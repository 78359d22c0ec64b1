"""Tables in files of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from unalike.data.table_base import ROWS, Use
from unalike.data.text_files import TextReading, find_encoding, open_text
from unalike.errors import DataError

JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}


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
            if len(next(iter(held.values()))) == ROWS:
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
        if use == "json":
            return value if isinstance(value, str) else json.dumps(value)
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
        with TextReading(self._path, self._encoding), open_text(self._path, self._encoding) as file:
            if ".json" in (suffix.lower() for suffix in self._path.suffixes):
                try:
                    whole = json.load(file)
                except (json.JSONDecodeError, RecursionError):  # one object a line, then
                    file.seek(0)
                else:
                    yield from enumerate(_rows_of(whole, self._path), 1)
                    return
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


def _rows_of(whole: Any, path: Path) -> list[dict[str, Any]]:
    """The rows of a file that is one JSON value: a list of objects, one under a key, or a list for each column."""
    if isinstance(whole, dict):
        tables = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        lists = [value for value in whole.values() if isinstance(value, list)]
        if len(tables) == 1:
            whole = tables[0]
        elif whole and len(lists) == len(whole) and len({len(value) for value in lists}) == 1 and not tables:
            return [dict(zip(whole, values, strict=True)) for values in zip(*whole.values(), strict=True)]
        else:
            whole = [whole]
    if not isinstance(whole, list) or not all(isinstance(row, dict) for row in whole):
        raise DataError(f"{path}: expected a list of objects ([{{...}}, ...]), or one object a line")
    return whole


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
