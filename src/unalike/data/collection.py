"""Rows of things under named roles: what every other room is handed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from unalike.data.columns import ArrayColumn, Column, LabelColumn
from unalike.data.images import Failure
from unalike.data.roles import kind_of
from unalike.errors import DataError

TOLERANCE = 0.01
"""Share of the items that may be unreadable and is skipped; with more, nothing is trained."""


@dataclass(frozen=True)
class Skipped:
    """An item that was left out, and why."""

    id: str
    reason: str


class Repeats(NamedTuple):
    """Which rows of a column are equal.

    groups: int64 ``(N,)``, the same number for rows with equal entries, -1 where the entry is missing;
    rows: how many rows have an entry that another row has too.
    """

    groups: np.ndarray
    rows: int


class Collection:
    """Rows of things under named roles; nothing is decoded before it is asked for.

    A role is a kind, or a kind and a variant: ``image``, ``image:google``, ``text:de``, ``label``.

    Args:
        columns: the columns by role, all of the same length.
        name: what reports call it.
        ids: one string a row, all different; row numbers where None.
        splits: row numbers by split name (``train``, ``validation``, ``test``). A row is in one split at most.
        groups: integers ``(N,)``: rows of one group show the same instance (font, author, photo) and stay together
            when rows are split.
        skipped: the items that were left out.
        notes: what a user should know about the data, one sentence each.

    Raises:
        DataError: columns that do not fit each other, ids that repeat, splits that overlap or cut a group.

    Example:
        >>> from unalike.data import LabelColumn, TextColumn
        >>> texts, labels = TextColumn(["hi", "hello", "bye"]), LabelColumn([0, 0, 1], ["greeting", "farewell"])
        >>> talk = Collection({"text": texts, "label": labels}, name="talk", splits={"train": [0, 2]})
        >>> len(talk), talk.roles("text"), talk.split("train").row(1)
        (3, ['text'], {'id': '2', 'text': 'bye', 'label': 'farewell'})
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        *,
        name: str,
        ids: Sequence[str] | None = None,
        splits: Mapping[str, np.ndarray | Sequence[int]] | None = None,
        groups: np.ndarray | Sequence[int] | None = None,
        skipped: Sequence[Skipped] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.columns: dict[str, Column] = dict(columns)
        rows = _common_length(self.columns)
        self.ids: list[str] = [str(row) for row in range(rows)] if ids is None else [str(id) for id in ids]
        self.splits: dict[str, np.ndarray] = {
            split: np.asarray(indices, np.int64) for split, indices in (splits or {}).items()
        }
        self.groups: np.ndarray | None = None if groups is None else np.asarray(groups, np.int64)
        self.skipped: tuple[Skipped, ...] = tuple(skipped)
        self.notes: tuple[str, ...] = tuple(notes)
        _check_ids(self.ids, rows)
        if self.groups is not None and self.groups.shape != (rows,):
            raise DataError(f"groups have the shape {self.groups.shape}; expected one integer a row, ({rows},)")
        _check_splits(self.splits, rows, self.groups)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, role: str) -> Column:
        try:
            return self.columns[role]
        except KeyError:
            raise DataError(f"{self.name} has no role {role!r}; it has {', '.join(self.columns)}") from None

    def __contains__(self, role: object) -> bool:
        return role in self.columns

    def __repr__(self) -> str:
        return f"Collection({self.name!r}, {len(self)} rows, roles {', '.join(self.columns)})"

    def roles(self, kind: str | None = None) -> list[str]:
        """The roles, all or those of one kind, in the order in which they were given."""
        return [role for role, column in self.columns.items() if kind is None or column.kind == kind]

    @property
    def label(self) -> LabelColumn | None:
        """The column of the role ``label``, if there is one."""
        column = self.columns.get("label")
        return column if isinstance(column, LabelColumn) else None

    @property
    def target(self) -> ArrayColumn | None:
        """The number to predict for each row: ``array:target``, or else the only ``array:...`` of one number a row."""
        single = {
            role: column
            for role, column in self.columns.items()
            if role.startswith("array:") and isinstance(column, ArrayColumn) and column.values.shape[1] == 1
        }
        role = "array:target" if "array:target" in single or len(single) != 1 else next(iter(single))
        return single.get(role)

    def row(self, index: int) -> dict[str, Any]:
        """One row, decoded: its id and the entry of each role, None where it is missing."""
        return {"id": self.ids[index]} | {role: column[index] for role, column in self.columns.items()}

    def select(self, indices: np.ndarray | Sequence[int]) -> Collection:
        """The given rows, in that order, each once; splits are kept as far as their rows are."""
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        return Collection(
            {role: column.select(chosen) for role, column in self.columns.items()},
            name=self.name,
            ids=[self.ids[index] for index in chosen],
            splits={split: np.flatnonzero(np.isin(chosen, rows)) for split, rows in self.splits.items()},
            groups=None if self.groups is None else self.groups[chosen],
            skipped=self.skipped,
            notes=self.notes,
        )

    def split(self, name: str) -> Collection:
        """The rows of one split, as a collection without splits.

        Raises:
            DataError: there is no such split.
        """
        if name not in self.splits:
            raise DataError(f"{self.name} has no split {name!r}; it has {', '.join(self.splits) or 'none'}")
        return self.select(self.splits[name]).replace(splits={})

    def replace(
        self,
        *,
        columns: Mapping[str, Column] | None = None,
        name: str | None = None,
        splits: Mapping[str, np.ndarray | Sequence[int]] | None = None,
        groups: np.ndarray | Sequence[int] | None = None,
        skipped: Sequence[Skipped] | None = None,
        notes: Sequence[str] | None = None,
    ) -> Collection:
        """The same rows with some parts exchanged; what is None stays."""
        return Collection(
            self.columns if columns is None else columns,
            name=self.name if name is None else name,
            ids=self.ids,
            splits=self.splits if splits is None else splits,
            groups=self.groups if groups is None else groups,
            skipped=self.skipped if skipped is None else skipped,
            notes=self.notes if notes is None else notes,
        )

    def with_columns(self, columns: Mapping[str, Column]) -> Collection:
        """With columns added, or put in place of those of the same role."""
        return self.replace(columns=self.columns | dict(columns))

    def rename(self, roles: Mapping[str, str]) -> Collection:
        """With other role names, old to new, such as ``{"image:google": "image"}``."""
        for role in roles:
            self[role]  # an unknown one is an error
        renamed = [roles.get(role, role) for role in self.columns]
        if len(set(renamed)) < len(renamed):
            raise DataError(f"two columns would have the same role: {', '.join(renamed)}")
        return self.replace(columns=dict(zip(renamed, self.columns.values(), strict=True)))

    def repeated(self, role: str) -> Repeats:
        """Which rows have equal entries in a role. A pairing must not make such rows negatives of each other."""
        groups = self[role].distinct()
        counts = np.bincount(groups[groups >= 0])
        return Repeats(groups, int(counts[counts > 1].sum()))

    def fingerprint(self) -> str:
        """Hex digest of ids, columns, splits and groups, the same on every machine. The name does not count."""
        hasher = hashlib.blake2b(digest_size=16)
        for id in self.ids:
            hasher.update(len(id.encode()).to_bytes(8, "little") + id.encode())
        for role, column in sorted(self.columns.items()):
            hasher.update(f"\n{role} {column.fingerprint()}".encode())
        for split, rows in sorted(self.splits.items()):
            hasher.update(f"\n{split} {len(rows)} ".encode() + rows.astype("<i8").tobytes())
        if self.groups is not None:
            hasher.update(b"\ngroups " + self.groups.astype("<i8").tobytes())
        return hasher.hexdigest()


