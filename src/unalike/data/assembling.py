"""From columns to a collection: what was asked for is put together, checked, and what is odd about it told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from unalike.data import casting, sound
from unalike.data.collection import TOLERANCE, Collection, skip_unreadable
from unalike.data.columns import ArrayColumn, Column, ImageColumn, LabelColumn
from unalike.data.decoding import iter_headers
from unalike.data.images import Failure
from unalike.data.kinds import is_entry
from unalike.data.media import AudioColumn
from unalike.data.wording import counted
from unalike.errors import DataError

Values: TypeAlias = str | Sequence[Any] | np.ndarray
"""What label, group and id are given as: the name of a column, or one value a row."""

ACCEPTED = (
    "a folder of pictures, clips, recordings or series, a picture, a clip, a recording, a .csv, .tsv, .parquet, .jsonl,"
    " .json, .arrow, .feather, .tar, .txt, .npy, .npz or .ts file, a folder or a pattern of such tables, or the folder"
    " of a saved Hugging Face dataset; in Python also a list of pictures, paths, strings or rows, an array, a mapping"
    " of roles to such lists, a data frame, or a Hugging Face dataset"
)


@dataclass(frozen=True)
class How:
    """What the caller of `open_collection` asked for."""

    roles: dict[str, str]
    named: dict[str, Values | None]
    name: str | None
    base: str | Path | None
    encoding: str | None
    max_pixels: int
    tolerance: float = TOLERANCE

    def columns_named(self) -> dict[str, str]:
        """Those of label, group and id that are the name of a column, and not values."""
        return {what: value for what, value in self.named.items() if isinstance(value, str)}


def assemble(
    columns: Mapping[str, Column],
    how: How,
    name: str,
    *,
    ids: Sequence[str] | None = None,
    splits: Mapping[str, np.ndarray] | None = None,
    notes: Sequence[str] = (),
    look_up: Callable[[str], Sequence[Any] | np.ndarray] | None = None,
) -> Collection:
    """A collection of columns and of what was given for label, group and id, by name or by value."""

    def values(what: str) -> Sequence[Any] | None:
        given = how.named[what]
        if isinstance(given, str):
            if look_up is None:
                raise DataError(f"{what}={given!r} names a column, and {name} has none; give one value a row")
            given = look_up(given)
        return given.tolist() if isinstance(given, np.ndarray) else casting.listed(given)

    columns = dict(columns)
    labels, groups, chosen = (None if "label" in columns else values("label")), values("group"), values("id")
    if labels is not None:
        columns["label"] = LabelColumn.from_values(labels)
    return Collection(
        columns,
        name=name,
        ids=ids if chosen is None else casting.as_ids(chosen, f"the id of {name}"),
        splits=splits,
        groups=None if groups is None else casting.as_groups(groups),
        notes=notes,
    )


def complete(collection: Collection, tolerance: float) -> Collection:
    """Leave out rows without entries, skip what cannot be read, and note what a user should know."""
    notes = list(collection.notes)
    entries = [  # a target, like a label, may be unknown
        column for role, column in collection.columns.items() if is_entry(role) and role != "array:target"
    ]
    if not entries:
        raise DataError(f"{collection.name} has labels and nothing that they label; name a column of pictures or texts")
    for column in collection.columns.values():
        notes += column.notes
    failures: dict[int, Failure] = {}
    animated = 0
    empty = np.ones(len(collection), bool)
    for column in entries:
        empty &= ~column.present
        if isinstance(column, ArrayColumn):
            empty[:] = False
            broken = np.flatnonzero(~column.present)
            failures |= {int(row): Failure("a number is missing or not finite") for row in broken}
        elif isinstance(column, AudioColumn):
            headers, unheard = sound.survey(column)
            failures |= unheard
            notes += sound.notes_of(headers)
        elif isinstance(column, ImageColumn):
            for row, header in iter_headers(column):
                if isinstance(header, Failure):
                    failures.setdefault(row, header)
                elif header is not None:
                    animated += header.animated
    if animated:
        notes.append(f"{counted(animated, 'picture has', 'pictures have')} several frames; the first is used")
    collection = skip_unreadable(collection.replace(notes=notes), failures, tolerance=tolerance)
    empty = np.delete(empty, sorted(failures))
    if empty.any():
        left = f"{int(empty.sum())} of {len(empty)} rows {'has' if empty.sum() == 1 else 'have'} no entry and"
        left += " is left out" if empty.sum() == 1 else " are left out"
        collection = collection.select(~empty)
        collection = collection.replace(notes=(*collection.notes, left))
    label = collection.label
    if label is not None:
        used = np.unique(label.codes[label.present])
        if len(used) == label.present.sum() and len(used) > 2:
            alone = (
                f"each of {len(used):,} rows has a label of its own, so that no two rows are alike; a number that is "
                "measured is a target: --target COLUMN, which the system supremix learns from"
            )
            collection = collection.replace(notes=(*collection.notes, alone))
        if len(used) < 2:
            only = f"all labels are {label.names[used[0]]!r}" if len(used) else "all labels are missing"
            note = f"{only}: scores that compare classes are not defined"
            collection = collection.replace(notes=(*collection.notes, note))
    return collection


def based(values: Any, base: str | Path | None) -> Any:
    """Relative paths put behind ``base``; anything else as it is."""
    if base is None or isinstance(values, np.ndarray | Column):
        return values
    return [Path(base) / value if isinstance(value, Path) else value for value in values]
