"""Tables that are in memory: of pyarrow, pandas, Polars, DuckDB and Hugging Face, and lists of rows."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from unalike.data.pixels import as_numpy, as_sources, is_picture
from unalike.data.table_base import MemoryTable
from unalike.errors import DataError


def memory_table(source: Any) -> MemoryTable | None:
    """What is in memory as a table; None for what is none. No package is imported to find out.

    A table is whatever speaks Arrow (``__arrow_c_stream__``: pyarrow, Polars, DuckDB), a pandas data frame, a `Dataset`
    or `DatasetDict` of Hugging Face, and a list of rows that are dictionaries.

    Raises:
        DataError: a column has values of mixed types, or two columns have one name.
    """
    if isinstance(source, pa.Table):
        return MemoryTable(source)
    datasets, pandas = sys.modules.get("datasets"), sys.modules.get("pandas")
    if datasets is not None and isinstance(source, datasets.Dataset | datasets.DatasetDict):
        return of_datasets(source)
    if pandas is not None and isinstance(source, pandas.DataFrame):
        return _of_frame(source)
    if isinstance(source, list | tuple) and source and all(isinstance(row, Mapping) for row in source):
        return _of_rows(source)
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        return _of_arrow(source)
    return None


def of_datasets(loaded: Any) -> MemoryTable:
    """A `Dataset` or `DatasetDict` of Hugging Face: nothing is decoded, pictures and sound stay bytes."""
    import datasets

    parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
    tables = [part.with_format("arrow")[:] for part in parts.values()]
    classes = {
        name: list(feature.names)
        for name, feature in next(iter(parts.values())).features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    ends = np.cumsum([0, *(len(part) for part in tables)])
    splits = {split: np.arange(ends[i], ends[i + 1]) for i, split in enumerate(parts) if split}
    return MemoryTable(pa.concat_tables(tables), classes, splits)


def _of_arrow(source: Any) -> MemoryTable | None:
    try:
        return MemoryTable(pa.table(source))
    except (pa.ArrowException, TypeError, ValueError) as error:
        if hasattr(source, "columns"):
            raise DataError(f"the {type(source).__name__} cannot be read as a table: {error}") from error
        return None  # a single column, which is no table


def _of_frame(frame: Any) -> MemoryTable:
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the data frame has several columns named {', '.join(twice)}; give each its own name")
    pictures = {name: found for name in frame.columns if (found := _pictures(frame[name])) is not None}
    try:
        rest = pa.Table.from_pandas(frame.drop(columns=list(pictures)), preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the data frame has a column of mixed types: {error}") from error
    return MemoryTable(rest, pictures={str(name): found for name, found in pictures.items()}, order=names)


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> MemoryTable:
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    pictures = {name: found for name, values in columns.items() if (found := _pictures(values)) is not None}
    made = {}
    for name, values in columns.items():
        if name not in pictures:
            try:
                made[name] = pa.array([as_numpy(value) for value in values], from_pandas=True)
            except (pa.ArrowException, TypeError, ValueError) as error:
                raise DataError(f"the column {name!r} has values of mixed types: {error}") from error
    return MemoryTable(pa.table(made), pictures=pictures, order=names)


def _pictures(values: Any) -> list[Any] | None:
    """The values of a column if they are pictures as PIL, NumPy or torch hold them, None where one is missing."""
    if getattr(values, "dtype", np.dtype(object)) != np.dtype(object):
        return None
    items = [as_numpy(value) for value in values]
    there = [item for item in items if isinstance(item, Image.Image) or is_picture(item)]
    missing = sum(item is None or (isinstance(item, float) and item != item) for item in items)
    if not there or len(there) + missing != len(items):
        return None
    return [item if isinstance(item, Image.Image | np.ndarray) else None for item in items]


def picture_sources(table: Any, column: str) -> tuple[Any, tuple[str, ...]] | None:
    """Pictures that a table holds as objects, ready for an `ImageColumn`, with notes; None of any other column."""
    held = getattr(table, "pictures", {}).get(column)
    if held is None:
        return None
    # Those of an archive stay there.
    return as_sources(held) if isinstance(held, list) else (held, ())
