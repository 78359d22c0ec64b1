"""Archives from strangers, unpacked without trusting them: no name leaves its folder, no pickle runs code."""

from __future__ import annotations

import io
import lzma
import pickle
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, Any

from unalike.errors import DataError

_NUMPY_ONLY = {
    # What a pickled array of numbers is made of, under the names of numpy 1 and 2. Not "all of numpy", which could
    # run commands.
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a wheel or zip, a tar file, or a Debian package. Links and devices are left out.

    Args:
        archive: the file; its kind is told by its first bytes, not by its name.
        folder: where the regular files go; it is made.

    Raises:
        DataError: a name points out of the folder, or the file is none of these archives.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with zipfile.ZipFile(folder / "a.zip", "w") as made:
        ...     made.writestr("inner/note.txt", "hello")
        >>> unpack(folder / "a.zip", folder / "out")
        >>> (folder / "out/inner/note.txt").read_text()
        'hello'
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name, content in _files(archive):
            path = _inside(name, folder, archive)
            path.parent.mkdir(parents=True, exist_ok=True)
            with content, path.open("wb") as file:
                shutil.copyfileobj(content, file)
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        raise DataError(f"{archive.name} is damaged: {error}. Fetch it again.") from error


def load_numpy_pickle(data: bytes) -> Any:
    """Arrays out of a pickle that may hold nothing but numpy arrays, numbers, strings and their containers.

    Raises:
        DataError: the pickle asks for anything else; nothing of it has run.

    Example:
        >>> import numpy as np
        >>> load_numpy_pickle(pickle.dumps(np.arange(3))).tolist()
        [0, 1, 2]
    """
    try:
        return _NumpyUnpickler(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError) as error:
        raise DataError(f"the pickle is not one of plain numpy arrays: {error}") from error


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NUMPY_ONLY:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of an archive, by name, in its order."""
    with archive.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if start[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(file) as zipped:
                for entry in zipped.infolist():
                    if not entry.is_dir():
                        yield entry.filename, zipped.open(entry)
            return
        if start == b"!<arch>\n":
            _seek_data(file, archive)
        with closing(tarfile.open(fileobj=file, mode="r|*")) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield member.name, content


def _seek_data(file: IO[bytes], archive: Path) -> None:
    """Move to where the tar file of a Debian package's content begins: the last member of an ``ar`` archive."""
    file.seek(8)
    while len(header := file.read(60)) == 60:
        if header[:9] == b"data.tar.":
            return
        size = int(header[48:58])
        file.seek(size + size % 2, io.SEEK_CUR)
    raise DataError(f"{archive.name} is no Debian package: it holds no data.tar")


def _inside(name: str, folder: Path, archive: Path) -> Path:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise DataError(f"{archive.name} holds the name {name!r}, which leaves its folder; nothing of it is used")
    return folder.joinpath(*parts)
