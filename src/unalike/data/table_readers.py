"""Tables to collections: roles are played by columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unalike.data import casting, kinds, series
from unalike.data.assembling import How, assemble
from unalike.data.collection import Collection, skip_unreadable
from unalike.data.columns import Column, ImageColumn, LabelColumn
from unalike.data.memory_tables import picture_sources
from unalike.data.roles import kind_of
from unalike.data.table_base import Table, Use
from unalike.data.wording import few
from unalike.errors import DataError


def from_table(table: Table, how: How, name: str, base: Path) -> Collection:
    """A collection of the columns that play the asked roles."""
    named, roles, notes = how.columns_named(), dict(how.roles), []
    classes = getattr(table, "classes", {})
    if len(classes) == 1 and how.named["label"] is None and "label" not in roles:
        named["label"] = next(iter(classes))
    if not roles:
        roles = casting.default_roles(table, name, named.values())
        notes.append(
            " and ".join(
                f"the columns {few(column.split(','))} are taken as {role}"
                if "," in column and column not in table.columns
                else f"the column {column} is taken as {role}"
                for role, column in roles.items()
            )
        )
    if "label" in named:
        roles["label"] = named.pop("label")
    parts = {role: kinds.columns_of_role(table, role, column, name) for role, column in roles.items()}
    uses: dict[str, Use] = {}
    for role, wanted in parts.items():
        for column in wanted:
            uses.setdefault(column, kinds.use_of(role, table.columns[column]))
    for column in named.values():
        casting.require_column(table, column, name)
        uses.setdefault(column, "anything")
    if "series" in parts:
        others = sorted(set(parts) - {"series", "label"})
        if others:
            raise DataError(
                f"series and {', '.join(others)} in one table cannot be told apart; give series and a label"
            )
        times = next((each for each in table.columns if each.lower() in series.TIMES and each not in uses), None)
        if times is not None and "id" in named:
            uses[times] = "anything"
        named |= {"label": parts["label"][0]} if "label" in parts else {}
        return _from_long_table(table.read(uses), parts["series"], named, times, how, name)
    data = table.read(uses)
    columns: dict[str, Column] = {}
    for role, wanted in parts.items():
        held = picture_sources(table, wanted[0])
        if held is not None:
            columns[role] = _as_pictures(held, wanted[0], role, how)
            continue
        columns |= kinds.columns_from_table(role, data.select(wanted), base, how.max_pixels, classes)

    def look_up(column: str) -> list[Any]:
        return casting.as_values(data[column], column)

    return assemble(columns, how, name, splits=getattr(table, "splits", None), notes=notes, look_up=look_up)


def _as_pictures(held: tuple[Any, tuple[str, ...]], column: str, role: str, how: How) -> ImageColumn:
    if kind_of(role) != "image":
        raise DataError(f"the column {column!r} holds pictures, which cannot be {role}; take it with --image {column}")
    return ImageColumn(held[0], max_pixels=how.max_pixels, notes=held[1])


def _from_long_table(
    data: pa.Table, channels: Sequence[str], named: Mapping[str, str], times: str | None, how: How, name: str
) -> Collection:
    """Series of a table, by their ids if these repeat."""
    ids = casting.as_values(data[named["id"]], named["id"]) if "id" in named else None
    reading, first = series.from_table(data, channels, ids, times, name)
    owners = np.arange(len(data))
    if ids is not None and len(first) < len(ids):
        number = {ids[int(row)]: series_number for series_number, row in enumerate(first)}
        owners = np.array([number[each] for each in ids], np.int64)

    def look_up(column: str) -> list[Any]:
        values = casting.as_values(data[column], column)
        return series.labels_of_series(values, first, owners)

    columns: dict[str, Column] = {"series": reading.column(name)}
    if "label" in named:
        columns["label"] = LabelColumn.from_values(look_up(named["label"]))
    opened = assemble(columns, how, name, notes=reading.notes(), look_up=look_up)
    return skip_unreadable(opened, reading.failures, tolerance=how.tolerance)
