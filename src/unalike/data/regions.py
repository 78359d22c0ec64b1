"""What is said of parts of a picture: boxes around things, and a mask that names what each pixel belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unalike.data.columns import Column, Indices, LabelColumn
from unalike.data.images import MAX_PIXELS, decode_map
from unalike.errors import DataError

MASK_ENDING = ".mask.png"
"""How the name of a mask ends that lies beside its picture: ``cat.mask.png`` beside ``cat.jpg``."""


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """The boxes of one picture.

    Args:
        corners: float32 ``(K, 4)``: left, top, right and bottom in pixels of the picture as it is stored.
        codes: int64 ``(K,)``: the class of each, a position in the column's ``names``; -1 where it has none.
    """

    corners: np.ndarray
    codes: np.ndarray


class BoxesColumn(Column):
    """For each picture the boxes around things in it; none at all is an entry too, and differs from a missing one.

    Args:
        entries: for each row its boxes, or None where nobody looked.
        names: of the classes.

    Raises:
        DataError: a box without room, or a class without a name.

    Example:
        >>> column = BoxesColumn.from_values([[[0, 0, 4, 8]], [{"box": [1, 1, 2, 2], "class": "cat"}], [], None])
        >>> column[0].corners.tolist(), column[1].codes.tolist(), column.names, column.present.tolist()
        ([[0.0, 0.0, 4.0, 8.0]], [0], ['cat'], [True, True, True, False])
    """

    kind = "boxes"

    def __init__(self, entries: Sequence[ImageBoxes | None], names: Sequence[str]) -> None:
        self._entries, self.names = list(entries), list(names)
        for row, entry in enumerate(self._entries):
            if entry is not None:
                _check(entry, row, len(self.names))

    @classmethod
    def from_values(cls, values: Iterable[Any]) -> BoxesColumn:
        """Boxes out of lists: each ``[left, top, right, bottom]``, or ``{"box": [...], "class": name}``.

        A row may also be a float array ``(K, 4)``, or None.
        """
        corners: list[np.ndarray | None] = []
        classes: list[list[Any]] = []
        for row, value in enumerate(values):
            try:
                boxes = [] if value is None else list(value)
                told = [each["box"] if isinstance(each, Mapping) else each for each in boxes]
                array = np.array(told, np.float32).reshape(len(told), 4)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"row {row} has the boxes {str(value)[:60]}; expected a list of [left, top, right, bottom], or of"
                    ' {"box": [left, top, right, bottom], "class": "cat"}'
                ) from error
            corners.append(None if value is None else array)
            classes.append([each.get("class") if isinstance(each, Mapping) else None for each in boxes])
        labels = LabelColumn.from_values([name for row in classes for name in row])
        ends = np.cumsum([0, *map(len, classes)])
        return cls(
            [
                None if each is None else ImageBoxes(each, labels.codes[ends[row] : ends[row + 1]])
                for row, each in enumerate(corners)
            ],
            labels.names,
        )

    @classmethod
    def from_cells(cls, values: pa.ChunkedArray, column: str) -> BoxesColumn:
        """Boxes out of a table's column of lists, or of texts that hold such lists as JSON.

        Raises:
            DataError: it holds something else.
        """
        rows = values.to_pylist()
        try:
            rows = [(json.loads(row) if row.strip() else None) if isinstance(row, str) else row for row in rows]
            return cls.from_values(rows)
        except (json.JSONDecodeError, TypeError, DataError) as error:
            raise DataError(f"the column {column!r} holds no boxes: {error}") from error

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> ImageBoxes | None:
        return self._entries[int(index)]

    def select(self, indices: Indices) -> BoxesColumn:
        return BoxesColumn([self._entries[int(index)] for index in indices], self.names)

    @property
    def present(self) -> np.ndarray:
        return np.array([entry is not None for entry in self._entries], bool)

    def _digest(self, index: int) -> bytes:
        entry = self._entries[index]
        if entry is None:
            return bytes(16)
        hasher = hashlib.blake2b(f"{len(entry.corners)}".encode(), digest_size=16)
        hasher.update(entry.corners.astype("<f4").tobytes() + entry.codes.astype("<i8").tobytes())
        return hasher.digest()

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"boxes", digest_size=16)
        for name in self.names:
            hasher.update(len(name.encode()).to_bytes(8, "little") + name.encode())
        for index in range(len(self)):
            hasher.update(self._digest(index))
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        numbers: dict[bytes, int] = {}
        rows = enumerate(self.present)
        return np.array([numbers.setdefault(self._digest(i), len(numbers)) if t else -1 for i, t in rows], np.int64)


class MaskColumn(Column):
    """For each picture an integer map of its size: what each pixel belongs to, usually 0 for nothing.

    Args:
        sources: for each row the path of a PNG of one channel or with a palette (whose numbers count, not its colours),
            an integer array ``(H, W)``, or None where it is missing.
        max_pixels: largest mask that is decoded.

    Raises:
        DataError: when an entry is asked for that cannot be read, or has several channels.

    Example:
        >>> column = MaskColumn([np.eye(3, dtype=np.uint8), None])
        >>> column[0].sum(), column.present.tolist()
        (np.int64(3), [True, False])
    """

    kind = "mask"

    def __init__(self, sources: Sequence[str | Path | np.ndarray | None], *, max_pixels: int = MAX_PIXELS) -> None:
        self._sources, self.max_pixels = list(sources), max_pixels

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: int) -> np.ndarray | None:
        source = self._sources[int(index)]
        if source is None:
            return None
        try:
            if isinstance(source, np.ndarray):
                if source.ndim != 2 or source.dtype.kind not in "biu":
                    raise DataError(f"an array {source.shape} of {source.dtype}; expected integers, (H, W)")
                return source.astype(np.int64)
            return decode_map(source, max_pixels=self.max_pixels)
        except DataError as error:
            name = f"of row {index}" if isinstance(source, np.ndarray) else source
            raise DataError(f"mask {name} cannot be read: {error}") from error

    def select(self, indices: Indices) -> MaskColumn:
        return MaskColumn([self._sources[int(index)] for index in indices], max_pixels=self.max_pixels)

    @property
    def present(self) -> np.ndarray:
        return np.array([source is not None for source in self._sources], bool)

    def _digest(self, index: int) -> bytes:
        mask = self[index]
        if mask is None:
            return bytes(16)
        return hashlib.blake2b(f"{mask.shape}".encode() + mask.astype("<i8").tobytes(), digest_size=16).digest()

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"mask", digest_size=16)
        for index in range(len(self)):
            hasher.update(self._digest(index))
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        numbers: dict[bytes, int] = {}
        rows = enumerate(self.present)
        return np.array([numbers.setdefault(self._digest(i), len(numbers)) if t else -1 for i, t in rows], np.int64)


def masks_beside(paths: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The pictures of a folder without the masks that lie beside them, and by picture its mask.

    Example:
        >>> from unalike.data.regions import masks_beside
        >>> masks_beside(["a/cat.jpg", "a/cat.mask.png", "b/odd.mask.png"])
        (['a/cat.jpg', 'b/odd.mask.png'], {'a/cat.jpg': 'a/cat.mask.png'})
    """
    named = {path[: -len(MASK_ENDING)]: path for path in paths if path.lower().endswith(MASK_ENDING)}
    found = {path: named[stem] for path in paths if (stem := str(Path(path).with_suffix(""))) in named}
    masks = set(found.values())
    return [path for path in paths if path not in masks], found


def _check(entry: ImageBoxes, row: int, classes: int) -> None:
    corners = entry.corners
    if corners.ndim != 2 or corners.shape[1] != 4 or len(corners) != len(entry.codes):
        raise DataError(f"row {row} has boxes {corners.shape} and {len(entry.codes)} classes; expected (K, 4) and K")
    wrong = np.flatnonzero(~(np.isfinite(corners).all(1) & (corners[:, 2:] >= corners[:, :2]).all(1)))
    if len(wrong):
        raise DataError(
            f"row {row} has the box {corners[wrong[0]].tolist()}; expected left, top, right and bottom in pixels, left"
            " before right and top before bottom (not width and height)"
        )
    if len(entry.codes) and (entry.codes.min() < -1 or entry.codes.max() >= classes):
        raise DataError(f"row {row} has classes from {entry.codes.min()} to {entry.codes.max()} of {classes} names")
