"""Cells of text files as numbers, as people and programs write them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "?", "-", "--", ".")
"""What stands for a missing number, in lower case."""

_DECIMAL_COMMA = r"^[+-]?\d+,\d+([eE][+-]?\d+)?$"


class NoNumber(ValueError):
    """A cell that is no number: ``value``, in the row ``row``, counted from 0."""

    def __init__(self, row: int, value: str) -> None:
        super().__init__(f"{value!r} in row {row} is no number")
        self.row, self.value = row, value


def as_numbers(cells: pa.ChunkedArray | pa.Array, *, decimal_comma: bool = False) -> pa.ChunkedArray | pa.Array:
    """Strings as float64, null where a cell says that its number is missing.

    Args:
        cells: strings.
        decimal_comma: whether ``0,5`` is a half, as far as no number of the column has a point.

    Raises:
        NoNumber: a cell is neither a number nor in `MISSING`.

    Example:
        >>> import pyarrow as pa
        >>> from unalike.data.cells import as_numbers
        >>> as_numbers(pa.array(["0,5", "NA", " 2 "]), decimal_comma=True).to_pylist()
        [0.5, None, 2.0]
    """
    texts = pc.utf8_trim_whitespace(cells.cast(pa.large_string()))
    missing = pc.is_in(pc.utf8_lower(texts), pa.array(MISSING, pa.large_string()))
    texts = pc.if_else(pc.fill_null(missing, True), pa.scalar(None, pa.large_string()), texts)
    points = pc.any(pc.match_substring(texts, ".")).as_py()
    if decimal_comma and not points and pc.any(pc.match_substring_regex(texts, _DECIMAL_COMMA)).as_py():
        texts = pc.replace_substring(texts, ",", ".")
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        for row, text in enumerate(texts.to_pylist()):
            if text is not None and not _is_number(text):
                raise NoNumber(row, cells[row].as_py()) from None
        raise


def looks_numeric(cells: pa.ChunkedArray | pa.Array, decimal_comma: bool) -> bool:
    """Whether there are numbers among some cells and nothing else but what is missing."""
    try:
        return bool(pc.any(pc.is_valid(as_numbers(cells, decimal_comma=decimal_comma))).as_py())
    except NoNumber:
        return False


def _is_number(text: str) -> bool:
    try:
        pa.scalar(text).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
