"""From whatever a user has to a collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unalike.data import clips, folders, series, sound, tables
from unalike.data.assembling import ACCEPTED, How, Values, assemble, complete
from unalike.data.collection import TOLERANCE, Collection, skip_unreadable
from unalike.data.columns import ImageColumn
from unalike.data.decoding import iter_decoded
from unalike.data.folder_readers import from_clips, from_pictures, from_series, from_sounds
from unalike.data.images import MAX_PIXELS, PICTURE_SUFFIXES, Failure
from unalike.data.media import AudioColumn, ClipColumn
from unalike.data.memory_readers import from_arrays, from_memory, load_numpy
from unalike.data.shards import ShardedTable, matched, sharded, split_named
from unalike.data.table_readers import from_table
from unalike.data.tar_files import open_tar
from unalike.data.wording import counted
from unalike.errors import DataError


def open_collection(
    source: Any,
    *,
    roles: Mapping[str, str] | None = None,
    label: Values | None = None,
    group: Values | None = None,
    id: Values | None = None,
    name: str | None = None,
    tolerance: float = TOLERANCE,
    base: str | Path | None = None,
    encoding: str | None = None,
    max_pixels: int = MAX_PIXELS,
    at_least: int = 1,
) -> Collection:
    """Make a collection out of files or out of things in memory.

    - A folder: every picture below it, by the path inside the folder; the first sub-folder is the label. Top folders
      called ``train`` and ``test`` (``val``, ``validation``, ``dev``) are splits.
    - A folder without pictures, of CSV, Parquet, NumPy or ``.ts`` files: each a time series (a ``.ts`` file has many),
      columns being channels and rows steps; a column called ``time``, ``timestamp``, ``date`` or the like is no
      channel and gives the order. ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` are splits.
    - A folder without pictures, of films (MP4, AVI, WebM and the like): as a folder of pictures.
    - A folder without pictures, of recordings (WAV, FLAC, OGG, MP3 and the like): as a folder of pictures.
    - A table (CSV, TSV, Parquet, JSON lines, also compressed; pandas or pyarrow in memory; a Hugging Face dataset on
      disk): ``roles`` say which column is what. A cell that is empty or NaN is missing; a row without any entry is
      left out and counted. ``{"series": "a,b"}`` with ids that repeat: each row is a step and each id a series.
    - NumPy: ``.npy``, or ``.npz`` with one array beside ``label`` or ``y``. Float ``(N, F)`` is the role ``array``,
      uint8 ``(N, H, W)`` or ``(N, H, W, 3)`` are pictures. Pickled objects are refused.
    - In memory: a list of paths, PIL pictures or uint8 arrays is ``image``, a list of strings is ``text`` (unless all
      of them end like picture files), an array as above, a mapping of roles to any of these.

    The headers of all pictures are read, so that what is no picture, too large or out of reach shows now; damage
    behind a header shows when the pictures are decoded (`verify_pictures`, or `iter_decoded` while they are packed).

    Args:
        source: as above; a collection is returned as it is.
        roles: role to column name, such as ``{"image": "path", "text": "caption", "text:de": "titel"}``. Several
            columns of numbers make one ``array``, with commas between their names. ``labels`` names a column of lists,
            or of texts that are parted at the first of ``|``, ``;`` and ``,`` that the column has anywhere.
        label: column name, or one value a row: the role ``label``.
        group: column name, or one value a row: rows of one group are never split.
        id: column name, or one string a row.
        name: what reports call the collection; by default the name of the file or folder.
        tolerance: largest share of items that may be unreadable; they are skipped and listed in ``skipped``.
        base: folder at which relative paths of pictures start; by default that of the table.
        encoding: of CSV, TSV and JSON lines without a byte order mark, if not UTF-8.
        max_pixels: largest picture that is decoded.
        at_least: fewest rows. One can be turned into a vector; to learn what is unlike takes two.

    Raises:
        DataError: the source is of no known kind, a column is missing or of the wrong type, ids repeat, more than
            ``tolerance`` is unreadable, or fewer than ``at_least`` rows are left.
        MissingExtra: a saved Hugging Face dataset, and the package `datasets` is not installed.

    Example:
        >>> notes = open_collection(["milk", "bread", ""], name="notes")
        >>> len(notes), notes.roles(), notes.notes
        (2, ['text'], ('1 of 3 rows has no entry and is left out',))
    """
    if isinstance(source, Collection):
        return source
    if label is not None and "label" in (roles or {}):
        raise DataError("the label is given twice, as label= and among the roles; give it once")
    how = How(
        dict(roles or {}), {"label": label, "group": group, "id": id}, name, base, encoding, max_pixels, tolerance
    )
    table = tables.memory_table(source)
    if table is not None:
        opened = from_table(table, how, name or "table", Path(base or "."))
    elif isinstance(source, str | Path):
        opened = _from_path(Path(source), how)
    else:
        opened = from_memory(source, how)
    opened = complete(opened, tolerance)
    if len(opened) < at_least:
        raise DataError(
            f"{opened.name} has {len(opened)} row{'s' * (len(opened) != 1)}; at least {at_least} are needed."
            + "".join(f" {note[:1].upper()}{note[1:]}." for note in opened.notes)
        )
    return opened


def _from_several(paths: list[Path], how: How, name: str) -> Collection:
    """What a pattern found: pictures, tar shards, or the files of one table."""
    endings = {path.suffix.lower() for path in paths}
    base = Path(how.base or paths[0].parent)
    if endings <= PICTURE_SUFFIXES:
        column = ImageColumn([str(path) for path in paths], max_pixels=how.max_pixels)
        return assemble({"image": column}, how, name, ids=[str(path) for path in paths])
    if endings == {".tar"}:
        return from_table(open_tar(paths), how, name, base)
    return from_table(ShardedTable(paths, how.encoding, [split_named(path) for path in paths]), how, name, base)


def verify_pictures(collection: Collection, *, tolerance: float = TOLERANCE, workers: int = 2) -> Collection:
    """Decode every picture once and skip those that fail, as `skip_unreadable` allows.

    Packing pictures for an encoder finds the same failures on its own way; this is for whoever does not pack.
    """
    failures: dict[int, Failure] = {}
    for role in collection.roles("image"):
        column = collection[role]
        assert isinstance(column, ImageColumn)
        for row, outcome in iter_decoded(column, then=lambda picture: None, workers=workers):
            if isinstance(outcome, Failure):
                failures.setdefault(row, outcome)
    return skip_unreadable(collection, failures, tolerance=tolerance)


def _from_path(path: Path, how: How) -> Collection:
    try:
        path = path.expanduser()
        is_folder, is_file, name = path.is_dir(), path.is_file(), how.name or path.resolve().name
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, a home that is not there, a NUL
        raise DataError(f"{str(path)[:80]!r} is no path that can be opened: {error}. Accepted: {ACCEPTED}") from error
    several = [] if is_folder or is_file else matched(str(path))
    if several:
        return _from_several(several, how, how.name or path.parent.resolve().name)
    if is_folder and tables.is_saved_dataset(path):
        return from_table(tables.open_saved_dataset(path), how, name, Path(how.base or path))
    if is_folder:
        films = folders.list_others(path, clips.CLIP_SUFFIXES)
        if films is not None:
            return from_clips(path, films, how, name)
        heard = folders.list_others(path, sound.SOUND_SUFFIXES)
        if heard is not None:
            return from_sounds(path, heard, how, name)
        tars = folders.list_others(path, {".tar"})
        if tars is not None:
            return from_table(open_tar([Path(each) for each in tars.paths]), how, name, Path(how.base or path))
        parts = folders.list_others(path, tables.TABLE_SUFFIXES)
        joined = None if parts is None else sharded(parts, bool(how.roles or how.columns_named()), how.encoding)
        if parts is not None and joined is not None:
            told = f"{counted(len(parts.paths), 'file is', 'files are')} read as one table"
            opened = from_table(joined, how, name, Path(how.base or path))
            return opened.replace(notes=(told, *opened.notes))
        found = folders.list_others(path, series.SERIES_SUFFIXES, at_least=2) or folders.list_others(path, {".ts"})
        return from_pictures(path, how, name) if found is None else from_series(path, found, how, name)
    if not is_file:
        state = f"a link to {path.readlink()}, which is not there" if path.is_symlink() else "no file and no folder"
        raise DataError(f"{path} is {state}, nor is it a data set (unalike data lists those). Accepted: {ACCEPTED}")
    name = how.name or name.split(".")[0] or name
    ending = path.suffix.lower()
    if ending in PICTURE_SUFFIXES:
        return assemble({"image": ImageColumn([str(path)], max_pixels=how.max_pixels)}, how, name, ids=[path.name])
    if ending in clips.CLIP_SUFFIXES:
        return assemble({"video": ClipColumn([str(path)])}, how, name, ids=[path.name])
    if ending in sound.SOUND_SUFFIXES:
        return assemble({"audio": AudioColumn([str(path)])}, how, name, ids=[path.name])
    if ending in (".npy", ".npz"):
        return from_arrays(load_numpy(path), how, name)
    if ending == ".ts":
        alone = folders.PictureFolder([str(path)], [path.name], None, {}, 0)
        return from_series(path, alone, how, name)
    if ending == ".tar":
        return from_table(open_tar([path]), how, name, Path(how.base or path.parent))
    table = tables.open_table(path, how.encoding)
    if table is None:
        raise DataError(f"{path}: the ending {ending!r} says nothing about what the file holds. Accepted: {ACCEPTED}")
    return from_table(table, how, name, Path(how.base or path.parent))
