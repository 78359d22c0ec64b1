"""Columns of tags, of recordings, and of stacked arrays (points, series)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from unalike.data.columns import Column, TextColumn
from unalike.errors import DataError


class TagsColumn(TextColumn):
    """Keywords, joined by commas: texts that views may use and search leaves alone.

    Example:
        >>> column = TagsColumn(["cat, pet", None])
        >>> column.kind, column.select([0])[0]
        ('tags', 'cat, pet')
    """

    kind = "tags"

    def select(self, indices: np.ndarray | Sequence[int]) -> TagsColumn:
        return TagsColumn(self.array.take(pa.array(np.asarray(indices, np.int64))))


class FileColumn(Column):
    """Things that stay in their files until a reader decodes them: an entry is the path of one."""

    what: str
    """What errors call one of them."""

    def __init__(self, paths: Sequence[str | Path | None], *, root: str | Path = "") -> None:
        self.root = Path(root)
        self._paths = [None if path is None else str(path) for path in paths]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Path | None:
        path = self._paths[index]
        return None if path is None else self.root / path

    def select(self, indices: np.ndarray | Sequence[int]) -> Self:
        return type(self)([self._paths[int(index)] for index in indices], root=self.root)

    @property
    def present(self) -> np.ndarray:
        return np.array([path is not None for path in self._paths], bool)

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(self.kind.encode(), digest_size=16)
        for index in range(len(self)):
            hasher.update(self._digest(index))
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        numbers: dict[bytes, int] = {}
        present = self.present
        return np.array(
            [numbers.setdefault(self._digest(row), len(numbers)) if present[row] else -1 for row in range(len(self))],
            np.int64,
        )

    def _digest(self, index: int) -> bytes:
        path = self[index]
        if path is None:
            return bytes(16)
        try:
            return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        except OSError as error:
            raise DataError(f"{self.what} {path} cannot be read: {error.strerror}") from error


class AudioColumn(FileColumn):
    """Recordings, as files: an entry is the path of one, left to the reader to decode.

    Args:
        paths: for each row a path, or None where it is missing.
        root: the folder that relative paths start from.

    Raises:
        DataError: when the content is asked for of a file that cannot be read.

    Example:
        >>> column = AudioColumn(["speech/one.ogg", None], root="/data")
        >>> column[0].as_posix(), column[1]
        ('/data/speech/one.ogg', None)
    """

    kind, what = "audio", "recording"


class ClipColumn(FileColumn):
    """Clips, as files: an entry is the path of one, left to the reader to decode.

    Args:
        paths: for each row a path, or None where it is missing.
        root: the folder that relative paths start from.

    Raises:
        DataError: when the content is asked for of a file that cannot be read.

    Example:
        >>> column = ClipColumn(["jump/one.mp4", None], root="/data")
        >>> column.kind, column[0].as_posix(), column[1]
        ('video', '/data/jump/one.mp4', None)
    """

    kind, what = "video", "clip"


class StackColumn(Column):
    """Arrays of one shape: clouds of points, series of equal or padded length.

    Args:
        values: float ``(N, ...)``. NaN is padding; a row of nothing but NaN is missing.
        kind: the kind of the column, such as ``points`` or ``series``.

    Raises:
        DataError: an entry is a single number, or no number at all.

    Example:
        >>> column = StackColumn(np.zeros((4, 2, 10)), kind="series")
        >>> len(column), column[0].shape
        (4, (2, 10))
    """

    def __init__(self, values: np.ndarray, *, kind: str) -> None:
        if values.ndim < 2 or values.dtype.kind not in "fiu":
            raise DataError(f"a stack {values.shape} of {values.dtype}; expected numbers, (N, ...)")
        self.kind = kind
        self.values = values.astype(np.float32, copy=False)
        """float32 ``(N, ...)``"""

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> np.ndarray | None:
        values = self.values[index]
        return None if np.isnan(values).all() else values

    def select(self, indices: np.ndarray | Sequence[int]) -> StackColumn:
        return StackColumn(self.values[np.asarray(indices, np.int64)], kind=self.kind)

    @property
    def present(self) -> np.ndarray:
        return np.asarray(~np.isnan(self.values).reshape(len(self.values), -1).all(1), bool)

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(f"{self.kind} {self.values.shape}".encode(), digest_size=16)
        hasher.update(self.values.astype("<f4").tobytes())
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        numbers: dict[bytes, int] = {}
        return np.array(
            [
                numbers.setdefault(row.tobytes(), len(numbers)) if there else -1
                for row, there in zip(self.values, self.present, strict=True)
            ],
            np.int64,
        )
