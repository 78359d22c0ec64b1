"""Files that are whole or not there: atomic writes, checksums, and words for a disk that is full."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unalike.errors import RunError, SettingsError

if TYPE_CHECKING:
    from pyarrow import Table


@contextlib.contextmanager
def disk_errors(path: Path, size: int | None = None) -> Iterator[None]:
    """Turn a full or read-only disk into a `RunError` that names the path and what was needed."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        needed = "" if size is None else f" ({size:,} bytes were to be written)"
        free = ""
        with contextlib.suppress(OSError):
            free = f", {shutil.disk_usage(path.parent).free:,} bytes are free there"
        raise RunError(
            f"cannot write {path}{needed}: {error.strerror}{free}. What was saved before is untouched: "
            "make room or choose another place, then resume."
        ) from error


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the system can: Windows opens no folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_table(path: str | Path, table: Table) -> Path:
    """Write a pyarrow table as Parquet, CSV or JSON lines, as its name ends; return the path.

    Raises:
        SettingsError: the name ends in something else.
        RunError: the disk is full or the place cannot be written.
    """
    import pyarrow.csv
    import pyarrow.parquet

    target = check_table(path)
    writers = {".parquet": pyarrow.parquet.write_table, ".csv": pyarrow.csv.write_csv, ".jsonl": write_lines}
    write_atomically(target, lambda aside: writers[target.suffix](table, aside))
    return target


def check_table(path: str | Path) -> Path:
    """The path of a table to be written, before the work that fills it.

    Raises:
        SettingsError: its name ends in nothing that `write_table` writes.

    Example:
        >>> check_table("labels.csv").name
        'labels.csv'
    """
    target = Path(path)
    if target.suffix not in (".csv", ".parquet", ".jsonl"):
        raise SettingsError(f"a table is written as .csv, .parquet or .jsonl; given: {target}")
    return target


def write_lines(table: Table, path: Path) -> None:
    """Write a pyarrow table as JSON lines; numbers that are not finite become null."""
    with path.open("w", encoding="utf-8") as stream:
        for row in table.to_pylist():
            known = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
            stream.write(json.dumps(known, ensure_ascii=False, allow_nan=False) + "\n")


def write_atomically(path: Path, write: Callable[[Path], None], *, size: int | None = None) -> None:
    """Let ``write`` fill a file beside ``path``, flush it to the disk, then put it in place in one step.

    Raises:
        RunError: the disk is full or cannot be written; the old file, if any, is untouched.
    """
    with disk_errors(path, size):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        aside = Path(name)
        try:
            write(aside)
            with aside.open("rb+") as stream:
                os.fsync(stream.fileno())
            mask = os.umask(0)
            os.umask(mask)
            aside.chmod(0o666 & ~mask)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove what a kill left half written beside the files of a folder."""
    for part in folder.glob(".*.part"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""

    def write(aside: Path) -> None:
        aside.write_bytes(content)

    write_atomically(path, write, size=len(content))


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, indented, with sorted keys and no NaN."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        RunError: the file is missing, is no text or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is missing") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{path} is damaged: it is not JSON ({error})") from error


SEAL = "seal"
"""The entry of a sealed record that holds the checksum of all others."""


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record as JSON with the checksum of its own entries, so that a changed byte is noticed."""
    write_json(path, {**content, SEAL: _seal(content)})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote.

    Raises:
        RunError: the file is missing, no record, or was changed.
    """
    content = read_json(path)
    if not isinstance(content, dict) or SEAL not in content:
        raise RunError(f"{path} is damaged: it holds no checksum of itself")
    found = content.pop(SEAL)
    if found != _seal(content):
        raise RunError(f"{path} was changed after it was written (its checksum differs)")
    return content


def _seal(content: Mapping[str, Any]) -> str:
    plain = json.dumps({key: content[key] for key in content if key != SEAL}, sort_keys=True)
    return hashlib.blake2b(plain.encode(), digest_size=32).hexdigest()


@contextlib.contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a value that is not what it should be into a `RunError` that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        raise RunError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def checksum(path: Path) -> str:
    """BLAKE2b-256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32)).hexdigest()


def cache_folder(cache: str | Path | None = None) -> Path:
    """Where fetched sets and prepared pictures are kept.

    The given folder, ``$UNALIKE_CACHE``, or ``unalike`` in the user's cache folder; ``~`` is the user's home.

    Example:
        >>> cache_folder("/data/unalike").as_posix()
        '/data/unalike'
    """
    if chosen := cache or os.environ.get("UNALIKE_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "unalike"
