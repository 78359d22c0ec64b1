"""Lists in the cells of a table: several texts or pictures of one row, each in a role of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unalike.data.roles import kind_of
from unalike.errors import DataError

SEVERAL = ("text", "image")
"""Kinds of column of which one row may have a list."""
MOST = 64
"""The longest list: each place in it becomes a role."""


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of a table holds lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def places(role: str, count: int) -> list[str]:
    """The roles of a list's places: ``text``, ``text:2``, ``text:3``.

    Example:
        >>> from unalike.data.lists import places
        >>> places("text:negative", 2)
        ['text:negative', 'text:negative:2']
    """
    return [role, *(f"{role}:{number}" for number in range(2, count + 1))]


def apart(role: str, values: pa.ChunkedArray, column: str) -> dict[str, pa.ChunkedArray]:
    """A column of lists as one column for each place in them; null where a list is shorter.

    Raises:
        DataError: a list is longer than `MOST`, or all are empty.
    """
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    lengths = np.asarray(pc.fill_null(pc.list_value_length(whole), 0), np.int64)
    longest = int(lengths.max(initial=0))
    if not 1 <= longest <= MOST:
        raise DataError(
            f"the lists in {column!r} hold up to {longest} entries; expected 1 to {MOST}: each is a positive, or a "
            "negative, of its own"
        )
    items, starts = pc.list_flatten(whole), np.cumsum(lengths) - lengths
    found = {}
    for place, name in enumerate(places(role, longest)):
        there = lengths > place
        found[name] = pa.chunked_array([items.take(pa.array(starts + place, mask=~there))])
    return found


def in_memory(role: str, values: Any) -> dict[str, Any]:
    """Values in memory by role: several roles where some of them are lists of texts or pictures."""
    kind = kind_of(role)
    if kind not in SEVERAL or not isinstance(values, Sequence) or isinstance(values, str | bytes):
        return {role: values}
    if not any(isinstance(value, list | tuple) for value in values):
        return {role: values}
    rows = [list(value) if isinstance(value, list | tuple) else [value] for value in values]
    longest = max(len(row) for row in rows)
    if not 1 <= longest <= MOST:
        raise DataError(f"lists of {role} hold up to {longest} entries; expected 1 to {MOST}")
    return {
        name: [row[place] if place < len(row) else None for row in rows]
        for place, name in enumerate(places(role, longest))
    }
