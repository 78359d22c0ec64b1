"""The columns of a collection: one role each, decoded only when asked."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from unalike.data.images import MAX_PIXELS, Header, ImageSource, check_file, decode, read_header
from unalike.errors import DataError

Indices = np.ndarray | Sequence[int]


class Column(ABC):
    """One role of a collection: as many entries as the collection has rows, some of which may be missing.

    ``kind`` is the role without its variant: the roles ``image:google`` and ``image:twitter`` are both of the
    kind ``image``, ``text:de`` is of the kind ``text``.
    """

    kind: str

    notes: tuple[str, ...] = ()
    """What a user should know of how it was made."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """One entry, decoded: a PIL picture in RGB, a string, an array, a class name; None where it is missing."""

    @abstractmethod
    def select(self, indices: np.ndarray | Sequence[int]) -> Column:
        """A column of the given rows, in that order. Nothing is decoded or copied that need not be."""

    @property
    @abstractmethod
    def present(self) -> np.ndarray:
        """Bool ``(N,)``: which rows have an entry."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of the content, the same on every machine."""

    def distinct(self) -> np.ndarray:
        """Int64 ``(N,)``: rows with equal entries share a number, counted from 0 in order of appearance; -1 missing."""
        numbers: dict[Any, int] = {}
        entries = (self[index] for index in range(len(self)))
        return np.fromiter(
            (-1 if entry is None else numbers.setdefault(entry, len(numbers)) for entry in entries), np.int64, len(self)
        )


class ImageColumn(Column):
    """Pictures, decoded one at a time when asked, by `unalike.data.decode`.

    Args:
        sources: for each row a path, the bytes of an encoded file, a uint8 array, a PIL picture, or None where it is
            missing; also one uint8 array ``(N, H, W)`` or ``(N, H, W, 3)``, or a pyarrow array of encoded files,
            which stay where they are.
        max_pixels: largest picture that is decoded, in pixels.
        notes: what a user should know of how the column was made.

    Raises:
        DataError: when an entry is asked for that cannot be read.

    Example:
        >>> column = ImageColumn(np.zeros((10, 8, 8), np.uint8))
        >>> len(column), column[0].size, column[0].mode
        (10, (8, 8), 'RGB')
    """

    kind = "image"

    def __init__(
        self,
        sources: Sequence[ImageSource | None] | np.ndarray | pa.Array | pa.ChunkedArray,
        *,
        max_pixels: int = MAX_PIXELS,
        notes: Sequence[str] = (),
    ) -> None:
        self._sources: Any = sources
        self.notes = tuple(notes)
        self._rows = np.arange(len(sources))
        self._digests: dict[int, bytes] = {}
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self._rows)

    def source(self, index: int) -> ImageSource | None:
        """Where the picture of a row comes from, undecoded; None where it is missing."""
        source: Any = self._sources[self._rows[index]]
        return source.as_py() if isinstance(source, pa.Scalar) else source

    def __getitem__(self, index: int) -> Image.Image | None:
        source = self.source(index)
        if source is None:
            return None
        try:
            return decode(source, max_pixels=self.max_pixels)
        except DataError as error:
            name = source if isinstance(source, str | Path) else f"of row {index}"
            raise DataError(f"picture {name} cannot be read: {error}") from error

    def select(self, indices: Indices) -> ImageColumn:
        chosen = ImageColumn.__new__(ImageColumn)
        chosen._sources, chosen._digests, chosen.max_pixels = self._sources, self._digests, self.max_pixels
        chosen.notes = self.notes
        chosen._rows = self._rows[np.asarray(indices, np.int64)]
        return chosen

    @property
    def present(self) -> np.ndarray:
        if isinstance(self._sources, pa.Array | pa.ChunkedArray):
            return _valid(self._sources)[self._rows]
        return np.array([self._sources[row] is not None for row in self._rows], bool)

    def digest(self, index: int) -> bytes:
        """16 bytes that tell this picture from others: a hash of its file's bytes, or of an array's size and pixels.

        Raises:
            DataError: the file cannot be read.
        """
        row = int(self._rows[index])
        if row not in self._digests:
            self._digests[row] = _picture_digest(self.source(index))
        return self._digests[row]

    def header(self, index: int) -> Header | None:
        """What the picture of a row says before it is decoded; of a file that is opened for it the `digest` is kept.

        Raises:
            DataError: as `unalike.data.images.read_header` does.
        """
        row, source = int(self._rows[index]), self.source(index)
        if not isinstance(source, str | Path) or row in self._digests:
            return None if source is None else read_header(source, max_pixels=self.max_pixels)
        try:
            check_file(source)
            with Path(source).open("rb") as file:
                header = read_header(file, max_pixels=self.max_pixels)
                self._digests[row] = _file_digest(file)
        except (OSError, ValueError) as error:
            raise DataError(getattr(error, "strerror", None) or str(error)) from error
        return header

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"image", digest_size=16)
        for index in range(len(self)):
            hasher.update(self.digest(index))
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        numbers: dict[bytes, int] = {}
        present = self.present
        return np.array(
            [numbers.setdefault(self.digest(i), len(numbers)) if there else -1 for i, there in enumerate(present)],
            np.int64,
        )


