"""What a run says of new rows, and how it is written."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from unalike.files import write_table

MOST_COLUMNS = 100
"""Of more classes a file holds the likeliest and its probability alone."""
USUAL_RANKS = 5
"""How many items are ranked for a row unless it is said."""


@dataclass(frozen=True, kw_only=True)
class Predicted(abc.ABC):
    """What a run says of new rows.

    Args:
        ids: a name for each row, in the order of the data; entries that could not be opened come last.
        how: in a sentence, what the predictions were made by.
    """

    ids: list[str]
    how: str

    @property
    @abc.abstractmethod
    def readable(self) -> np.ndarray:
        """Bool ``(N,)``: which rows could be read."""

    @property
    def unread(self) -> list[str]:
        """The ids of the rows that could not be read, and of which nothing is said."""
        return [self.ids[row] for row in np.flatnonzero(~self.readable)]

    @abc.abstractmethod
    def followed_by(self, unread: Sequence[str]) -> Self:
        """The same with further rows that could not be read, by their ids."""

    @abc.abstractmethod
    def table(self) -> pa.Table:
        """As a table in which every id stands; what is said of a row that could not be read is null."""

    def save(self, path: str | Path) -> Path:
        """Write the table as CSV, Parquet or JSON lines, as the name ends; return the path.

        Raises:
            SettingsError: the name ends in something else.
            RunError: the disk is full or the place cannot be written.
        """
        return write_table(path, self.table())


@dataclass(frozen=True, kw_only=True)
class Classes(Predicted):
    """A class for each of some rows.

    Args:
        names: of the classes.
        probabilities: float64 ``(N, classes)``, rows of NaN where one could not be read.

    Example:
        >>> import numpy as np
        >>> found = Classes(ids=["a", "b"], how="by hand", names=["cat", "dog"],
        ...     probabilities=np.array([[0.2, 0.8], [np.nan, np.nan]]))
        >>> found.labels, found.unread
        (['dog', None], ['b'])
    """

    names: Sequence[str]
    probabilities: np.ndarray

    @property
    def readable(self) -> np.ndarray:
        return np.isfinite(self.probabilities).all(axis=1)

    @property
    def labels(self) -> list[str | None]:
        """The likeliest class of each row, None where it could not be read."""
        best = np.nan_to_num(self.probabilities).argmax(axis=1)
        return [self.names[code] if known else None for code, known in zip(best, self.readable, strict=True)]

    def followed_by(self, unread: Sequence[str]) -> Self:
        nothing = np.full((len(unread), len(self.names)), np.nan)
        return replace(self, ids=[*self.ids, *unread], probabilities=np.concatenate([self.probabilities, nothing]))

    def table(self) -> pa.Table:
        """``id``, ``label``, its ``probability``, and of up to 100 classes ``p(CLASS)`` for each."""
        missing = ~self.readable
        columns = {
            "id": pa.array(self.ids, pa.string()),
            "label": pa.array(self.labels, pa.string()),
            "probability": pa.array(self.probabilities.max(axis=1), mask=missing),
        }
        if len(self.names) <= MOST_COLUMNS:
            for code, name in enumerate(self.names):
                columns[f"p({name})"] = pa.array(self.probabilities[:, code], mask=missing)
        return pa.table(columns)


@dataclass(frozen=True)
class Ranking:
    """One item of a ranking: its id, its name where it has another one, and its score, larger for better ones."""

    id: str
    name: str | None
    score: float


@dataclass(frozen=True, kw_only=True)
class Ranked(Predicted):
    """Items in an order for each of some rows: the labels of a text, what a user chooses next.

    Args:
        what: ``item`` or ``label``.
        rankings: for each row, best first; None where it could not be read.
    """

    what: str
    rankings: list[list[Ranking] | None]

    @property
    def readable(self) -> np.ndarray:
        return np.array([ranking is not None for ranking in self.rankings], bool)

    def followed_by(self, unread: Sequence[str]) -> Self:
        return replace(self, ids=[*self.ids, *unread], rankings=[*self.rankings, *[None] * len(unread)])

    def table(self) -> pa.Table:
        """One line for each item of a row: ``id``, ``rank``, the item or label, ``name`` if any, ``score``."""
        lines = [
            (id, rank, found)
            for id, ranking in zip(self.ids, self.rankings, strict=True)
            for rank, found in (enumerate(ranking, start=1) if ranking else [(None, None)])
        ]
        columns = {
            "id": pa.array([id for id, _, _ in lines], pa.string()),
            "rank": pa.array([rank for _, rank, _ in lines], pa.int64()),
            self.what: pa.array([found and found.id for _, _, found in lines], pa.string()),
        }
        if any(found and found.name for _, _, found in lines):
            columns["name"] = pa.array([found and found.name for _, _, found in lines], pa.string())
        columns["score"] = pa.array([found and found.score for _, _, found in lines], pa.float64())
        return pa.table(columns)
