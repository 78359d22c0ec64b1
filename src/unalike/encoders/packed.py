"""Columns made ready once: pictures as pixels, texts as token numbers, arrays as float32.

A training step then only slices. Small sets lie in memory, large ones in a file that is mapped, so that preparing and
reading them costs no more memory than a chunk does.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from unalike.data import ArrayColumn, Failure, ImageColumn, iter_decoded
from unalike.errors import SettingsError
from unalike.views import Geometry, Tokens

from .base import Prepared

Fit = Literal["crop", "pad", "trim"]
"""How a picture becomes a square: its centre; all of it on white; what is inside its border of one colour."""

BORDER = 10
"""Values, of 255, by which the pixels of a border of one colour may differ (JPEG is never exact)."""
Indices = np.ndarray | Sequence[int]

IN_MEMORY = 256 * 2**20
"""Bytes above which a prepared column lies in a file."""


class PackedImages(Prepared):
    """Pictures of one size, as bytes.

    Args:
        pixels: uint8 ``(N, 3, S, S)``, zeros where a row has no picture.
        present: bool ``(N,)``: which rows have a picture that could be read.
        failures: why others could not be read, by row.

    Example:
        >>> import numpy as np
        >>> from unalike.data import ImageColumn
        >>> from unalike.encoders import PackedImages
        >>> packed = PackedImages.from_column(ImageColumn([np.zeros((9, 6), np.uint8), None, b"text"]), size=8)
        >>> packed.take([0, 1]).shape, packed.present.tolist(), list(packed.failures)
        (torch.Size([2, 3, 8, 8]), [True, False, False], [2])
    """

    def __init__(self, pixels: np.ndarray, present: np.ndarray, failures: Mapping[int, Failure] | None = None) -> None:
        self.pixels = pixels
        self.present = present
        self.failures = dict(failures or {})

    @classmethod
    def from_column(
        cls,
        column: ImageColumn,
        size: int,
        *,
        fit: Fit = "crop",
        cache: Path | None = None,
        in_memory: int = IN_MEMORY,
    ) -> PackedImages:
        """Decode and resize every picture of a column.

        Args:
            column: the pictures.
            size: side of the result, in pixels.
            fit: cut what sticks out of the centre square, pad to a square with white, or trim a border of one colour.
            cache: folder in which a large set's pixels stay for the next time; without it they go to a file that
                vanishes with the process.
            in_memory: largest number of bytes that is held in memory.
        """
        shape = (len(column), 3, size, size)
        total = math.prod(shape)
        if total <= in_memory:
            pixels = np.empty(shape, np.uint8)
            failures = _decode_into(lambda i, picture: pixels.__setitem__(i, picture), column, size, fit)
            return cls(pixels, _readable(column, failures), failures)
        if cache is None:
            with tempfile.TemporaryFile() as file:
                failures = _decode_into(lambda _, picture: file.write(picture.tobytes()), column, size, fit)
                file.flush()
                return cls(np.memmap(file, np.uint8, "r", shape=shape), _readable(column, failures), failures)
        path = cache / f"{column.fingerprint()}-{size}-{fit}.pixels"
        notes = path.with_suffix(".failures.json")
        if path.is_file() and notes.is_file() and path.stat().st_size == total:
            failures = {int(row): Failure(reason) for row, reason in json.loads(notes.read_text("utf-8")).items()}
        else:
            with _written_aside(path) as pixel_file:
                failures = _decode_into(lambda _, picture: pixel_file.write(picture.tobytes()), column, size, fit)
                with _written_aside(notes) as note_file:
                    reasons = {row: failure.reason for row, failure in failures.items()}
                    note_file.write(json.dumps(reasons).encode())
        return cls(np.memmap(path, np.uint8, "r", shape=shape), _readable(column, failures), failures)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: Indices) -> Tensor:
        """uint8 ``(B, 3, S, S)``: a copy of the rows."""
        return torch.from_numpy(np.asarray(self.pixels[np.asarray(indices, np.int64)]))


def square(image: Image.Image, size: int, fit: Fit = "crop") -> Image.Image:
    """The picture as a square of ``size`` pixels: the centre, all of it on white, or what its border leaves.

    Example:
        >>> from PIL import Image
        >>> from unalike.encoders.packed import square
        >>> square(Image.new("RGB", (30, 20)), 8).size
        (8, 8)
    """
    if fit == "trim":
        image = trim(image)
    if image.size == (size, size):
        return image
    if fit == "pad":
        return ImageOps.pad(image, (size, size), Image.Resampling.BICUBIC, color="white")
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def squared(sizes: Sequence[tuple[int, int]], size: int, fit: Fit = "crop") -> Geometry:
    """Where the pixels of pictures of some heights and widths lie in what `square` makes of them.

    Boxes and masks are told in pixels of the files, views in pixels of the squares: ``view.after(squared(...))`` leads
    from the one to the other.

    Raises:
        SettingsError: ``trim``, which depends on the pixels.

    Example:
        >>> from unalike.encoders.packed import squared
        >>> squared([(20, 40)], 10).matrix[0, 0].tolist()
        [0.5, 0.0, -5.0]
    """
    if fit == "trim":
        raise SettingsError("fit='trim' cuts by what is drawn: boxes and masks follow 'crop' and 'pad' only")
    crops = []
    for height, width in sizes:
        side = min(height, width)
        top, left, high, wide = (height - side) / 2, (width - side) / 2, float(side), float(side)
        if fit == "pad":
            # Rounded as Pillow's ImageOps.pad rounds.
            inner = (size, round(width / height * size)) if height > width else (round(height / width * size), size)
            high, wide = size * height / inner[0], size * width / inner[1]
            top = -round((size - inner[0]) * 0.5) * height / inner[0]
            left = -round((size - inner[1]) * 0.5) * width / inner[1]
        crops.append((top, left, high, wide))
    return Geometry.of_crops(torch.tensor(crops, dtype=torch.float64).reshape(-1, 4), (size, size))


def trim(image: Image.Image) -> Image.Image:
    """The square around what is drawn on a ground of one colour, filled up with that colour.

    Two drawings of one thing then lie alike in their frames, however wide their margins are. A thing smaller than half
    of the picture keeps room around it: small and large dots stay different. Pictures whose corners differ in
    colour, as those of photos do, have no such ground and stay as they are.

    Example:
        >>> from PIL import Image
        >>> from unalike.encoders.packed import trim
        >>> picture = Image.new("RGB", (40, 30), "white")
        >>> picture.paste("red", (10, 5, 34, 25))
        >>> trim(picture).size
        (24, 24)
    """
    pixels = np.asarray(image.convert("RGB")).astype(np.int16)
    ground = pixels[0, 0]
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    if (np.abs(corners - ground) > BORDER).any():
        return image
    drawn = (np.abs(pixels - ground) > BORDER).any(2)
    if not drawn.any():
        return image
    down, across = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    top, bottom, left, right = int(down[0]), int(down[-1]) + 1, int(across[0]), int(across[-1]) + 1
    side = max(bottom - top, right - left, max(image.size) // 2)
    whole = Image.new("RGB", (side, side), tuple(ground.tolist()))
    corner = (side - (right - left)) // 2, (side - (bottom - top)) // 2
    whole.paste(image.convert("RGB").crop((left, top, right, bottom)), corner)
    return whole


def _decode_into(
    sink: Callable[[int, np.ndarray], object], column: ImageColumn, size: int, fit: Fit
) -> dict[int, Failure]:
    """Give ``sink`` each row's pixels in order, zeros where there are none; return what could not be read."""

    def pixels(picture: Image.Image) -> np.ndarray:
        return np.ascontiguousarray(np.asarray(square(picture, size, fit)).transpose(2, 0, 1))

    failures: dict[int, Failure] = {}
    blank = np.zeros((3, size, size), np.uint8)
    for row, picture in iter_decoded(column, shortest=2 * size if fit == "trim" else size, then=pixels):
        if isinstance(picture, Failure):
            failures[row] = picture
        sink(row, picture if isinstance(picture, np.ndarray) else blank)
    return failures


