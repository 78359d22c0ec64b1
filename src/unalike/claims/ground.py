"""The data of a claim, made ready once for all its trials, with a test split that is opened once a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unalike import encoders
from unalike.data import Collection, LabelColumn
from unalike.errors import DataError
from unalike.records import Bed


class Sealed:
    """Row numbers that may be asked for once.

    Example:
        >>> from unalike.claims import Sealed
        >>> test = Sealed([5, 6])
        >>> test.open().tolist(), test.reads
        ([5, 6], 1)
    """

    def __init__(self, rows: Sequence[int] | np.ndarray) -> None:
        self._rows = np.asarray(rows, np.int64)
        self.reads = 0

    def __len__(self) -> int:
        return len(self._rows)

    def open(self) -> np.ndarray:
        """The rows.

        Raises:
            DataError: they were read before: a second look at test data is a look too many.
        """
        self.reads += 1
        if self.reads > 1:
            raise DataError("the test split of this trial was opened a second time; a trial scores once")
        return self._rows


@dataclass(frozen=True)
class Ground:
    """A collection cut into what is learned from, what settings are chosen on, and what is scored once.

    Args:
        bed: what was asked for.
        collection: the data.
        train, validation, test: row numbers; ``test`` is handed out through `Sealed` only.
        encoder: by kind the encoder's name and settings.
    """

    bed: Bed
    collection: Collection
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    encoder: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, bed: Bed, collection: Collection, encoder: Mapping[str, Mapping[str, Any]]) -> Ground:
        """Cut a collection.

        Where it brings no validation split, a fifth of its training rows (whole groups) becomes one.

        Raises:
            DataError: it has no test split, or splits share a group.
        """
        splits = dict(collection.splits)
        missing = {"train", "test"} - set(splits)
        if missing:
            raise DataError(
                f"{collection.name} has no split {', '.join(sorted(missing))}; a claim needs train and test"
            )
        train = splits["train"]
        if "validation" not in splits:
            from unalike.data import make_splits

            groups = None if collection.groups is None else np.asarray(collection.groups)[train]
            cut = make_splits(len(train), fractions={"train": 0.8, "validation": 0.2}, groups=groups, seed=0)
            splits["validation"], train = train[cut["validation"]], train[cut["train"]]
        if collection.groups is not None:
            sets = {name: set(np.asarray(collection.groups)[splits[name]].tolist()) for name in ("test", "validation")}
            learned = set(np.asarray(collection.groups)[train].tolist())
            crossing = {name for name, groups in sets.items() if groups & learned}
            if crossing:
                raise DataError(f"groups of {collection.name} cross from train into {', '.join(sorted(crossing))}")
        if bed.classes:
            train = train[np.isin(train, rows_of_classes(collection, bed))]
        if bed.rows is not None and bed.rows < len(train):
            train = np.sort(np.random.default_rng(0).permutation(train)[: bed.rows])
        return cls(bed, collection, train, splits["validation"], splits["test"], encoder)

    def roles(self, kinds: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """By kind the roles that are learned from."""
        return {kind: self.bed.roles.get(kind) or tuple(self.collection.roles(kind)) for kind in kinds}

    @property
    def labels(self) -> LabelColumn:
        """The column of the label that metrics read."""
        column = self.collection[self.bed.label]
        assert isinstance(column, LabelColumn)
        return column

    def build(self, kind: str, roles: Sequence[str], seed: int) -> encoders.Encoder:
        """A fresh encoder for some roles; the same seed gives the same weights."""
        options = dict(self.encoder.get(kind) or SMALL.get(kind, {}))
        name = options.pop("name", None)
        columns = [self.collection[role].select(self.train) for role in roles]
        return encoders.build_encoder(name, columns, size=self.bed.size, seed=seed, **options)


def rows_of_classes(collection: Collection, bed: Bed) -> np.ndarray:
    """The rows of the classes that a bed names.

    Raises:
        DataError: there is no such class.
    """
    column = collection[bed.label]
    assert isinstance(column, LabelColumn)
    unknown = sorted(set(bed.classes) - set(column.names))
    if unknown:
        raise DataError(f"{collection.name} has no class {', '.join(unknown)}; it has {', '.join(column.names)}")
    return np.flatnonzero(np.isin(column.codes, [column.names.index(name) for name in bed.classes]))


SMALL: Mapping[str, Mapping[str, Any]] = {
    "image": {"name": "grid", "widths": (16, 32, 64), "width": 128},
    "array": {"name": "mlp"},
}
"""The encoders of claims unless they name others: small enough for many runs in a minute. A mean over positions (a conv
net of this size) cannot tell letters apart even with labels, so this one keeps the layout."""