class TextColumn(Column):
    """Strings, held as one pyarrow column. A string that is empty or blank counts as missing.

    Args:
        texts: strings and None, or a pyarrow array of strings.

    Raises:
        DataError: an entry is no string.

    Example:
        >>> column = TextColumn(["red bicycle", " ", None])
        >>> column[0], column.present.tolist()
        ('red bicycle', [True, False, False])
    """

    kind = "text"

    def __init__(self, texts: Iterable[str | None] | pa.Array | pa.ChunkedArray) -> None:
        if not isinstance(texts, pa.Array | pa.ChunkedArray):
            texts = list(texts)
            for row, text in enumerate(texts):
                if text is not None and not isinstance(text, str):
                    raise DataError(f"row {row} is a {type(text).__name__}; texts are strings or None")
            try:
                texts = pa.array(texts, pa.large_string())
            except UnicodeEncodeError as error:  # half a surrogate pair
                raise DataError(f"texts are strings of Unicode: {error}") from error
        # large_string has 64-bit offsets: taking rows of a plain string column fails beyond 2 GiB of text.
        array = texts.cast(pa.large_string())
        blank = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(array)), 0)
        if pc.any(blank).as_py():
            array = pc.if_else(pc.fill_null(blank, False), pa.scalar(None, pa.large_string()), array)
        self.array: pa.Array | pa.ChunkedArray = array
        """The strings as pyarrow holds them, null where missing."""

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: int) -> str | None:
        return self.array[int(index)].as_py()

    def __iter__(self) -> Iterator[str | None]:
        for start in range(0, len(self), 8192):
            yield from self.array.slice(start, 8192).to_pylist()

    def select(self, indices: Indices) -> TextColumn:
        return TextColumn(self.array.take(pa.array(np.asarray(indices, np.int64))))

    @property
    def present(self) -> np.ndarray:
        return _valid(self.array)

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"text", digest_size=16)
        lengths = pc.fill_null(pc.cast(pc.binary_length(self.array), pa.int64()), -1)
        hasher.update(np.asarray(lengths, "<i8").tobytes())
        for start in range(0, len(self), 8192):
            hasher.update("".join(filter(None, self.array.slice(start, 8192).to_pylist())).encode())
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        return _numbers(self.array)


class ArrayColumn(Column):
    """Numbers: one float32 vector a row.

    Args:
        values: float or integer ``(N, F)``; a row that holds NaN or infinity counts as missing.

    Raises:
        DataError: not two-dimensional, or not of numbers.

    Example:
        >>> column = ArrayColumn([[1, 2], [3, float("nan")]])
        >>> column[0].tolist(), column[1]
        ([1.0, 2.0], None)
    """

    kind = "array"

    def __init__(self, values: np.ndarray | Sequence[Sequence[float]]) -> None:
        array = np.asarray(values)
        if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiub":
            raise DataError(f"an array {array.shape} of {array.dtype}; expected numbers in rows and columns, (N, F)")
        self.values = array.astype(np.float32, copy=False)
        """float32 ``(N, F)``"""
        self._present: np.ndarray = np.asarray(np.isfinite(self.values).all(axis=1))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> np.ndarray | None:
        return self.values[index] if self._present[index] else None

    def select(self, indices: Indices) -> ArrayColumn:
        return ArrayColumn(self.values[np.asarray(indices, np.int64)])

    @property
    def present(self) -> np.ndarray:
        return self._present

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(f"array {self.values.shape}".encode(), digest_size=16)
        hasher.update(np.ascontiguousarray(self.values, "<f4").data)
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        rows = np.ascontiguousarray(self.values + 0.0).view(np.dtype((np.void, self.values.shape[1] * 4)))[:, 0]
        return _appearance(np.unique(rows, return_inverse=True)[1], self._present)


