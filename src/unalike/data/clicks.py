"""Clicks: who chose what, one event a row, made into one sequence of items a user in the order of time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from unalike.data.collection import Collection
from unalike.data.columns import Column, Indices
from unalike.data.tables import table_of as table_of
from unalike.data.wording import counted
from unalike.errors import DataError

ROLES = ("user", "item", "time", "items")
"""What `open_clicks` is told of a table: its columns of users, items and times, and a table of the items' names."""

REPEATING = 0.01
"""Share of the events that choose an item again from which on items may come back: then they stay candidates."""


class ClicksColumn(Column):
    """For each row the items that a user chose, oldest first, and the one that was chosen next if it is known.

    All rows share one array of events; a row is a part of it, and the next item is the event that follows the part.

    Args:
        events: int64 ``(E,)``, positions in ``vocabulary``: the events of one user stand together, oldest first.
        starts: int64 ``(N,)``, where each row begins.
        stops: int64 ``(N,)``, where it ends: the first event that the row does not know.
        ends: int64 ``(N,)``, where the events of the row's user end.
        vocabulary: ids of all items, all different.
        titles: names of the items for people, None where one has none; None without names.

    Raises:
        DataError: rows that reach outside of the events, or items outside of the vocabulary.

    Example:
        >>> import numpy as np
        >>> from unalike.data import ClicksColumn
        >>> column = ClicksColumn.of_sequences([["tea", "cup"], ["cup"]])
        >>> column[0], column.before_last(1)[0], column.before_last(1).next_items.tolist()
        (['tea', 'cup'], ['tea'], [1, 1])
    """

    kind = "clicks"

    def __init__(
        self,
        events: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        ends: np.ndarray,
        vocabulary: Sequence[str],
        *,
        titles: Sequence[str | None] | None = None,
    ) -> None:
        self.events, self.starts, self.stops, self.ends = (
            np.asarray(each, np.int64) for each in (events, starts, stops, ends)
        )
        self.vocabulary = list(vocabulary)
        self.titles = None if titles is None else list(titles)
        if not self.starts.shape == self.stops.shape == self.ends.shape or self.starts.ndim != 1:
            raise DataError(f"{len(self.starts)} starts, {len(self.stops)} stops and {len(self.ends)} ends; one a row")
        order = (self.starts <= self.stops) & (self.stops <= self.ends) & (self.starts >= 0)
        if not order.all() or (len(self.ends) and self.ends.max() > len(self.events)):
            raise DataError("a row of clicks reaches outside of the events of its user")
        if len(self.events) and not 0 <= self.events.min() <= self.events.max() < len(self.vocabulary):
            raise DataError(f"events name items up to {self.events.max()}; there are {len(self.vocabulary)}")
        if self.titles is not None and len(self.titles) != len(self.vocabulary):
            raise DataError(f"{len(self.titles)} titles for {len(self.vocabulary)} items; expected one each")

    @classmethod
    def of_sequences(cls, sequences: Sequence[Sequence[str]]) -> ClicksColumn:
        """A column of lists of item ids, oldest first."""
        numbers: dict[str, int] = {}
        events = [numbers.setdefault(str(item), len(numbers)) for sequence in sequences for item in sequence]
        bounds = np.cumsum([0, *map(len, sequences)])
        return cls(np.array(events, np.int64), bounds[:-1], bounds[1:], bounds[1:], list(numbers))

    def __len__(self) -> int:
        return len(self.starts)

    def history(self, index: int) -> np.ndarray:
        """Int64: the items of a row as numbers, oldest first."""
        return self.events[self.starts[index] : self.stops[index]]

    def __getitem__(self, index: int) -> list[str] | None:
        return [self.vocabulary[item] for item in self.history(index)] or None

    @property
    def lengths(self) -> np.ndarray:
        """Int64 ``(N,)``: how many events each row knows."""
        return self.stops - self.starts

    @property
    def next_items(self) -> np.ndarray:
        """Int64 ``(N,)``: the item that was chosen next, -1 where none is known."""
        known = self.stops < self.ends
        found = np.full(len(self), -1)
        found[known] = self.events[self.stops[known]]
        return found

    @property
    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """The events of all rows one after the other: row numbers, and items."""
        rows = np.repeat(np.arange(len(self)), self.lengths)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        return rows, self.events[self.starts[rows] + within]

    @property
    def returning(self) -> float:
        """Share of the events that choose an item which the row holds already."""
        rows, items = self.flat
        return 1 - len(np.unique(rows * len(self.vocabulary) + items)) / max(1, len(items))

    def title(self, item: int) -> str:
        """What people call an item: its title, or else its id."""
        return (None if self.titles is None else self.titles[item]) or self.vocabulary[item]

    def complete(self) -> list[np.ndarray | None]:
        """For the row of each user that knows most all that is known of the user, the next item included; else None."""
        order = np.lexsort((-self.stops, self.starts))
        first = np.append(True, np.diff(self.starts[order]) > 0)
        longest = np.zeros(len(self), bool)
        longest[order[first[: len(order)]]] = True
        return [
            self.events[self.starts[row] : self.ends[row]] if known and self.stops[row] > self.starts[row] else None
            for row, known in enumerate(longest)
        ]

    def before_last(self, count: int) -> ClicksColumn:
        """The same rows without their last events; the next item is then the first that was taken away."""
        stops = np.maximum(self.stops - count, self.starts)
        return ClicksColumn(self.events, self.starts, stops, self.stops, self.vocabulary, titles=self.titles)

    def select(self, indices: Indices) -> ClicksColumn:
        rows = np.asarray(indices, np.int64)
        return ClicksColumn(
            self.events, self.starts[rows], self.stops[rows], self.ends[rows], self.vocabulary, titles=self.titles
        )

    def followed_by(self, other: ClicksColumn) -> ClicksColumn:
        """The rows of this column, then those of another of the same events."""
        starts, stops, ends = (
            np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("starts", "stops", "ends")
        )
        return ClicksColumn(self.events, starts, stops, ends, self.vocabulary, titles=self.titles)

    @property
    def present(self) -> np.ndarray:
        return self.lengths > 0

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"clicks", digest_size=16)
        for item in self.vocabulary:
            hasher.update(len(item.encode()).to_bytes(8, "little") + item.encode())
        for numbers in (self.lengths, self.next_items, self.flat[1]):
            hasher.update(numbers.astype("<i8").tobytes())
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        numbers: dict[bytes, int] = {}
        keys = [self.history(row).tobytes() for row in range(len(self))]
        return np.array([numbers.setdefault(key, len(numbers)) if key else -1 for key in keys], np.int64)


