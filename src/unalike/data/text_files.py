"""Text files: which encoding they have, and what goes wrong while they are read."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from unalike.errors import DataError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def find_encoding(path: Path, encoding: str | None) -> str:
    """The encoding of a text file: that of its byte order mark, else the one given, else UTF-8.

    Raises:
        DataError: Python knows no encoding of the given name, or the file cannot be opened.
    """
    try:
        name = codecs.lookup(encoding or "utf-8").name
    except LookupError:
        raise DataError(f"there is no encoding {encoding!r}; common ones are utf-8, latin-1, cp1252, utf-16") from None
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    for mark, marked in _BOMS:
        if head.startswith(mark):
            return marked
    if b"\0" in head and name == "utf-8":
        raise DataError(
            f"{path} begins with zero bytes among its letters: it is UTF-16 without a byte order mark (try"
            " encoding='utf-16-le', --encoding utf-16-le), or no text at all"
        )
    return name


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """A text file, decompressed as its name says, without its byte order mark."""
    stream: Any = pa.input_stream(str(path), compression="detect")
    return io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf-8" else encoding, newline="\n")


def wrong_encoding(path: Path, encoding: str) -> str:
    """Which byte of a file is not of the encoding, and what to do."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, offset = 1, 0
    with pa.input_stream(str(path), compression="detect") as file:
        while block := file.read(1 << 20):
            pending = len(decoder.getstate()[0])
            try:
                line += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                byte = error.object[error.start]
                where = f"byte 0x{byte:02x} at offset {offset - pending + error.start}, line {line}"
                break
            offset += len(block)
        else:
            where = "it ends in the middle of a character"
    return (
        f"{path} is not {encoding.upper()} ({where}). Say which encoding it has, for instance encoding='latin-1'"
        " (--encoding latin-1), or save it as UTF-8"
    )


@dataclass
class TextReading:
    """Turns what goes wrong while a text file is read into a `DataError` that names the place."""

    path: Path
    encoding: str

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnicodeError) or (isinstance(error, pa.ArrowInvalid) and "UTF8" in str(error)):
            raise DataError(wrong_encoding(self.path, self.encoding)) from error
        if isinstance(error, pa.ArrowInvalid) and "Empty CSV" in str(error):
            raise DataError(f"{self.path} is empty; expected a header and rows") from error
        if isinstance(error, pa.ArrowException | csv.Error | OSError):
            raise DataError(
                f"{self.path} cannot be read: {error}. A cell that holds the delimiter, a quote or a line break"
                ' stands in quotes ("...")'
            ) from error
