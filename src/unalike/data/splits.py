"""Splits that do not leak: rows of one group stay together, classes keep their shares."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from unalike.errors import DataError


def make_splits(
    rows: int,
    *,
    fractions: Mapping[str, float],
    groups: np.ndarray | Sequence[int] | None = None,
    labels: np.ndarray | Sequence[int] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Split rows at random, never cutting a group, so that each class is shared out like the whole.

    Groups are walked class by class, the largest first and equal ones in an order drawn from the seed; each goes to the
    split that is furthest behind its share. The same seed gives the same splits on every machine.

    Args:
        rows: number of rows.
        fractions: share of each split by name; they add up to 1.
        groups: integers ``(N,)``; without them every row is a group of its own.
        labels: integers ``(N,)``, -1 where missing; a group counts as the class that most of its rows have.
        seed: which of the possible splits.

    Returns:
        Row numbers of each split, ascending. Every row is in one of them.

    Raises:
        DataError: fractions that do not add up, or a split that would be empty.

    Example:
        >>> splits = make_splits(6, fractions={"train": 0.5, "test": 0.5}, groups=[0, 0, 1, 1, 2, 2], seed=1)
        >>> sorted(len(indices) for indices in splits.values())
        [2, 4]
    """
    shares = np.array(list(fractions.values()), np.float64)
    if not len(shares) or (shares <= 0).any() or not np.isclose(shares.sum(), 1.0):
        raise DataError(f"the fractions of the splits are {dict(fractions)}; expected positive ones that add up to 1")
    given = np.arange(rows) if groups is None else np.asarray(groups)
    classes = np.zeros(rows, np.int64) if labels is None else np.asarray(labels, np.int64)
    if given.shape != (rows,) or classes.shape != (rows,):
        raise DataError(f"groups {given.shape} and labels {classes.shape}; expected one a row, ({rows},)")
    _, first, group, size = np.unique(given, return_index=True, return_inverse=True, return_counts=True)
    stratum = classes[first] if len(size) == rows else _majority(group, classes)
    # Ties are broken by a hash and not by a generator, whose stream may change between versions of NumPy.
    lot = np.array([hashlib.blake2b(f"{seed} {key}".encode(), digest_size=8).digest() for key in given[first]])
    assigned = np.zeros(len(shares), np.int64)
    owner = np.empty(len(size), np.int64)
    walked = 0
    for number in np.lexsort((lot, -size, stratum)):
        walked += size[number]
        behind = int(np.argmax(shares * walked - assigned))
        assigned[behind] += size[number]
        owner[number] = behind
    splits = {split: np.flatnonzero(owner[group] == number) for number, split in enumerate(fractions)}
    empty = [split for split, indices in splits.items() if not len(indices)]
    if empty:
        raise DataError(
            f"{rows} rows in {len(size)} groups are too few for the splits {dict(fractions)}:"
            f" {', '.join(empty)} would be empty. Ask for fewer or larger splits"
        )
    return splits


def _majority(group: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The class that most rows of each group have, the smallest of several."""
    pairs, counts = np.unique(np.stack([group, classes]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    return pairs[1][order][np.unique(pairs[0][order], return_index=True)[1]]
