"""Series side by side: one column of one or many channels, filled up to the longest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from unalike.data.images import Failure
from unalike.data.media import StackColumn
from unalike.errors import DataError

MOST_BYTES = 4 * 2**30
"""Largest stack of series: they are held in memory, the shorter filled up to the longest."""


@dataclass
class Reading:
    """Series that were read, and what is odd about them.

    cases: float32 ``(channels, steps)`` each, None where one could not be read; failures: why, by row; channels: their
    names, where they have any; oddities: how many series have each oddity.
    """

    cases: list[np.ndarray | None] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    oddities: dict[str, int] = field(default_factory=dict)

    def count(self, oddity: str) -> None:
        self.oddities[oddity] = self.oddities.get(oddity, 0) + 1

    def add(self, read: Callable[[], np.ndarray]) -> None:
        """Read one more series; an error counts as one that cannot be read."""
        try:
            self.cases.append(read())
        except DataError as error:
            self.failures[len(self.cases)] = Failure(str(error))
            self.cases.append(None)

    def column(self, name: str) -> StackColumn:
        """All of them side by side."""
        return series_column(self.cases, name)

    def notes(self) -> list[str]:
        """What a user should know, one sentence each."""
        found = [f"{count} series {'has' if count == 1 else 'have'} {what}" for what, count in self.oddities.items()]
        return found + oddities_of([case for case in self.cases if case is not None])


def series_column(cases: Sequence[np.ndarray | None], name: str = "series") -> StackColumn:
    """Series of different length as one column, filled up with NaN at their end.

    Args:
        cases: each ``(steps,)`` or ``(channels, steps)``, NaN where a value is missing; None where there is no series.
        name: what errors call them.

    Raises:
        DataError: none at all, other numbers of channels, no numbers, or more than `MOST_BYTES`.

    Example:
        >>> import numpy as np
        >>> column = series_column([np.arange(3.0), np.arange(5.0), None])
        >>> column.values.shape, column.present.tolist()
        ((3, 1, 5), [True, True, False])
    """
    arrays: list[np.ndarray | None] = []
    for row, case in enumerate(cases):
        try:
            array = None if case is None else np.asarray(case, np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(f"series {row} of {name} holds something else than numbers: {error}") from error
        if array is not None and (array.ndim not in (1, 2) or not array.size):
            raise DataError(
                f"series {row} of {name} has the shape {array.shape}; expected (steps,) or (channels, steps), with one"
                " step at least"
            )
        arrays.append(array[None] if array is not None and array.ndim == 1 else array)
    there = [array for array in arrays if array is not None]
    counts = sorted({len(array) for array in there})
    if len(counts) != 1:
        listed = " and ".join(map(str, counts[:5])) or "no"
        raise DataError(f"the series of {name} have {listed} channels; expected one and the same number in all")
    longest = max(array.shape[1] for array in there)
    size = 4 * len(arrays) * counts[0] * longest
    if size > MOST_BYTES:
        raise DataError(
            f"{len(arrays)} series of {counts[0]} channels, filled up to the {longest} steps of the longest, need"
            f" {size / 2**30:.1f} GiB; at most {MOST_BYTES / 2**30:.0f} are held. Cut long series into pieces, or"
            " keep every second step"
        )
    stacked = np.full((len(arrays), counts[0], longest), np.nan, np.float32)
    for row, array in enumerate(arrays):
        if array is not None:
            stacked[row, :, : array.shape[1]] = array
    stacked[np.isinf(stacked)] = np.nan
    return StackColumn(stacked, kind="series")


def lengths_of(values: np.ndarray) -> np.ndarray:
    """Int64 ``(N,)``: steps up to the last one that was measured, of a stack ``(N, channels, steps)``."""
    seen = ~np.isnan(values).all(1)
    return np.where(seen.any(1), seen.shape[1] - seen[:, ::-1].argmax(1), 0)


def oddities_of(cases: Sequence[np.ndarray]) -> list[str]:
    """Different lengths, missing values and channels that never change, in words."""
    notes = []
    steps = [case.shape[-1] for case in cases]
    if steps and min(steps) < max(steps):
        notes.append(f"the series differ in length, from {min(steps)} to {max(steps)} steps")
    holes = [int((~np.isfinite(case)).sum()) for case in cases]
    if sum(holes):
        affected = sum(hole > 0 for hole in holes)
        notes.append(f"{sum(holes)} values are missing in {affected} series; they are taken for the channel's mean")
    # The channels of a whole collection: a channel that stands still in one series only may say something.
    if cases:
        still = [bool(np.all(constant)) for constant in zip(*(_still(case) for case in cases), strict=True)]
        if any(still):
            which = ", ".join(str(number) for number, each in enumerate(still, start=1) if each)
            notes.append(f"channel {which} has one value throughout each series: it tells their steps nothing")
    return notes


def _still(case: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(case), case, np.nan)
    return np.array([np.isnan(row).all() or np.nanmin(row) == np.nanmax(row) for row in finite])
