"""Tar shards as webdataset writes them: files of one name and different endings are one row."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from unalike.data.images import PICTURE_SUFFIXES
from unalike.data.table_base import MemoryTable
from unalike.errors import DataError

_NUMBERS, _TEXTS = ("cls", "cls2", "index"), ("txt", "text", "caption", "id")


class TarPictures(Sequence[bytes | None]):
    """Encoded pictures that stay in their archives until one is asked for.

    Args:
        places: for each row the archive, and where in it the picture begins and how long it is; None where missing.
    """

    def __init__(self, places: Sequence[tuple[Path, int, int] | None]) -> None:
        self._places = list(places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        place = self._places[index]
        if place is None:
            return None
        path, start, size = place
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size)


def open_tar(paths: Sequence[Path]) -> MemoryTable:
    """The rows of one archive or of several: a column of pictures (``image``), one for each ending else.

    A row is what has one path up to the first point of its file's name: ``001.jpg``, ``001.txt``, ``001.json``. Keys of
    the JSON are columns. Nothing is unpacked to the disk.

    Raises:
        DataError: an archive is damaged or compressed, or a row has two pictures.
    """
    rows: dict[str, dict[str, Any]] = {}
    for path in paths:
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    if member.isfile() and not member.name.rpartition("/")[2].startswith("."):
                        _add(rows, path, archive, member)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read as a tar archive without compression: {error}") from error
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = {name: [row.get(name) for row in rows.values()] for name in names}
    pictures = {"image": TarPictures(columns.pop("image"))} if "image" in columns else {}
    made: dict[str, pa.Array] = {"__key__": pa.array([key.rpartition("::")[2] for key in rows])}
    for name, values in columns.items():
        try:
            made[name] = pa.array(values)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(f"the entries {name!r} of {paths[0]} have mixed types: {error}") from error
    return MemoryTable(pa.table(made), pictures=pictures, order=[*pictures, *made])


def _add(rows: dict[str, dict[str, Any]], path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """One file of an archive into the row that its name says."""
    folder, _, file = member.name.rpartition("/")
    stem, _, ending = file.partition(".")
    row = rows.setdefault(f"{path}::{folder}/{stem}" if folder else f"{path}::{stem}", {})
    ending = ending.lower()
    if f".{ending.rpartition('.')[2]}" in PICTURE_SUFFIXES:
        if "image" in row:
            raise DataError(f"{path} has two pictures for {stem!r}, the second {member.name}; a row has one")
        row["image"] = (path, member.offset_data, member.size)
        return
    if ending not in (*_TEXTS, *_NUMBERS, "json"):
        return
    stream = archive.extractfile(member)
    assert stream is not None, "a regular file has content"
    try:
        content = stream.read().decode("utf-8")
        if ending == "json":
            stated = json.loads(content)
            row |= {str(key): value for key, value in stated.items() if key not in row}
        else:
            row[ending] = int(content) if ending in _NUMBERS else content
    except (ValueError, AttributeError) as error:  # no UTF-8, no JSON, no number, JSON that is no object
        raise DataError(f"{path}: {member.name} cannot be read: {error}") from error
