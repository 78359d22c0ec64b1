"""Splits that do not leak: rows of one group stay together, classes keep their shares. And samples with a long tail."""

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
    lot = _lots(str(seed), given[first])
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


def long_tail(labels: np.ndarray | Sequence[int], *, ratio: float, seed: int = 0) -> np.ndarray:
    """Rows of a sub-sample with a long tail: class sizes fall exponentially, as by Cui et al.

    With C classes, the i-th in an order drawn from the seed keeps ``head * ratio ** (-i / (C - 1))`` rows, rounded and
    at least one, where ``head`` is the size of the smallest class: the most that the first class can keep if any
    order is to be possible. The same seed gives the same rows on every machine.

    Paper: Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie. Class-balanced loss based on effective number of samples.
    2019, arXiv 1901.05555, section 5.1.

    Args:
        labels: integers ``(N,)``, -1 where missing; rows without a label are left out.
        ratio: how many times more rows the largest class keeps than the smallest, at least 1.
        seed: which order of the classes, and which rows of each.

    Returns:
        Row numbers, ascending.

    Raises:
        DataError: fewer than two classes, a ratio below 1, or a class too small to be divided by it.

    Example:
        >>> labels = np.repeat([0, 1, 2], 100)
        >>> sorted(np.bincount(labels[long_tail(labels, ratio=25)]).tolist())
        [4, 20, 100]
    """
    codes = np.asarray(labels, np.int64)
    classes, counts = np.unique(codes[codes >= 0], return_counts=True)
    if codes.ndim != 1 or len(classes) < 2:
        raise DataError(f"labels {codes.shape} of {len(classes)} classes; expected (N,) with at least two classes")
    head = int(counts.min())
    if not 1 <= ratio <= head:
        raise DataError(
            f"a ratio of {ratio}; expected one from 1 to {head}, the size of the smallest class, so that each class"
            " keeps a row"
        )
    order = np.argsort(_lots(f"class {seed}", classes), kind="stable")
    kept = []
    for place, number in enumerate(order):
        rows = np.flatnonzero(codes == classes[number])
        size = round(head * ratio ** (-place / (len(classes) - 1)))
        kept.append(rows[np.argsort(_lots(f"row {seed}", rows), kind="stable")[:size]])
    return np.sort(np.concatenate(kept))


def frequency_thirds(labels: np.ndarray | Sequence[int]) -> dict[str, np.ndarray]:
    """The classes of the head, the middle and the tail: thirds of the classes by their number of rows.

    Args:
        labels: integers ``(N,)`` of what is trained on, -1 where missing.

    Returns:
        Class codes by ``head``, ``medium`` and ``tail``, most frequent first; of equal ones the lower code first.
        Where the classes do not divide by three, the earlier thirds have one more.

    Raises:
        DataError: fewer than three classes.

    Example:
        >>> thirds = frequency_thirds(np.repeat([0, 1, 2, 3], [5, 9, 1, 3]))
        >>> {name: codes.tolist() for name, codes in thirds.items()}
        {'head': [1, 0], 'medium': [3], 'tail': [2]}
    """
    codes = np.asarray(labels, np.int64)
    classes, counts = np.unique(codes[codes >= 0], return_counts=True)
    if len(classes) < 3:
        raise DataError(f"{len(classes)} classes cannot be parted into head, medium and tail; expected three or more")
    parts = np.array_split(classes[np.argsort(-counts, kind="stable")], 3)
    return dict(zip(("head", "medium", "tail"), parts, strict=True))


def _lots(seed: str, keys: np.ndarray) -> np.ndarray:
    """A number for each key out of a hash, not out of a generator, whose stream may change between NumPy's versions."""
    digests = (hashlib.blake2b(f"{seed} {key}".encode(), digest_size=8).digest() for key in keys)
    return np.array([int.from_bytes(digest, "big") for digest in digests], np.uint64)