def skip_unreadable(
    collection: Collection, failures: Mapping[int, Failure], *, tolerance: float = TOLERANCE
) -> Collection:
    """Leave out the rows that could not be read, if they are few.

    Args:
        collection: what was read.
        failures: row number to what was wrong with it, as `iter_decoded` finds them.
        tolerance: largest share of all items, those skipped before included, that may be unreadable.

    Raises:
        DataError: more than that cannot be read, or nothing is left.

    Example:
        >>> from unalike.data import TextColumn
        >>> talk = Collection({"text": TextColumn(["hi", "?"])}, name="talk")
        >>> [item.id for item in skip_unreadable(talk, {1: Failure("garbled")}, tolerance=0.5).skipped]
        ['1']
    """
    if not failures:
        return collection
    rows = sorted(failures)
    skipped = (*collection.skipped, *(Skipped(collection.ids[row], failures[row].reason) for row in rows))
    total = len(collection) + len(collection.skipped)
    if len(skipped) > tolerance * total or len(rows) == len(collection):
        listed = "".join(f"\n  {item.id}: {item.reason}" for item in skipped[:5])
        more = f"\n  and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        raise DataError(
            f"{len(skipped)} of {total} items of {collection.name} cannot be read ({len(skipped) / total:.1%}; up to"
            f" {tolerance:.1%} are skipped):{listed}{more}\nRepair or remove them, or raise the tolerance."
        )
    first = skipped[-len(rows)]
    note = f"{len(rows)} of {total} items cannot be read and are skipped, such as {first.id} ({first.reason})"
    if len(rows) == 1:
        note = f"1 of {total} items cannot be read and is skipped: {first.id} ({first.reason})"
    keep = np.setdiff1d(np.arange(len(collection)), rows)
    return collection.select(keep).replace(skipped=skipped, notes=(*collection.notes, note))


