"""What evaluation takes: vectors as float32 tensors, labels as codes in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import Tensor

from unalike.errors import DataError
from unalike.search.blocks import Vectors, block, check_matrix


@runtime_checkable
class NamedCodes(Protocol):
    """Labels as a `LabelColumn` holds them: ``codes`` int64 ``(N,)`` with -1 where missing, and their ``names``."""

    codes: np.ndarray
    names: list[str]


Labels: TypeAlias = NamedCodes | np.ndarray | Tensor | Sequence[int] | Sequence[str | None]
"""A class for each row: a `LabelColumn`, integers (-1 where missing), or names (None where missing)."""

ROWS_AT_ONCE = 2048
"""Rows of a matrix of all pairs that are held at a time."""


def matrix(vectors: Vectors, name: str, *, unit: bool = False) -> Tensor:
    """All rows as one float32 tensor on the CPU, checked; of unit length if asked.

    Raises:
        DataError: no matrix, or numbers that are not finite.
    """
    check_matrix(vectors, name)
    return block(vectors, 0, len(vectors), name, unit=unit).cpu()


def same_space(first: Vectors, second: Vectors) -> tuple[Tensor, Tensor]:
    """Two sets of vectors on one sphere, of any numbers of rows.

    Raises:
        DataError: widths differ, or numbers are not finite.
    """
    one, other = matrix(first, "first", unit=True), matrix(second, "second", unit=True)
    if one.shape[1] != other.shape[1]:
        raise DataError(f"got vectors of {one.shape[1]} and {other.shape[1]} dimensions; expected one space")
    return one, other


def pairs_of(first: Vectors, second: Vectors) -> tuple[Tensor, Tensor]:
    """Two sets of vectors on one sphere, row i of one belonging to row i of the other.

    Raises:
        DataError: shapes differ, or numbers are not finite.
    """
    one, other = same_space(first, second)
    check_lengths(first=one, second=other)
    return one, other


def label_codes(*several: Labels) -> list[np.ndarray]:
    """Labels of several sets as int64 codes of one table, -1 where missing.

    Codes that come with names are matched by name, so that sets which were read apart agree.

    Raises:
        DataError: no list of integers or names, or names in one set and bare integers in another.
    """
    named = [_names(labels) for labels in several]
    if all(names is None for names in named):
        return [_integers(labels) for labels in several]
    if any(names is None for names in named):
        raise DataError("got labels with names and labels without; expected the same kind for every set")
    table: dict[str, int] = {}
    for labels in several:
        # A column's own order of names comes first, so that codes stay as they were wherever that is possible.
        known = labels.names if isinstance(labels, NamedCodes) else []
        for name in known:
            table.setdefault(name, len(table))
    coded = []
    for names in named:
        assert names is not None
        codes = [-1 if name is None else table.setdefault(name, len(table)) for name in names]
        coded.append(np.array(codes, dtype=np.int64))
    return coded


def _names(labels: Labels) -> list[str | None] | None:
    if isinstance(labels, NamedCodes):
        return [labels.names[code] if code >= 0 else None for code in np.asarray(labels.codes)]
    if isinstance(labels, Tensor):
        return None
    values = list(labels)
    if any(isinstance(value, str) for value in values):
        if not all(value is None or isinstance(value, str) for value in values):
            raise DataError("got labels that are partly names and partly not; expected names and None alone")
        return [None if value is None else str(value) for value in values]
    return None


def _integers(labels: Labels) -> np.ndarray:
    codes = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if codes.ndim != 1 or codes.dtype.kind not in "iu":
        raise DataError(
            f"got labels of type {codes.dtype} and shape {codes.shape}; expected one integer or name for each row"
        )
    return codes.astype(np.int64)


def check_lengths(**several: Sequence | np.ndarray | Tensor) -> None:
    """Refuse things that should have one entry for each row and have not.

    Raises:
        DataError: lengths differ; the message names each.
    """
    lengths = {name: len(values) for name, values in several.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{length} {name.replace('_', ' ')}" for name, length in lengths.items())
        raise DataError(f"got {given}; expected as many of each")


def sample_rows(count: int, most: int, rng: np.random.Generator | None) -> np.ndarray:
    """All rows, or ``most`` of them drawn without replacement and in order; without ``rng`` always the same."""
    if count <= most:
        return np.arange(count)
    rng = np.random.default_rng(0) if rng is None else rng
    return np.sort(rng.choice(count, most, replace=False))


def mean_and_deviation(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, float32; infinite where a column does not vary.

    Dividing by the deviation then gives zero for a column that says nothing, rather than its rounding errors.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    deviation[deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-12)] = np.inf
    return mean.astype(np.float32), deviation.astype(np.float32)
