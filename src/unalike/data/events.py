"""Events from a table: who chose what and when, made into one sequence of items a user."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unalike.data.clicks import ClicksColumn
from unalike.data.collection import Collection
from unalike.data.tables import table_of
from unalike.data.wording import counted, few
from unalike.errors import DataError


def open_clicks(
    source: Any,
    *,
    user: str,
    item: str,
    time: str | None = None,
    items: Any = None,
    name: str,
    encoding: str | None = None,
) -> Collection:
    """Make a collection with one row a user out of a table with one event a row.

    Events without a user, an item or a time are left out and counted, and so is an event that is there twice (the same
    user, item and time). Of equal times the order of the table decides.

    Args:
        source: CSV, TSV, Parquet or JSON lines; pandas or pyarrow in memory.
        user, item, time: names of its columns; without a time the order of the table is the order of the events.
            Times are numbers or ISO 8601 (``2026-03-01 12:30:05``).
        items: a table with the ids of the items (a column of the same name as ``item``, else the first) and their
            names (``title`` or ``name``, else the next).
        name: what reports call the collection.
        encoding: of both files, if it is not UTF-8.

    Raises:
        DataError: a column is missing, no event is whole, or the times cannot be read.

    Example:
        >>> import pyarrow as pa
        >>> from unalike.data.events import open_clicks
        >>> table = pa.table({"who": ["a", "b", "a"], "what": ["cup", "tea", "tea"], "when": [2, 5, 1]})
        >>> open_clicks(table, user="who", item="what", time="when", name="shop").row(0)
        {'id': 'a', 'clicks': ['tea', 'cup']}
    """
    columns = {"user": user, "item": item} | ({} if time is None else {"time": time})
    table = read_columns(source, columns, name, encoding)
    notes = []
    whole = np.ones(len(table), bool)
    for role, column in columns.items():
        there = np.asarray(pc.is_valid(table[column]), bool)
        if not there[whole].all():
            lost = int((whole & ~there).sum())
            notes.append(f"left out without {role} ({column}): {counted(lost, 'event')} of {len(table):,}")
        whole &= there
    if not whole.any():
        raise DataError(f"{name} has {len(table)} events and none with {' and '.join(columns.values())} filled in")
    table = table.filter(pa.array(whole))
    times = np.arange(len(table)) if time is None else as_times(table[time], time)
    users, who = numbered(table[user])
    what, vocabulary = numbered(table[item])
    if time is not None:
        if (np.diff(times) < 0).any() and any_backwards(users, times):
            notes.append(f"the events are not in the order of {time}; they were sorted, of equal times as they stood")
        kept = first_of_equal(users, what, times)
        if not kept.all():
            notes.append(f"left out as repeats of the same user, item and time: {counted(int((~kept).sum()), 'event')}")
        users, what, times = users[kept], what[kept], times[kept]
    order = np.lexsort((np.arange(len(users)), times, users))
    bounds = np.searchsorted(users[order], np.arange(len(who) + 1))
    titles = None
    if items is not None:
        titles, note = item_titles(items, item, vocabulary, encoding)
        notes += [note] if note else []
    clicks = ClicksColumn(what[order], bounds[:-1], bounds[1:], bounds[1:], vocabulary, titles=titles)
    return Collection({"clicks": clicks}, name=name, ids=who, notes=notes)


def read_columns(source: Any, columns: Mapping[str, str], name: str, encoding: str | None = None) -> pa.Table:
    """The named columns of a table, as strings or what the table holds."""
    table = table_of(source, encoding)
    if table is None:
        raise DataError(
            f"{source} is no table of events; expected a .csv, .tsv, .parquet or .jsonl file with one event a row"
        )
    for role, column in columns.items():
        if column not in table.columns:
            near = difflib.get_close_matches(column, table.columns, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"{name} has no column {column!r} for the {role} of an event; it has "
                f"{few(table.columns)}.{hint} Name it with --{role} COLUMN"
            )
    return table.read(dict.fromkeys(columns.values(), "anything"))


def numbered(values: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Int64 numbers of values in the order of appearance, and each value as a string."""
    if pa.types.is_floating(values.type):  # whole numbers with gaps arrive as floats
        whole = pc.all(pc.equal(values, pc.floor(values))).as_py()
        values = values.cast(pa.int64()) if whole else values
    texts = values.cast(pa.large_string())
    encoded = texts.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices, np.int64), encoded.dictionary.to_pylist()


def as_times(values: pa.ChunkedArray, column: str) -> np.ndarray:
    """Times as numbers that rise: int64 microseconds, or the numbers that are there.

    Raises:
        DataError: they are neither numbers nor dates.
    """
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        return np.asarray(values.cast(pa.timestamp("us")).cast(pa.int64()))
    for kind in (pa.int64(), pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            read = values.cast(kind)
        except pa.ArrowInvalid:
            continue
        numbers = np.asarray(read.cast(pa.int64()) if pa.types.is_timestamp(kind) else read)
        if not np.isfinite(numbers).all():
            raise DataError(f"the column {column!r} holds times that are not finite; remove these events")
        if numbers.dtype.kind == "f":  # microseconds keep fractions of a second apart
            return np.round(numbers * 1e6).astype(np.int64)
        return numbers
    raise DataError(
        f"the times in {column!r}, such as {values[0].as_py()!r}, are neither numbers nor dates; expected seconds, or "
        "ISO 8601 such as 2026-03-01 12:30:05, one way for all rows"
    )


def any_backwards(users: np.ndarray, times: np.ndarray) -> bool:
    """Whether a user's events are anywhere out of the order of time."""
    order = np.argsort(users, kind="stable")
    same = users[order][1:] == users[order][:-1]
    return bool((np.diff(times[order]) < 0)[same].any())


def first_of_equal(*columns: np.ndarray) -> np.ndarray:
    """Bool ``(N,)``: rows that equal no earlier row in all columns."""
    order = np.lexsort((np.arange(len(columns[0])), *columns))
    again = np.ones(len(order) - 1, bool)
    for column in columns:
        again &= column[order][1:] == column[order][:-1]
    kept = np.ones(len(order), bool)
    kept[order[1:][again]] = False
    return kept


def item_titles(
    source: Any, item: str, vocabulary: Sequence[str], encoding: str | None = None
) -> tuple[list[str | None], str | None]:
    """The names of items out of a table of them, and a note on how many have none.

    Raises:
        DataError: it has no two columns, or names none of the items.
    """
    table = table_of(source, encoding)
    if table is None or len(table.columns) < 2:
        raise DataError(f"{source} is no table of items; expected a file with a column of ids and one of names")
    names = list(table.columns)
    id_column = item if item in names else names[0]
    rest = [each for each in names if each != id_column]
    title_column = next((each for each in ("title", "name") if each in rest), rest[0])
    read = table.read({id_column: "anything", title_column: "anything"})
    pairs = zip(
        read[id_column].cast(pa.large_string()).to_pylist(),
        read[title_column].cast(pa.large_string()).to_pylist(),
        strict=True,
    )
    known = dict(pairs)
    titles = [known.get(each) for each in vocabulary]
    lost = sum(title is None for title in titles)
    if lost == len(titles):
        raise DataError(
            f"{source} names none of the items: its ids ({id_column}) look like {next(iter(known), None)!r}, "
            f"those of the events like {vocabulary[0]!r}"
        )
    return titles, f"without a name in {source}: {counted(lost, 'item')} of {len(titles):,}" if lost else None