def _common_length(columns: Mapping[str, Column]) -> int:
    lengths = {role: len(column) for role, column in columns.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{role} has {length}" for role, length in lengths.items()) or "there is none"
        raise DataError(f"the columns of a collection have the same number of rows, and at least one column: {listed}")
    for role, column in columns.items():
        if kind_of(role) != column.kind:
            raise DataError(
                f"the role {role!r} is held by a column of the kind {column.kind!r};"
                f" call it {column.kind!r} or '{column.kind}:variant'"
            )
    return next(iter(lengths.values()))


def _check_ids(ids: Sequence[str], rows: int) -> None:
    if len(ids) != rows:
        raise DataError(f"{len(ids)} ids for {rows} rows; expected one a row")
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = sorted({id for id in ids if id in seen or seen.add(id)})  # type: ignore[func-returns-value]
        raise DataError(
            f"{len(ids) - len(seen)} rows repeat the id of another row: {_few(twice)}. Ids name one row each;"
            " choose another id column, or none to number the rows"
        )


def _check_splits(splits: Mapping[str, np.ndarray], rows: int, groups: np.ndarray | None) -> None:
    owner = np.full(rows, -1)
    for number, (split, indices) in enumerate(splits.items()):
        if indices.ndim != 1 or (len(indices) and (indices.min() < 0 or indices.max() >= rows)):
            raise DataError(f"the split {split!r} is not a list of row numbers below {rows}")
        if len(np.unique(indices)) < len(indices) or (owner[indices] >= 0).any():
            raise DataError(f"the split {split!r} holds a row twice, or a row of another split")
        owner[indices] = number
    if groups is not None and splits:
        inside = owner >= 0
        pairs = np.unique(np.stack([groups[inside], owner[inside]]), axis=1)
        cut = pairs[0][1:][pairs[0][1:] == pairs[0][:-1]]
        if len(cut):
            raise DataError(f"{len(np.unique(cut))} groups are cut by the splits, such as group {cut[0]}")


def _few(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    return ", ".join(repr(name) for name in names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))
