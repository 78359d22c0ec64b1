"""From the columns of a table to the columns of a collection: which column plays which role, and of what type it is."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unalike.data.columns import ArrayColumn, ImageColumn, LabelColumn, TextColumn
from unalike.data.labels import LabelsColumn
from unalike.data.media import AudioColumn, ClipColumn
from unalike.data.table_base import Table
from unalike.data.wording import few
from unalike.errors import DataError


def default_roles(table: Table, name: str, taken: Iterable[str]) -> dict[str, str]:
    """The only reading that a table without named roles admits.

    That is: one column of encoded pictures, one column of strings, or both; else all columns of numbers as one array.

    Raises:
        DataError: there are several readings, or none. The message lists the columns and the flags.
    """
    columns = {column: kind for column, kind in table.columns.items() if column not in {*taken, "__key__"}}
    pictures = [column for column, kind in columns.items() if _is_encoded(kind)]
    texts = [column for column, kind in columns.items() if _is_string(kind)]
    numbers = [column for column, kind in columns.items() if _is_number(kind) or _is_number_list(kind)]
    if len(pictures) <= 1 and len(texts) <= 1 and pictures + texts:
        return dict([("image", column) for column in pictures] + [("text", column) for column in texts])
    if not pictures and not texts and numbers:
        return {"array": numbers[0] if len(numbers) == 1 else ",".join(numbers)}
    raise DataError(
        f"{name} has the columns {few(table.columns)}. Say which of them hold pictures and which hold"
        " texts: --image COLUMN --text COLUMN, in Python roles={'image': COLUMN, 'text': COLUMN}; events are told by"
        " --user COLUMN --item COLUMN, nodes of a graph by --edges FILE"
    )


def require_column(table: Table, column: str, name: str) -> None:
    """Raise a `DataError` that lists the columns and names the nearest one, if ``column`` is none of them."""
    if column not in table.columns:
        near = difflib.get_close_matches(column, table.columns, 1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"{name} has no column {column!r}; it has {few(table.columns)}{hint}")


def as_text(values: pa.ChunkedArray, column: str) -> TextColumn:
    """Strings as texts."""
    if not _is_string(values.type) and not pa.types.is_null(values.type):
        raise _wrong_type(values.type, column, "strings, for texts")
    return TextColumn(values)


def as_recordings(values: pa.ChunkedArray, column: str, base: Path) -> AudioColumn:
    """Paths as recordings. Relative ones start at ``base``."""
    return AudioColumn(as_paths(values, column, base, "recordings"))


def as_clips(values: pa.ChunkedArray, column: str, base: Path) -> ClipColumn:
    """Paths as clips. Relative ones start at ``base``."""
    return ClipColumn(as_paths(values, column, base, "clips"))


def as_paths(values: pa.ChunkedArray, column: str, base: Path, what: str) -> list[str | None]:
    """The paths of files, None where there is none. Relative ones start at ``base``."""
    if not _is_string(values.type):
        raise _wrong_type(values.type, column, f"paths of {what}")
    return _paths(values, base)


def as_images(values: pa.ChunkedArray, column: str, base: Path, max_pixels: int) -> ImageColumn:
    """Paths, encoded files, or the Hugging Face structure of both, as pictures. Relative paths start at ``base``."""
    kind = values.type
    if _is_bytes(kind):
        return ImageColumn(values, max_pixels=max_pixels)
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
        encoded, paths = pc.struct_field(values, "bytes"), pc.struct_field(values, "path")
        if encoded.null_count == values.null_count:
            return ImageColumn(encoded, max_pixels=max_pixels)
        both = zip(encoded.to_pylist(), _paths(paths, base), strict=True)
        return ImageColumn([path if data is None else data for data, path in both], max_pixels=max_pixels)
    if _is_string(kind):
        return ImageColumn(_paths(values, base), max_pixels=max_pixels)
    raise _wrong_type(kind, column, "paths or encoded pictures")


def as_array(values: Mapping[str, pa.ChunkedArray]) -> ArrayColumn:
    """Columns of numbers side by side, or one column of lists of numbers of one length."""
    if len(values) == 1 and _is_number_list(next(iter(values.values())).type):
        ((column, lists),) = values.items()
        lengths = pc.unique(pc.list_value_length(lists).drop_null()).to_pylist()
        if len(lengths) != 1 or not lengths[0]:
            raise DataError(f"the lists in {column!r} have {len(lengths)} different lengths; expected one for all rows")
        matrix = np.full((len(lists), lengths[0]), np.nan, np.float32)
        flat = pc.fill_null(pc.list_flatten(lists).cast(pa.float32()), float("nan"))
        matrix[np.asarray(pc.is_valid(lists))] = np.asarray(flat).reshape(-1, lengths[0])
        return ArrayColumn(matrix)
    for column, numbers in values.items():
        if not _is_number(numbers.type):
            raise _wrong_type(numbers.type, column, "numbers, or lists of numbers")
    floats = [numbers.cast(pa.float32(), safe=False) for numbers in values.values()]
    return ArrayColumn(np.stack([np.asarray(pc.fill_null(each, float("nan"))) for each in floats], axis=1))


def as_values(values: pa.ChunkedArray, column: str) -> list[Any]:
    """Anything that can name something: strings, whole numbers, truth values, dates."""
    kind = values.type
    if pa.types.is_nested(kind) or _is_bytes(kind):
        raise _wrong_type(kind, column, "strings or numbers, for names")
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
    return values.to_pylist()


def as_label(values: Sequence[Any], classes: Sequence[str] | None) -> LabelColumn:
    """Values as classes, or class numbers where the names of the classes are known."""
    if classes is None:
        return LabelColumn.from_values(values)
    return LabelColumn(np.array([-1 if value is None else value for value in values], np.int64), classes)


def as_labels(values: pa.ChunkedArray, column: str) -> LabelsColumn:
    """Lists of labels, or texts that hold several, as sets of labels."""
    kind = values.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    inner = kind.value_type if is_list else kind
    if not (_is_string(inner) or pa.types.is_null(inner) or (is_list and _is_number(inner))):
        raise _wrong_type(kind, column, "lists of labels, or texts that hold several")
    try:
        return LabelsColumn.from_values(values.to_pylist())
    except DataError as error:
        raise DataError(f"the column {column!r}: {error}") from error


def as_groups(values: Sequence[Any]) -> np.ndarray:
    """Numbers of groups, counted from 0; a row without one is a group of its own."""
    codes = LabelColumn.from_values(values).codes.copy()
    alone = np.flatnonzero(codes < 0)
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(len(alone))
    return codes


def as_ids(values: Sequence[Any], what: str) -> list[str]:
    """Values as ids, none of which may be missing."""
    missing = [row for row, value in enumerate(values) if value is None or value != value]
    if missing:
        raise DataError(f"{what} is empty in {len(missing)} rows, such as row {missing[0]}; every row has one")
    return [str(value) for value in values]


def listed(values: Any) -> Any:
    """Values with None where one is missing, as pandas and NumPy write it otherwise; what is no such list as it is."""
    if hasattr(values, "isna") and hasattr(values, "tolist"):
        return [None if gone else value for value, gone in zip(values.tolist(), values.isna(), strict=True)]
    if isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.dtype == object):
        return [None if isinstance(value, float) and value != value else value for value in values]
    return values


def _paths(values: pa.ChunkedArray, base: Path) -> list[str | None]:
    folder = str(base)
    return [located(os.path.join(folder, path)) if path else None for path in values.to_pylist()]  # noqa: PTH118


def located(path: str) -> str:
    """The path of a file that a table of another machine names: Windows' backslashes, a Mac's way to write accents.

    A path that leads to a file stays as it is, and so does one that leads nowhere however it is written.
    """
    if (path.isascii() and "\\" not in path) or os.path.exists(path):  # noqa: PTH110 (10 x Path)
        return path
    written = [path, path.replace("\\", "/")]
    spelt = [*written, *(unicodedata.normalize(form, each) for each in written for form in ("NFC", "NFD"))]
    return next((each for each in spelt if os.path.exists(each)), path)  # noqa: PTH110


def _wrong_type(kind: pa.DataType, column: str, expected: str) -> DataError:
    return DataError(f"the column {column!r} holds {kind}; expected {expected}. Name another column")


def _is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_encoded(kind: pa.DataType) -> bool:
    return _is_bytes(kind) or (pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind})


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _is_number_list(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and _is_number(kind.value_type))