def leave_one_out(collection: Collection) -> Collection:
    """Hold the last event of each user out for the test, and the one before for validation, as the field does.

    Each user with three events or more gives three rows: one that knows all but the last two events (split ``train``),
    one that knows all but the last two and is asked for the next (``validation``), and one that knows all but the last
    and is asked for that (``test``), which keeps the user's id. A user with two events is trained on alone; one with a
    single event has nothing to learn an order from and is left out. Both are counted.

    Raises:
        DataError: no user has three events.

    Example:
        >>> from unalike.data import ClicksColumn, Collection, leave_one_out
        >>> shop = Collection({"clicks": ClicksColumn.of_sequences([list("abcd")])}, name="shop", ids=["eve"])
        >>> cut = leave_one_out(shop)
        >>> [(split, cut.split(split)["clicks"][0]) for split in ("train", "validation", "test")]
        [('train', ['a', 'b']), ('validation', ['a', 'b']), ('test', ['a', 'b', 'c'])]
    """
    clicks = collection["clicks"]
    assert isinstance(clicks, ClicksColumn)
    lengths = clicks.lengths
    full, short = np.flatnonzero(lengths >= 3), np.flatnonzero(lengths == 2)
    single = int((lengths == 1).sum())
    if not len(full):
        raise DataError(
            f"{collection.name} has {len(collection)} users and none with three events: the last is held out for the "
            "test and the one before for validation. Give longer histories, or --holdout 0 to train on all of them"
        )
    notes = list(collection.notes)
    if single:
        notes.append(f"left out with a single event, which has no order: {counted(single, 'user')} of {len(lengths):,}")
    if len(short):
        notes.append(
            f"trained on with nothing held out, for two events: {counted(len(short), 'user')} of {len(lengths):,}"
        )
    tested, trained = clicks.select(full), clicks.select(np.concatenate([full, short]))
    # A training row ends where it stops: what came next is not there to be predicted.
    stops = trained.stops - 2 * (np.arange(len(trained)) < len(full))
    kept = ClicksColumn(trained.events, trained.starts, stops, stops, trained.vocabulary, titles=trained.titles)
    column = tested.before_last(1).followed_by(tested.before_last(2)).followed_by(kept)
    unknown = len(np.setdiff1d(column.next_items[: 2 * len(full)], np.unique(kept.flat[1])))
    if unknown:
        notes.append(
            f"in held-out events alone, and so never trained on: {counted(unknown, 'item')}, counted as misses"
        )
    ids = [collection.ids[row] for row in full]
    count = np.arange(len(full))
    return Collection(
        {"clicks": column},
        name=collection.name,
        ids=[
            *ids,
            *(f"{id}, validation" for id in ids),
            *(f"{id}, training" for id in ids),
            *(collection.ids[row] for row in short),
        ],
        splits={
            "train": 2 * len(full) + np.arange(len(trained)),
            "validation": len(full) + count,
            "test": count,
        },
        skipped=collection.skipped,
        notes=notes,
    )
