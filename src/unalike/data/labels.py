"""Columns of sets of labels: any number a row, each label a text of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from unalike.data.columns import Column, Indices
from unalike.errors import DataError

SEPARATORS = "|;,"
"""What may stand between the labels of a text: the first of these that occurs anywhere in the column."""


class LabelsColumn(Column):
    """Sets of labels. A row without one is missing: nothing is known of it.

    Args:
        codes: integers, the labels of all rows after each other, as positions in ``names``; rising within a row.
        offsets: ``(N + 1,)``: row i has ``codes[offsets[i] : offsets[i + 1]]``.
        names: texts of the labels. Rows chosen out of a column keep all of them, so that codes stay comparable.
        notes: what a user should know of how the column was made.

    Raises:
        DataError: codes without a name, a name that occurs twice, offsets that do not fit.

    Example:
        >>> column = LabelsColumn.from_values([["cat", "pet"], None, ["cat", ""]])
        >>> column[0], column[1], column.names, column.notes
        (['cat', 'pet'], None, ['cat', 'pet'], ('1 label is empty and left out',))
    """

    kind = "labels"

    def __init__(
        self, codes: np.ndarray, offsets: np.ndarray, names: Sequence[str], *, notes: Sequence[str] = ()
    ) -> None:
        self.codes, self.offsets = np.asarray(codes, np.int64), np.asarray(offsets, np.int64)
        self.names, self.notes = [str(name) for name in names], tuple(notes)
        if len(set(self.names)) != len(self.names) or not all(name.strip() for name in self.names):
            raise DataError(f"{len(self.names)} names of labels; expected distinct ones, none of them empty")
        if not len(self.offsets) or self.offsets[-1] != len(self.codes) or (np.diff(self.offsets) < 0).any():
            raise DataError(f"offsets do not cut {len(self.codes)} codes into rows")
        if len(self.codes) and not (self.codes.min() >= 0 and self.codes.max() < len(self.names)):
            raise DataError(
                f"codes run from {self.codes.min()} to {self.codes.max()}, but there are {len(self.names)} names"
            )

    @classmethod
    def from_values(cls, values: Iterable[Any], *, separator: str | None = None) -> LabelsColumn:
        """Sets out of lists of texts, or out of texts that are cut at a separator.

        Args:
            values: for each row a list of labels, a text that holds several, or None. Blanks around a label and
                repeats in a row do not count, empty labels are left out and counted; names are sorted.
            separator: what parts the labels of a text; the first of ``|``, ``;`` and ``,`` that any text has, unless
                given.

        Raises:
            DataError: a value is neither, or a label no text or number.

        Example:
            >>> LabelsColumn.from_values(["red; round", "a, b; round"])[1]
            ['a, b', 'round']
        """
        rows = list(values)
        texts = [value for value in rows if isinstance(value, str)]
        notes = []
        if texts and separator is None:
            separator = next((each for each in SEPARATORS if any(each in text for text in texts)), None)
            if separator is not None:
                notes.append(f"the labels of a row are parted at {separator!r}")
        blank, found = 0, []
        for number, value in enumerate(rows):
            labels = []
            # An empty cell has no label, and not one that is empty.
            given = [] if isinstance(value, str) and not value.strip() else _listed(value, separator, number)
            for label in given:
                text = _name(label, number)
                blank += not text
                labels += [text] if text else []
            found.append(sorted(set(labels)))
        names = sorted({label for labels in found for label in labels})
        code = {name: position for position, name in enumerate(names)}
        if blank:
            notes.append(f"{blank} label{'s are' if blank > 1 else ' is'} empty and left out")
        codes = np.array([code[label] for labels in found for label in labels], np.int64)
        return cls(codes, np.cumsum([0, *map(len, found)]), names, notes=notes)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> list[str] | None:
        row = range(len(self))[index]
        codes = self.codes[self.offsets[row] : self.offsets[row + 1]]
        return [self.names[code] for code in codes] or None

    @property
    def counts(self) -> np.ndarray:
        """Int64 ``(N,)``: how many labels each row has."""
        return np.diff(self.offsets)

    def select(self, indices: Indices) -> LabelsColumn:
        rows = np.asarray(indices, np.int64)
        chosen = rows_of(self.offsets, rows)
        return LabelsColumn(self.codes[chosen], np.append(0, self.counts[rows].cumsum()), self.names, notes=self.notes)

    @property
    def present(self) -> np.ndarray:
        return np.asarray(self.counts > 0)

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"labels", digest_size=16)
        for name in self.names:
            hasher.update(len(name.encode()).to_bytes(8, "little") + name.encode())
        hasher.update(self.offsets.astype("<i8").tobytes() + self.codes.astype("<i8").tobytes())
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        numbers: dict[bytes, int] = {}
        parts = np.split(self.codes, self.offsets[1:-1])
        return np.array(
            [numbers.setdefault(part.tobytes(), len(numbers)) if len(part) else -1 for part in parts][: len(self)],
            np.int64,
        )


def rows_of(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions of the entries of some rows, row after row, in what offsets cut.

    Example:
        >>> rows_of(np.array([0, 2, 2, 5]), np.array([2, 0])).tolist()
        [2, 3, 4, 0, 1]
    """
    counts = np.diff(offsets)[rows]
    return np.arange(counts.sum()) + np.repeat(offsets[rows] - (counts.cumsum() - counts), counts)


def _listed(value: Any, separator: str | None, row: int) -> Sequence[Any]:
    """The labels of a value, as they stand."""
    if value is None or (isinstance(value, float) and value != value):
        return []
    if isinstance(value, str):
        return value.split(separator) if separator else [value]
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return list(value)
    raise DataError(f"row {row} holds a {type(value).__name__}; expected a list of labels, or a text")


def _name(label: Any, row: int) -> str:
    if label is None or (isinstance(label, float) and label != label):
        return ""
    if isinstance(label, str | int | float | np.generic):
        return str(label).strip()
    raise DataError(f"row {row} has a label that is a {type(label).__name__}; labels are texts")
