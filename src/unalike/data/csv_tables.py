"""Tables in CSV files, as many programs write them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from unalike.data.cells import NoNumber, as_numbers, looks_numeric
from unalike.data.table_base import Use
from unalike.data.text_files import TextReading, find_encoding, open_text
from unalike.errors import DataError

CSV_SUFFIXES = {".csv", ".tsv", ".tab"}

_MISSING = ["", "NaN", "nan", "<NA>", "#N/A"]
"""Cells that stand for nothing. "NA" and "null" do so in columns of numbers alone: they may be Namibia, or a word."""

_BLOCK = 8 << 20
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class Dialect:
    """How a program wrote its CSV.

    delimiter: what parts the cells; announced: whether a first line ``sep=;`` says so; blanks: whether blanks stand
    around the delimiter; escapes: whether a quote inside of quotes is written as a backslash and a quote.
    """

    delimiter: str
    announced: bool = False
    blanks: bool = False
    escapes: bool = False

    @property
    def plain(self) -> bool:
        """Whether it only differs in its delimiter from what everybody reads."""
        return not (self.blanks or self.escapes)


class CsvTable:
    """A CSV or TSV file with a header, in any encoding that Python knows; a byte order mark decides by itself."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self._path = path
        self._encoding = find_encoding(path, encoding)
        with self._reading():
            tabs = {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes}
            self._dialect = find_dialect(path, self._encoding, "\t" if tabs else None)
            reader = self._open(pyarrow.csv.ConvertOptions(null_values=_MISSING, strings_can_be_null=True))
            schema = reader.schema
            first = next(iter(reader), None)
        twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if twice:
            raise DataError(f"{path} has several columns named {', '.join(twice)}; give each its own name")
        self.columns: Mapping[str, pa.DataType] = {
            name: pa.float64()
            if first is not None and kind == pa.string() and looks_numeric(first[name], self._comma)
            else kind
            for name, kind in zip(schema.names, schema.types, strict=True)
        }

    @property
    def _comma(self) -> bool:
        """Whether a number may have a decimal comma."""
        return self._dialect.delimiter != ","

    def read(self, uses: Mapping[str, Use]) -> pa.Table:
        types = {name: pa.float64() if use == "numbers" else pa.large_string() for name, use in uses.items()}
        with self._reading():
            try:
                return self._read(types)
            except pa.ArrowInvalid as error:
                if "conversion error to double" not in str(error):
                    raise
            # Some cell is no number as everybody writes it: a decimal comma, a word for what is missing, or an error.
            table = self._read(dict.fromkeys(types, pa.large_string()))
        for number, (name, kind) in enumerate(types.items()):
            if kind == pa.float64():
                table = table.set_column(number, name, self._as_numbers(table[name], name))
        return table

    def _read(self, types: Mapping[str, pa.DataType]) -> pa.Table:
        options = pyarrow.csv.ConvertOptions(
            include_columns=list(types), column_types=types, null_values=_MISSING, strings_can_be_null=True
        )
        return pa.Table.from_batches(self._open(options), pa.schema(list(types.items())))

    def _as_numbers(self, cells: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        try:
            return as_numbers(cells, decimal_comma=self._comma)
        except NoNumber as error:
            line = error.row + 2 + self._dialect.announced
            raise DataError(
                f"{self._path}: the column {name!r} is wanted as numbers, but holds {error.value!r} in line {line}. "
                "Give a number there, or an empty cell or NA for a missing one, or leave the column out (--array with "
                "the other columns)"
            ) from error

    def _open(self, convert: pyarrow.csv.ConvertOptions) -> pyarrow.csv.CSVStreamingReader:
        plain, dialect = self._dialect.plain, self._dialect
        return pyarrow.csv.open_csv(
            pa.input_stream(str(self._path), compression="detect")
            if plain
            else io.BufferedReader(_Rewritten(self._path, self._encoding, dialect)),
            pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                encoding=self._encoding if plain else "utf-8",
                skip_rows=int(plain and dialect.announced),
            ),
            pyarrow.csv.ParseOptions(delimiter=dialect.delimiter if plain else ",", newlines_in_values=True),
            convert,
        )

    def _reading(self) -> TextReading:
        return TextReading(self._path, self._encoding)


def find_dialect(path: Path, encoding: str, delimiter: str | None = None) -> Dialect:
    """How a file was written: what its header has most of parts its cells, unless a line ``sep=`` or an ending says so.

    Example:
        >>> from unalike.data.csv_tables import find_dialect
        >>> written = (tmp / "a.csv").write_text("path; caption\\n1.png; red\\n")
        >>> find_dialect(tmp / "a.csv", "utf-8")
        Dialect(delimiter=';', announced=False, blanks=True, escapes=False)
    """
    with open_text(path, encoding) as file:
        sample = file.read(_SAMPLE)
        header = sample.partition("\n")[0]
        said = re.fullmatch(r'"?sep=(.)"?\s*', header)
        if said:
            delimiter, sample = said[1], sample[len(header) + 1 :]
            header = sample.partition("\n")[0]
        bare = re.sub(r'"[^"]*"', "", header)
        delimiter = delimiter or max(",;\t|", key=bare.count)
        mark, blanks = re.escape(delimiter), r"[ ]+" if delimiter == "\t" else r"[ \t]+"
        spaced = bool(re.search(mark + blanks, bare)) and not re.search(rf"{mark}(?![ \t])", bare)
        # A cell in quotes behind a blank: inside of quotes a quote would be doubled.
        spaced |= bool(re.search(rf'{mark}{blanks}"(?=[^"\r\n{mark}])', sample))
        escaped = _escaped_quote(delimiter)
        escapes = bool(escaped.search(sample))
        while not escapes and (block := file.read(1 << 20)):
            escapes = '\\"' in block and bool(escaped.search(block))
    return Dialect(delimiter, bool(said), spaced, escapes)


def _escaped_quote(delimiter: str) -> re.Pattern[str]:
    """A quote behind a backslash that is no end of a cell: of a path ``"C:\\photos\\"`` the last quote is one."""
    return re.compile(rf'\\"(?!["\r\n{re.escape(delimiter)}]|\Z)')


class _Rewritten(io.RawIOBase):
    """A file in an odd dialect as UTF-8 with commas, quotes doubled and no blanks around the delimiters."""

    def __init__(self, path: Path, encoding: str, dialect: Dialect) -> None:
        self._text = open_text(path, encoding)
        self._blocks = self._rewrite(dialect)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def _rewrite(self, dialect: Dialect) -> Iterator[bytes]:
        if dialect.announced:
            self._text.readline()
        held = io.StringIO()
        writer = csv.writer(held, lineterminator="\n")
        rows = csv.reader(
            self._lines(dialect), delimiter=dialect.delimiter, skipinitialspace=dialect.blanks, strict=True
        )
        for row in rows:
            writer.writerow([cell.strip(" ") for cell in row] if dialect.blanks else row)
            if held.tell() > 1 << 18:
                yield held.getvalue().encode()
                held.seek(0)
                held.truncate()
        yield held.getvalue().encode()

    def _lines(self, dialect: Dialect) -> Iterator[str]:
        end = re.escape(dialect.delimiter)
        for line in self._text:
            if dialect.escapes:
                line = re.sub(r'\\(["\\])', lambda found: '""' if found[1] == '"' else found[1], line)
            # A blank before the delimiter would leave a closing quote in the middle of its cell.
            yield re.sub(rf'" +(?={end}|\r?$)', '"', line) if dialect.blanks else line
