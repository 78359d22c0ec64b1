"""Time series from files: one a file, many a ``.ts`` file, or the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unalike.data.cases import Reading
from unalike.data.cases import series_column as series_column
from unalike.data.tables import CSV_SUFFIXES, PARQUET_SUFFIXES, open_table
from unalike.data.ts_files import read_ts
from unalike.data.wording import few
from unalike.errors import DataError

SERIES_SUFFIXES = CSV_SUFFIXES | PARQUET_SUFFIXES | {".ts", ".npy"}
"""What a folder of series holds."""

TIMES = ("time", "timestamp", "date", "datetime", "t")
"""A column of one of these names says when a step was; it is no channel."""


def read_file(path: Path, reading: Reading, encoding: str | None = None) -> np.ndarray:
    """One series out of a table whose columns are channels and whose rows are steps, or out of a ``.npy`` file.

    Raises:
        DataError: it cannot be read, has no column of numbers, or other channels than those before it.
    """
    if path.suffix.lower() == ".npy":
        try:
            values = np.load(path, allow_pickle=False)
        except Exception as error:  # ValueError, EOFError and whatever else a damaged file leads to
            raise DataError(f"it cannot be read as a NumPy array: {error}") from error
        if values.dtype.kind not in "fiub" or values.ndim not in (1, 2) or not values.size:
            raise DataError(
                f"an array of {values.dtype}, {values.shape}; expected numbers, (steps,) or (steps, channels)"
            )
        return np.atleast_2d(values.astype(np.float32).T)
    table = open_table(path, encoding)
    if table is None:
        raise DataError("it is no table")
    names = list(table.columns)
    if names and all(_is_number(name) for name in names):
        raise DataError(f"its first line holds numbers ({', '.join(names[:3])}); it must name the channels")
    data = table.read(dict.fromkeys(names, "anything"))
    times = next((name for name in names if name.strip().lower() in TIMES), None)
    columns = {name: numbers(data[name], name) for name in names if name != times}
    if not columns or not len(data):
        raise DataError(f"it has {len(data)} steps of {len(columns)} channels; expected one of each at least")
    channels = tuple(sorted(columns))  # so that other files, with other orders of columns, are read alike
    if reading.channels and channels != reading.channels:
        raise DataError(f"it has the channels {few(channels)}; others have {few(reading.channels)}")
    reading.channels = channels
    values = np.stack([columns[name] for name in channels])
    return values if times is None else in_time(values, data[times], times, reading)


def read_one(
    path: Path, names: Sequence[str] = (), *, id: str | None = None, channels: int = 1, encoding: str | None = None
) -> np.ndarray:
    """The one series ``(channels, steps)`` of a file, float32, NaN where a value is missing.

    Args:
        path: a table, a ``.ts`` or a ``.npy`` file.
        names: columns of a table with its channels, in their order, or with its steps; all columns, in the order of
            their names, unless given.
        id: a column of a table that says to which series each row belongs.
        channels: how many there are: fewer than ``names``, if these are steps.
        encoding: of a text file.

    Raises:
        DataError: it cannot be read, lacks a column, or holds no series or several.

    Example:
        >>> from unalike.data.series import read_one
        >>> written = (tmp / "heat.csv").write_text("time,heat\\n2,20.5\\n1,20.0\\n")
        >>> read_one(tmp / "heat.csv")
        array([[20. , 20.5]], dtype=float32)
    """
    suffix = path.suffix.lower()
    if suffix == ".ts":
        cases, _ = read_ts(path)
        return _only(cases, path)
    table = None if suffix == ".npy" else open_table(path, encoding)
    columns = [] if table is None else table.columns
    missing = [name for name in names if name not in columns]
    # Where rows of a table are series, a file may have one channel of any name, its rows being the steps.
    if table is None or (missing == list(names) and len(names) != channels):
        try:
            return read_file(path, Reading(), encoding)
        except DataError as error:
            raise DataError(f"{path} cannot be read as a series: {error}") from error
    if missing:
        raise DataError(f"{path} has no column {few(missing)}; a series here has {few(names)}")
    times = next((name for name in columns if name.lower() in TIMES and name not in names), None)
    asked = [*names, *(each for each in (id, times) if each is not None and each in columns)]
    data = table.read(dict.fromkeys(asked, "anything"))
    if not len(data):
        raise DataError(f"{path} has no rows")
    if len(names) == channels and not any(_is_list(data[name].type) for name in names):
        # Each row is a step.
        owners = set(data[id].to_pylist()) if id in columns else {None}
        if len(owners) > 1:
            raise DataError(f"{path} holds {len(owners)} series, by its column {id}; expected one")
        values = np.stack([numbers(data[name], name) for name in names])
        try:
            return values if times is None else in_time(values, data[times], times, Reading())
        except DataError as error:
            raise DataError(f"{path} cannot be read as a series: {error}") from error
    reading, _ = from_table(data, names, None, None, str(path))
    for failure in reading.failures.values():
        raise DataError(f"{path} cannot be read as a series: {failure.reason}")
    return _only([case for case in reading.cases if case is not None], path)


def _only(cases: Sequence[np.ndarray], path: Path) -> np.ndarray:
    if len(cases) != 1:
        raise DataError(f"{path} holds {len(cases) or 'no'} series; expected one")
    return cases[0]


def in_time(values: np.ndarray, times: pa.ChunkedArray, name: str, reading: Reading) -> np.ndarray:
    """Steps in the order of their times.

    Raises:
        DataError: a time is missing, cannot be read, or is there twice.
    """
    stamps = moments(times, name)
    order = np.argsort(stamps, kind="stable")
    gaps = np.diff(stamps[order])
    if (gaps == 0).any():
        raise DataError(f"{int((gaps == 0).sum())} steps have the {name} of another step; give each its own")
    if (np.diff(order) < 0).any():
        reading.count("steps out of order; they are sorted by time")
    if len(gaps) and gaps.max() > 1.5 * np.median(gaps):
        reading.count("steps that are not evenly spaced in time; they are taken as they come")
    return values[:, order]


def moments(times: pa.ChunkedArray, name: str) -> np.ndarray:
    """Float64 ``(steps,)`` out of numbers, dates, or either written as strings.

    Raises:
        DataError: one is missing or cannot be read.
    """
    kind = times.type
    if pa.types.is_dictionary(kind):
        times, kind = times.cast(kind.value_type), kind.value_type
    missing = times.null_count
    if missing:
        raise DataError(f"{missing} of {len(times)} steps have no {name}; give every step one, or leave the column out")
    if pa.types.is_temporal(kind):
        return np.asarray(times.cast(pa.int64() if not pa.types.is_date32(kind) else pa.int32()), np.float64)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return np.asarray(times.cast(pa.float64()))
    written = times.to_pylist()
    try:
        return np.array([float(text) for text in written])
    except ValueError:
        pass  # they are dates, then
    try:
        return np.array([text.strip().replace("Z", "") for text in written], "datetime64[us]").astype(np.float64)
    except ValueError as error:
        raise DataError(
            f"the {name} of a step cannot be read ({error}); expected numbers, or dates such as 2024-05-31T14:00"
        ) from error


def from_table(
    data: pa.Table, channels: Sequence[str], ids: Sequence[Any] | None, times: str | None, name: str
) -> tuple[Reading, np.ndarray]:
    """The series of a table, and the row at which each begins.

    Where ids repeat, each row is a step and each id a series. Else each row is a series: of several columns of numbers,
    which are its steps, or of columns of lists, which are its channels.

    Args:
        data: the table, ``times`` among its columns if that is not None.
        channels: names of the columns of the role.
        ids: one a row, or None.
        times: name of the column of times.
        name: what errors call the data.

    Raises:
        DataError: an id is missing, or a column holds something else than numbers or lists of them.
    """
    reading = Reading(channels=tuple(channels))
    lists = [_is_list(data[channel].type) for channel in channels]
    if any(lists):
        if not all(lists):
            raise DataError(f"of {', '.join(channels)} some hold lists and some do not; expected either")
        rows = zip(*(data[channel].to_pylist() for channel in channels), strict=True)
        for parts in rows:
            if all(part is None for part in parts):
                reading.cases.append(None)
            else:
                reading.add(lambda parts=parts: _stacked(parts))  # type: ignore[misc]
        return reading, np.arange(len(data))
    values = np.stack([numbers(data[channel], channel) for channel in channels])
    if ids is None or len(set(ids)) == len(ids):
        reading.cases = [None if np.isnan(row).all() else row[None] for row in values.T]
        return reading, np.arange(len(data))
    missing = sum(each is None or each != each for each in ids)
    if missing:
        raise DataError(f"{missing} of {len(ids)} steps of {name} do not say to which series they belong")
    members: dict[Any, list[int]] = {}
    for row, each in enumerate(ids):
        members.setdefault(each, []).append(row)
    for rows in members.values():  # type: ignore[assignment]
        chosen = np.asarray(rows)
        if times is None:
            reading.cases.append(values[:, chosen])
        else:
            stamps = data[times].take(pa.array(chosen))
            reading.add(lambda chosen=chosen, stamps=stamps: in_time(values[:, chosen], stamps, times, reading))  # type: ignore[misc]
    return reading, np.array([rows[0] for rows in members.values()], np.int64)


def numbers(values: pa.ChunkedArray, column: str) -> np.ndarray:
    """Float32 ``(rows,)``, NaN where a value is missing.

    Raises:
        DataError: the column holds something else than numbers.
    """
    try:
        floats = values.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"the column {column!r} is no channel of numbers: {error}") from error
    return np.asarray(pc.fill_null(floats, float("nan")), np.float32)


def _stacked(parts: Sequence[Sequence[float | None] | None]) -> np.ndarray:
    arrays = [np.array([np.nan if v is None else v for v in part or ()], np.float32) for part in parts]
    if len({len(array) for array in arrays}) != 1 or not len(arrays[0]):
        raise DataError(
            f"its channels have {', '.join(str(len(array)) for array in arrays)} steps; expected one number"
        )
    return np.stack(arrays)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def labels_of_series(values: Sequence[Any], first: np.ndarray, owners: np.ndarray) -> list[Any]:
    """The value of each series where every step bears one, which must be the same for all its steps.

    Args:
        values: one a step.
        first: the row at which each series begins.
        owners: the number of the series of each row.

    Raises:
        DataError: two steps of one series differ.
    """
    for row, value in enumerate(values):
        known = values[int(first[owners[row]])]
        if value != known and (value == value or known == known):
            raise DataError(
                f"row {row} is a step of a series that begins with the label {known!r} and says {value!r}; a series has"
                " one label"
            )
    return [values[int(row)] for row in first]
