"""What is the same: rows that hold one and the same thing in any role, told once and for every use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unalike.data.collection import Collection
from unalike.data.columns import Column, ImageColumn, TextColumn
from unalike.errors import DataError

KINDS = ("text", "image", "audio", "video", "series", "array", "clicks")
"""Kinds of column whose equal entries are one thing. An equal label makes two rows alike, but not the same."""
GROUP = "group"
"""The name under which the codes of the rows' groups stand among those of the roles."""


def is_hard(role: str) -> bool:
    """Whether a role holds hard negatives (``text:negative``, ``text:negative2``): what a row is not."""
    return role.partition(":")[2].startswith("negative")


def worded(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Strings without what a reader passes over: case, runs of blanks, Unicode forms (NFKC).

    Example:
        >>> import pyarrow as pa
        >>> from unalike.data.sameness import worded
        >>> worded(pa.array(["A  red\\tBox ", "a red box", None])).to_pylist()
        ['a red box', 'a red box', None]
    """
    plain = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(plain, pattern=r"\s+", replacement=" "))


@dataclass(frozen=True)
class Sameness:
    """Which things the rows of a collection hold.

    Args:
        codes: by role int64 ``(N,)``: equal numbers stand for equal things, in one role or in two; -1 where there is
            nothing. Numbers of different kinds never meet.

    Example:
        >>> from unalike.data import Collection, TextColumn, find_same
        >>> asked = TextColumn(["Who?", "who?", "When?", "Where?"])
        >>> told = TextColumn(["me", "you", "You", "here"])
        >>> same = find_same(Collection({"text": asked, "text:positive": told}, name="talk"))
        >>> same.table.tolist()
        [[0, 3], [0, 4], [1, 4], [2, 5]]
        >>> same.components().tolist()
        [0, 0, 0, 1]
    """

    codes: Mapping[str, np.ndarray]

    @property
    def table(self) -> np.ndarray:
        """Int64 ``(N, K)``: the codes of what each row is about, hard negatives aside."""
        return np.stack([codes for role, codes in self.codes.items() if not is_hard(role)], axis=1)

    @property
    def hard(self) -> dict[str, np.ndarray]:
        """The codes of the hard negatives by role, each int64 ``(N,)``."""
        return {role: codes for role, codes in self.codes.items() if is_hard(role)}

    def select(self, rows: np.ndarray) -> Sameness:
        """Some rows; the numbers stay."""
        return Sameness({role: codes[rows] for role, codes in self.codes.items()})

    def components(self) -> np.ndarray:
        """Int64 ``(N,)``: rows that are the same, or the same as one that is, and so on, share a number from 0.

        Splits cut none of these. In a loss rows are the same only if they share a thing themselves.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        table = self.table
        rows, places = np.nonzero(table >= 0)
        things = np.unique(table[rows, places], return_inverse=True)[1]
        count, last = len(table), int(things.max(initial=-1)) + 1
        ends = (rows, count + things)
        edges = coo_array((np.ones(len(rows), np.int8), ends), shape=(count + last, count + last))
        found = connected_components(edges, directed=False)[1][:count]
        _, first, codes = np.unique(found, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[codes].astype(np.int64)

    def shared(self, role: str) -> int:
        """How many rows hold what another row holds in the same role."""
        codes = self.codes[role]
        counts = np.unique(codes[codes >= 0], return_counts=True)[1]
        return int(counts[counts > 1].sum())

    def crossing(self, splits: Mapping[str, np.ndarray]) -> np.ndarray:
        """The rows of other splits than ``train`` that are the same as a row that is trained on, ascending."""
        found = self.components()
        trained = np.isin(found, found[splits.get("train", np.zeros(0, np.int64))])
        others = [rows for split, rows in splits.items() if split != "train"]
        rows = np.sort(np.concatenate(others)) if others else np.zeros(0, np.int64)
        return rows[trained[rows]]

    def with_pixels(self, pixels: Mapping[str, Iterable[np.ndarray]]) -> Sameness:
        """The same where pictures of equal pixels are one, whatever their files: by role one array for each row."""
        first = 1 + max((int(codes.max(initial=-1)) for codes in self.codes.values()), default=-1)
        known: dict[bytes, int] = {}
        seen = dict(self.codes)
        for role, values in pixels.items():
            seen[role] = np.array(
                [
                    first + known.setdefault(_hash(row), len(known)) if code >= 0 else -1
                    for row, code in zip(values, self.codes[role], strict=True)
                ],
                np.int64,
            )
        return Sameness(seen)


def find_same(collection: Collection, roles: Sequence[str] | None = None, *, group: bool = False) -> Sameness:
    """Which rows hold the same thing: equal text (as `worded`), equal file, equal numbers, and equal group if asked.

    Args:
        collection: the rows.
        roles: the roles to compare; all of the kinds `KINDS` if None.
        group: whether rows of one group are one thing.

    Raises:
        DataError: no role holds anything that could be the same.
    """
    every = [role for role in (collection.columns if roles is None else roles) if collection[role].kind in KINDS]
    codes: dict[str, np.ndarray] = {}
    first = 0
    for kind in dict.fromkeys(collection[role].kind for role in every):
        used = [role for role in every if collection[role].kind == kind]
        found = _numbers([collection[role] for role in used])
        codes |= {role: np.where(each >= 0, each + first, -1) for role, each in zip(used, found, strict=True)}
        first += 1 + max(int(each.max(initial=-1)) for each in found)
    codes = {role: codes[role] for role in every}
    if group and collection.groups is not None:
        codes[GROUP] = np.unique(collection.groups, return_inverse=True)[1].astype(np.int64) + first
    if not any(not is_hard(role) for role in codes):
        raise DataError(f"{collection.name} has no role whose entries could be the same: {', '.join(KINDS)}")
    return Sameness(codes)


def copies_under_other_names(column: Column) -> list[tuple[str, str]]:
    """Files of a column of pictures that hold the bytes of an earlier one: pairs of its name and the earlier one's."""
    if not isinstance(column, ImageColumn):
        return []
    first: dict[bytes, str] = {}
    copies: dict[str, str] = {}
    for row in np.flatnonzero(column.present):
        source = column.source(int(row))
        digest = _digest(column, int(row)) if isinstance(source, str | Path) else None
        if digest is not None and first.setdefault(digest, str(source)) != str(source):
            copies.setdefault(str(source), first[digest])
    return list(copies.items())


def _numbers(columns: Sequence[Column]) -> list[np.ndarray]:
    """For each column of one kind int64 ``(N,)``, -1 where missing; texts and pictures compare between columns too."""
    if all(isinstance(column, TextColumn) for column in columns):
        arrays = [worded(column.array) for column in columns]  # type: ignore[attr-defined]
        chunks = [chunk for each in arrays for chunk in (each.chunks if isinstance(each, pa.ChunkedArray) else [each])]
        indices = pa.chunked_array(chunks, pa.large_string()).combine_chunks().dictionary_encode().indices
        codes = np.asarray(indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
        return np.split(codes, len(columns))
    if all(isinstance(column, ImageColumn) for column in columns):
        known: dict[bytes, int] = {}
        return [_by_digest(column, known) for column in columns]  # type: ignore[arg-type]
    found, first = [], 0
    for column in columns:
        codes = np.asarray(column.distinct(), np.int64)
        found.append(np.where(codes >= 0, codes + first, -1))
        first += 1 + int(codes.max(initial=-1))
    return found


def _hash(pixels: np.ndarray) -> bytes:
    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()


def _by_digest(column: ImageColumn, known: dict[bytes, int]) -> np.ndarray:
    codes = np.full(len(column), -1, np.int64)
    for row in np.flatnonzero(column.present):
        digest = _digest(column, int(row))
        if digest is not None:
            codes[row] = known.setdefault(digest, len(known))
    return codes


def _digest(column: ImageColumn, row: int) -> bytes | None:
    """What tells a picture from others; None where it cannot be read, which is told when all are read."""
    try:
        return column.digest(row)
    except DataError:
        return None