def _readable(column: ImageColumn, failures: Mapping[int, Failure]) -> np.ndarray:
    present = column.present.copy()
    present[list(failures)] = False
    return present


@contextmanager
def _written_aside(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when it is complete, so that whoever finds it finds all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        aside = Path(file.name)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)  # closed before: Windows gives no open file another name
        except BaseException:
            file.close()
            aside.unlink(missing_ok=True)
            raise


class PackedTokens(Prepared):
    """Token sequences of different lengths, one after the other.

    Args:
        values: int32, the tokens of all rows; 0 is kept for padding.
        offsets: int64 ``(N + 1,)``; row ``i`` is ``values[offsets[i] : offsets[i + 1]]``.
        present: bool ``(N,)``.
        notes: what a user should know of the texts, such as how many are longer than what is read of them.
        reads: how many tokens of a row its encoder reads; what stands behind them is there for views that crop. None
            where it reads all.

    Example:
        >>> import numpy as np
        >>> from unalike.encoders import PackedTokens
        >>> packed = PackedTokens(np.array([5, 6, 7], np.int32), np.array([0, 1, 3]), np.ones(2, bool))
        >>> packed.take([0, 1]).ids.tolist()
        [[5, 0], [6, 7]]
    """

    def __init__(
        self,
        values: np.ndarray,
        offsets: np.ndarray,
        present: np.ndarray,
        *,
        notes: Sequence[str] = (),
        reads: int | None = None,
    ) -> None:
        self.values = values
        self.offsets = offsets
        self.present = present
        self.notes = tuple(notes)
        self.reads = reads

    @property
    def counts(self) -> np.ndarray:
        """Int64 ``(N,)``: how many tokens of each row its encoder reads."""
        counts = np.diff(self.offsets)
        return counts if self.reads is None else np.minimum(counts, self.reads)

    @classmethod
    def from_chunks(
        cls, chunks: Iterable[tuple[np.ndarray, np.ndarray]], present: np.ndarray, *, in_memory: int = IN_MEMORY
    ) -> PackedTokens:
        """Collect what a tokenizer gives, chunk by chunk.

        Args:
            chunks: pairs of int32 tokens and the number of tokens of each row.
            present: bool ``(N,)`` over all rows of all chunks.
            in_memory: largest number of bytes that is held in memory; more goes to a file that vanishes with the
                process.
        """
        lengths: list[np.ndarray] = []
        held: list[np.ndarray] = []
        total = 0
        with tempfile.TemporaryFile() as file:
            for values, counts in chunks:
                lengths.append(counts.astype(np.int64, copy=False))
                held.append(values.astype(np.int32, copy=False))
                total += values.size * 4
                if total > in_memory:
                    file.writelines(part.tobytes() for part in held)
                    held.clear()
            offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
            if total <= in_memory:
                return cls(np.concatenate([np.empty(0, np.int32), *held]), offsets, present)
            file.flush()
            return cls(np.memmap(file, np.int32, "r"), offsets, present)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, indices: Indices, *, most: int | None = None) -> Tokens:
        """The rows, padded with zeros to the longest of them and to one token at least.

        Args:
            indices: which rows.
            most: how many tokens of each at most; all of them without it.
        """
        rows = np.asarray(indices, np.int64)
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        if most is not None:
            lengths = np.minimum(lengths, most)
        places = np.arange(max(1, lengths.max(initial=0)))
        mask = places < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = self.values[(starts[:, None] + places)[mask]]
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask))


class PackedArrays(Prepared):
    """Rows of numbers.

    Args:
        values: float32 ``(N, F)``, zeros where a row is missing.
        present: bool ``(N,)``.

    Example:
        >>> import numpy as np
        >>> from unalike.encoders import PackedArrays
        >>> PackedArrays(np.ones((4, 2), np.float32), np.ones(4, bool)).take([1, 2]).shape
        torch.Size([2, 2])
    """

    def __init__(self, values: np.ndarray, present: np.ndarray) -> None:
        self.values = values
        self.present = present

    @classmethod
    def from_column(cls, column: ArrayColumn) -> PackedArrays:
        """The rows of an array column; nothing is copied unless some are missing."""
        present = column.present
        return cls(column.values if present.all() else np.where(present[:, None], column.values, 0), present)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: Indices) -> Tensor:
        """float32 ``(B, F)``: a copy of the rows."""
        return torch.from_numpy(self.values[np.asarray(indices, np.int64)])
