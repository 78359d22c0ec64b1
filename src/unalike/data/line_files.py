"""Plain text files with one text a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from unalike.data.table_base import Use
from unalike.data.text_files import TextReading, find_encoding, open_text
from unalike.errors import DataError

LINES_SUFFIXES = {".txt"}

_NUMBERS = re.compile(r"\s*[-+.\d][-+.\deE]*([\s,;][\s,;]*[-+.\d][-+.\deE]*)+\s*")


class LinesTable:
    """A file with one text a line: a table of the one column ``text``; blank lines are missing.

    Raises:
        DataError: the file cannot be read, or its first line is a row of numbers.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self._path = path
        self._encoding = find_encoding(path, encoding)
        self.columns: Mapping[str, pa.DataType] = {"text": pa.large_string()}
        with TextReading(path, self._encoding), open_text(path, self._encoding) as file:
            first = file.readline(1 << 16)
        if _NUMBERS.fullmatch(first):
            raise DataError(
                f"{path} begins with numbers ({first.strip()[:40]}), and a .txt file is taken for one text a line; "
                "save it as .csv with names of columns in its first line"
            )

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        wrong = sorted({*uses.values()} - {"strings", "anything"})
        if wrong:
            raise DataError(f"{self._path} holds one text a line, which cannot be read as {', '.join(wrong)}")
        with TextReading(self._path, self._encoding), open_text(self._path, self._encoding) as file:
            lines = [line.rstrip("\r\n") for line in file]
        return pa.table({name: pa.array(lines, pa.large_string()) for name in uses})
