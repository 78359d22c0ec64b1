"""The kinds of things that data hold: one record each says how people call them and how they are read.

A kind of column is added by its record here, beside the file of its column; how the kind is then trained on, shown and
searched is said by a second record, in `unalike.encoders.kinds`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from unalike.data import casting, lists
from unalike.data.cases import series_column
from unalike.data.clips import ANIMATED_SUFFIXES, CLIP_SUFFIXES
from unalike.data.columns import ArrayColumn, Column, ImageColumn, LabelColumn, TextColumn
from unalike.data.images import MAX_PIXELS, PICTURE_SUFFIXES
from unalike.data.labels import LabelsColumn
from unalike.data.media import AudioColumn, ClipColumn, StackColumn, TagsColumn
from unalike.data.pixels import as_numpy, as_sources
from unalike.data.regions import BoxesColumn, MaskColumn
from unalike.data.roles import kind_of
from unalike.data.series import SERIES_SUFFIXES
from unalike.data.sound import SOUND_SUFFIXES, sound_column
from unalike.data.table_base import Table, Use
from unalike.errors import DataError
from unalike.registry import Registry


@dataclass(frozen=True)
class Cells:
    """The columns of a table that make one role, and what reading them takes.

    Args:
        data: the columns of the role, and no others.
        base: where relative paths start.
        max_pixels: largest picture that is decoded.
        classes: by column the names of classes that the table itself knows.
    """

    data: pa.Table
    base: Path
    max_pixels: int
    classes: Mapping[str, Sequence[str]]

    @property
    def name(self) -> str:
        """The first of the columns; most kinds take one only."""
        return str(self.data.column_names[0])

    @property
    def values(self) -> pa.ChunkedArray:
        """What the first of the columns holds."""
        return self.data[self.name]


@dataclass(frozen=True, kw_only=True)
class ColumnKind:
    """One kind of thing, as data hold it.

    Args:
        name: what roles of the kind begin with.
        one: how people call one of them, with its article, where a query can be one.
        many: how people call several.
        column: the class of its columns.
        by: how `unalike.Run.search` calls a query of this kind; None where no query is one.
        suffixes: endings of files that hold one of them each.
        use: what a table's columns of this kind are read for.
        several: whether several columns of a table, with commas between their names, make one role.
        cells: makes a column of a table's columns; None where no table holds the kind.
        values: makes a column of values in memory and of the largest picture in pixels; None where none can be given.
        flag: whether ``--NAME COLUMN`` on the command line names a column of this kind.
        modality: whether a system for any two or more modalities can take it for one.
        entry: whether it is something to embed, rather than something that is said of what is embedded.
    """

    name: str
    one: str = ""
    many: str
    column: type[Column] = Column  # type: ignore[type-abstract]
    by: str | None = None
    suffixes: frozenset[str] = frozenset()
    use: Use = "strings"
    several: bool = False
    cells: Callable[[Cells], Column] | None = None
    values: Callable[[Any, int], Column] | None = None
    flag: bool = True
    modality: bool = False
    entry: bool = True

    def of_query(self, query: Any) -> Column:
        """A column of one entry, made of a query: of the path of a file, where the kind is told by files, or of words.

        Raises:
            DataError: no query can be of this kind.
        """
        if self.by is None or self.values is None:
            asked = ", ".join(record.name for record in KINDS.values() if record.by)
            raise DataError(f"no query can be of the kind {self.name!r}; a query is of {asked}")
        return self.values([Path(query) if self.suffixes and isinstance(query, str) else query], MAX_PIXELS)


def _images(values: Any, max_pixels: int) -> ImageColumn:
    sources, notes = as_sources(values)
    return ImageColumn(sources, max_pixels=max_pixels, notes=notes)


_RECORDS = (
    ColumnKind(
        name="image",
        one="a picture",
        many="pictures",
        column=ImageColumn,
        by="picture",
        suffixes=PICTURE_SUFFIXES,
        cells=lambda cells: casting.as_images(cells.values, cells.name, cells.base, cells.max_pixels),
        values=_images,
        modality=True,
    ),
    ColumnKind(
        name="text",
        one="words",
        many="texts",
        column=TextColumn,
        by="words",
        cells=lambda cells: casting.as_text(cells.values, cells.name),
        values=lambda values, _: TextColumn(values),
        modality=True,
    ),
    ColumnKind(
        name="audio",
        one="a recording",
        many="recordings",
        column=AudioColumn,
        by="recording",
        suffixes=SOUND_SUFFIXES,
        cells=lambda cells: casting.as_recordings(cells.values, cells.name, cells.base),
        values=lambda values, _: sound_column(values),
        modality=True,
    ),
    ColumnKind(
        name="video",
        one="a clip",
        many="clips",
        column=ClipColumn,
        by="clip",
        suffixes=CLIP_SUFFIXES | ANIMATED_SUFFIXES,
        cells=lambda cells: casting.as_clips(cells.values, cells.name, cells.base),
        values=lambda values, _: ClipColumn(values),
        modality=True,
    ),
    ColumnKind(
        name="array",
        many="rows of numbers",
        column=ArrayColumn,
        use="numbers",
        several=True,
        cells=lambda cells: casting.as_array(dict(zip(cells.data.column_names, cells.data.columns, strict=True))),
        values=lambda values, _: ArrayColumn(values),
        modality=True,
    ),
    ColumnKind(
        name="series",
        one="the file of a series",
        many="series",
        column=StackColumn,
        by="series",
        suffixes=frozenset(SERIES_SUFFIXES),
        use="numbers",
        several=True,
        values=lambda values, _: series_column(values),
        modality=True,
    ),
    ColumnKind(
        name="label",
        many="labels",
        column=LabelColumn,
        use="anything",
        cells=lambda cells: casting.as_label(
            casting.as_values(cells.values, cells.name), cells.classes.get(cells.name)
        ),
        values=lambda values, _: LabelColumn.from_values(values),
        flag=False,
        entry=False,
    ),
    ColumnKind(
        name="labels",
        many="sets of labels",
        column=LabelsColumn,
        use="labels",
        cells=lambda cells: casting.as_labels(cells.values, cells.name),
        values=lambda values, _: LabelsColumn.from_values(values),
        entry=False,
    ),
    ColumnKind(
        name="boxes",
        many="boxes",
        column=BoxesColumn,
        use="json",
        cells=lambda cells: BoxesColumn.from_cells(cells.values, cells.name),
        values=lambda values, _: BoxesColumn.from_values(values),
        entry=False,
    ),
    ColumnKind(
        name="mask",
        many="masks",
        column=MaskColumn,
        cells=lambda cells: MaskColumn(casting.as_paths(cells.values, cells.name, cells.base, "masks")),
        values=lambda values, most: MaskColumn(values, max_pixels=most),
        entry=False,
    ),
    ColumnKind(name="tags", many="tags", column=TagsColumn),
    ColumnKind(name="points", many="clouds of points", column=StackColumn, flag=False, modality=True),
    ColumnKind(name="clicks", many="sequences of clicks", flag=False),
    ColumnKind(name="graph", many="nodes of a graph", flag=False),
)

KINDS: Registry[str, ColumnKind] = {record.name: record for record in _RECORDS}
"""Every kind of column by its name."""


def named_kinds() -> list[str]:
    """The kinds that a column of a table or values in memory can have by name."""
    return [record.name for record in KINDS.values() if record.values is not None]


def modalities() -> list[str]:
    """What a system without roles of its own learns from: two or more of these, whichever the data have."""
    return [record.name for record in KINDS.values() if record.modality]


def words_for(kind: str) -> str:
    """How people call several things of a kind; its own name where it has no record.

    Example:
        >>> from unalike.data.kinds import words_for
        >>> words_for("image")
        'pictures'
    """
    return KINDS[kind].many if kind in KINDS else kind


def is_entry(role: str) -> bool:
    """Whether a role holds something to embed, rather than something that is said of what is embedded."""
    record = KINDS.get(kind_of(role))
    return record is None or record.entry


def columns_of_role(table: Table, role: str, column: str, name: str) -> list[str]:
    """The table's columns that make a role: one, or for an array or series several with commas between them.

    Raises:
        DataError: an unknown kind of role, or a column that is not there.
    """
    several = _readable(role).several and column not in table.columns
    parts = [part.strip() for part in column.split(",")] if several else [column]
    wanted = [each for part in parts for each in (_ranged(table, part) if several else [part])]
    for each in wanted:
        casting.require_column(table, each, name)
    return wanted


def _ranged(table: Table, part: str) -> list[str]:
    """The columns of a range (``t0..t1999``, by their numbers) or of a pattern (``t*``, in the order of the table)."""
    ends = re.fullmatch(r"(.*?)(\d+)\.\.\1(\d+)", part)
    if part in table.columns or not (ends or re.search(r"[*?]", part)):
        return [part]
    if not ends:
        return [each for each in table.columns if fnmatch.fnmatchcase(each, part)] or [part]
    prefix, first, last = ends[1], int(ends[2]), int(ends[3])
    width = len(ends[2]) if ends[2].startswith("0") else 0
    if first > last:
        raise DataError(f"the range {part} runs backwards; expected the smaller number first")
    return [f"{prefix}{number:0{width}}" for number in range(first, last + 1)]


def use_of(role: str, kind: pa.DataType) -> Use:
    """What a column of some type is read for in a role."""
    if kind_of(role) in lists.SEVERAL and lists.is_list(kind):
        return "labels"
    return _readable(role).use


def columns_from_table(
    role: str, data: pa.Table, base: Path, max_pixels: int, classes: Mapping[str, Sequence[str]]
) -> dict[str, Column]:
    """The column of a role, or several where its cells are lists: ``text``, ``text:2`` and so on."""
    name = data.column_names[0]
    if kind_of(role) not in lists.SEVERAL or not lists.is_list(data[name].type):
        return {role: column_from_table(role, data, base, max_pixels, classes)}
    return {
        each: column_from_table(each, pa.table({name: values}), base, max_pixels, classes)
        for each, values in lists.apart(role, data[name], name).items()
    }


def column_from_table(
    role: str, data: pa.Table, base: Path, max_pixels: int, classes: Mapping[str, Sequence[str]]
) -> Column:
    """The column of a role, made of the table's columns that belong to it.

    Raises:
        DataError: they hold something of another type.
    """
    make = _readable(role).cells
    if make is None:
        raise DataError(f"the role {role!r} is not made of single columns of a table; see the page on its kind")
    return make(Cells(data, base, max_pixels, classes))


def columns_of(role: str, values: Any, max_pixels: int) -> dict[str, Column]:
    """The column of a role out of values in memory, or several where some of them are lists."""
    return {each: column_of(role, part, max_pixels) for each, part in lists.in_memory(role, values).items()}


def column_of(role: str, values: Any, max_pixels: int) -> Column:
    """The column of a role out of values in memory.

    Raises:
        DataError: there is no such kind, or the values are none of it.
    """
    if isinstance(values, Column):
        return values
    record = KINDS.get(kind_of(role))
    if record is None or record.values is None:
        raise DataError(f"there is no kind of column {kind_of(role)!r}; the kinds are {', '.join(named_kinds())}")
    return record.values(as_numpy(values) if hasattr(values, "detach") else casting.listed(values), max_pixels)


def _readable(role: str) -> ColumnKind:
    """The record of a role's kind, where data can be given for it by name."""
    record = KINDS.get(kind_of(role))
    if record is None or record.values is None:
        raise DataError(
            f"the role {role!r} is of no known kind; a role is {', '.join(named_kinds())}, or such as 'text:de'"
        )
    return record