class LabelColumn(Column):
    """Classes, as numbers and names.

    Args:
        codes: integers ``(N,)``, the position of each row's class in ``names``; -1 where it is missing.
        names: names of the classes. Rows chosen out of a column keep all of them, so that codes stay comparable.

    Raises:
        DataError: a code without a name, or a name that occurs twice.

    Example:
        >>> column = LabelColumn.from_values(["dog", "cat", None, "dog"])
        >>> column.codes.tolist(), column.names
        ([1, 0, -1, 1], ['cat', 'dog'])
    """

    kind = "label"

    def __init__(self, codes: np.ndarray | Sequence[int], names: Sequence[str]) -> None:
        self.codes = np.asarray(codes, np.int64)
        self.names = [str(name) for name in names]
        if self.codes.ndim != 1 or len(set(self.names)) != len(self.names):
            raise DataError(f"codes {self.codes.shape} and {len(self.names)} names; expected (N,) and distinct names")
        if len(self.codes) and (self.codes.min() < -1 or self.codes.max() >= len(self.names)):
            raise DataError(
                f"codes run from {self.codes.min()} to {self.codes.max()}, but there are {len(self.names)} names;"
                " a code is the position of a name, or -1 where the label is missing"
            )

    @classmethod
    def from_values(cls, values: Iterable[Any]) -> LabelColumn:
        """Classes out of values: None and NaN are missing, names are sorted, as numbers where all of them are."""
        texts = [_label_name(value) for value in values]
        names = sorted({text for text in texts if text is not None})
        with suppress(ValueError):  # not all of them are numbers: the alphabet stays
            names.sort(key=float)
        codes = {name: code for code, name in enumerate(names)}
        return cls(np.array([-1 if text is None else codes[text] for text in texts], np.int64), names)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> str | None:
        code = self.codes[index]
        return None if code < 0 else self.names[code]

    def select(self, indices: Indices) -> LabelColumn:
        return LabelColumn(self.codes[np.asarray(indices, np.int64)], self.names)

    @property
    def present(self) -> np.ndarray:
        return self.codes >= 0

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"label", digest_size=16)
        for name in self.names:
            hasher.update(len(name.encode()).to_bytes(8, "little") + name.encode())
        hasher.update(self.codes.astype("<i8").tobytes())
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        return _appearance(self.codes, self.present)


def _valid(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.is_valid(array), bool)


def _numbers(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Int64 ``(N,)``: the number of each distinct value, -1 for null."""
    chunked = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    encoded = chunked.dictionary_encode().unify_dictionaries()
    parts = [np.asarray(pc.fill_null(chunk.indices.cast(pa.int64()), -1)) for chunk in encoded.chunks]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _appearance(codes: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Renumber codes from 0 in order of appearance, -1 where missing."""
    return _numbers(pa.array(codes.astype(np.int64), mask=~present))


def _label_name(value: Any) -> str | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:  # NaN differs from itself
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of integers with gaps arrives as floats
    return str(value).strip() or None


def _file_digest(file: io.BufferedReader) -> bytes:
    """16 bytes that tell a file's content from others, whatever was read of it before."""
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def _picture_digest(source: ImageSource | None) -> bytes:
    hasher = hashlib.blake2b(digest_size=16)
    if isinstance(source, bytes):
        hasher.update(source)
    elif isinstance(source, str | Path):
        try:
            with Path(source).open("rb") as file:
                return _file_digest(file)
        except OSError as error:
            raise DataError(f"picture {source} cannot be read: {error.strerror}") from error
    elif source is not None:
        pixels = np.asarray(source)
        mode = source.mode if isinstance(source, Image.Image) else "array"
        hasher.update(f"{mode} {pixels.shape} {pixels.dtype.str}".encode())
        hasher.update(pixels.tobytes())
    else:
        return bytes(16)
    return hasher.digest()
