"""From whatever a user has to a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from unalike.data import casting, clips, folders, series, sound, tables
from unalike.data.collection import TOLERANCE, Collection, skip_unreadable
from unalike.data.columns import ArrayColumn, Column, ImageColumn, LabelColumn
from unalike.data.images import MAX_PIXELS, PICTURE_SUFFIXES, Failure, iter_decoded, iter_headers
from unalike.data.labels import LabelsColumn
from unalike.data.media import AudioColumn, ClipColumn
from unalike.errors import DataError

Values = str | Sequence[Any] | np.ndarray

ACCEPTED = (
    "a folder of pictures, clips, recordings or series, a picture, a clip, a recording, a .csv, .tsv, .parquet, .jsonl,"
    " .npy, .npz or .ts file, or the folder of a saved Hugging Face dataset; in Python also a list of pictures, paths"
    " or strings, an array, a mapping of roles to such lists, or a data frame"
)


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
    how = _How(
        dict(roles or {}), {"label": label, "group": group, "id": id}, name, base, encoding, max_pixels, tolerance
    )
    table = tables.memory_table(source)
    if table is not None:
        opened = _from_table(table, how, name or "table", Path(base or "."))
    elif isinstance(source, str | Path):
        opened = _from_path(Path(source), how)
    else:
        opened = _from_memory(source, how)
    opened = _complete(opened, tolerance)
    if len(opened) < at_least:
        raise DataError(
            f"{opened.name} has {len(opened)} row{'s' * (len(opened) != 1)}; at least {at_least} are needed."
            + "".join(f" {note[:1].upper()}{note[1:]}." for note in opened.notes)
        )
    return opened


@dataclass(frozen=True)
class _How:
    """What the caller of `open_collection` asked for."""

    roles: dict[str, str]
    named: dict[str, Values | None]
    name: str | None
    base: str | Path | None
    encoding: str | None
    max_pixels: int
    tolerance: float = TOLERANCE

    def columns_named(self) -> dict[str, str]:
        """Those of label, group and id that are the name of a column, and not values."""
        return {what: value for what, value in self.named.items() if isinstance(value, str)}


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


def _from_path(path: Path, how: _How) -> Collection:
    try:
        path = path.expanduser()
        is_folder, is_file, name = path.is_dir(), path.is_file(), how.name or path.resolve().name
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, a home that is not there, a NUL
        raise DataError(f"{str(path)[:80]!r} is no path that can be opened: {error}. Accepted: {ACCEPTED}") from error
    if is_folder and tables.is_saved_dataset(path):
        saved, splits = tables.open_saved_dataset(path)
        return _from_table(saved, how, name, Path(how.base or path), splits)
    if is_folder:
        films = folders.list_others(path, clips.CLIP_SUFFIXES)
        if films is not None:
            return _from_clips(path, films, how, name)
        heard = folders.list_others(path, sound.SOUND_SUFFIXES)
        if heard is not None:
            return _from_sounds(path, heard, how, name)
        found = folders.list_others(path, series.SERIES_SUFFIXES, at_least=2) or folders.list_others(path, {".ts"})
        return _from_folder(path, how, name) if found is None else _from_series(path, found, how, name)
    if not is_file:
        state = f"a link to {path.readlink()}, which is not there" if path.is_symlink() else "no file and no folder"
        raise DataError(f"{path} is {state}, nor is it a data set (unalike data lists those). Accepted: {ACCEPTED}")
    name = how.name or name.split(".")[0] or name
    ending = path.suffix.lower()
    if ending in PICTURE_SUFFIXES:
        return _assemble({"image": ImageColumn([str(path)], max_pixels=how.max_pixels)}, how, name, ids=[path.name])
    if ending in clips.CLIP_SUFFIXES:
        return _assemble({"video": ClipColumn([str(path)])}, how, name, ids=[path.name])
    if ending in sound.SOUND_SUFFIXES:
        return _assemble({"audio": AudioColumn([str(path)])}, how, name, ids=[path.name])
    if ending in (".npy", ".npz"):
        return _from_arrays(_load_numpy(path), how, name)
    if ending == ".ts":
        alone = folders.PictureFolder([str(path)], [path.name], None, {}, 0)
        return _from_series(path, alone, how, name)
    table = tables.open_table(path, how.encoding)
    if table is None:
        raise DataError(f"{path}: the ending {ending!r} says nothing about what the file holds. Accepted: {ACCEPTED}")
    return _from_table(table, how, name, Path(how.base or path.parent))


def _from_folder(folder: Path, how: _How, name: str) -> Collection:
    asked = how.roles | how.columns_named()
    if asked:
        raise DataError(
            f"{folder} is a folder of pictures, which has no columns; asked for were"
            f" {', '.join(f'{what}={column}' for what, column in asked.items())}. Its labels are the names of its"
            " sub-folders; captions and the like stand in a table that names the pictures: give that table"
        )
    found = folders.list_pictures(folder)
    columns: dict[str, Column] = {"image": ImageColumn(found.paths, max_pixels=how.max_pixels)}
    if found.labels is not None and how.named["label"] is None:
        columns["label"] = LabelColumn.from_values(found.labels)
    notes = []
    if found.others:
        notes.append(f"{_count(found.others, 'file is no picture and is', 'files are no pictures and are')} ignored")
    return _assemble(columns, how, name, ids=found.ids, splits=found.splits, notes=notes)


def _from_clips(folder: Path, found: folders.PictureFolder, how: _How, name: str) -> Collection:
    """Films, one a file; they are decoded when they are packed for an encoder."""
    return _from_files(folder, found, how, name, ClipColumn(found.paths), ("clip", "film"))


def _from_sounds(folder: Path, found: folders.PictureFolder, how: _How, name: str) -> Collection:
    """Recordings, one a file."""
    return _from_files(folder, found, how, name, AudioColumn(found.paths), ("recording", "recording"))


def _from_files(
    folder: Path, found: folders.PictureFolder, how: _How, name: str, column: Column, words: tuple[str, str]
) -> Collection:
    """One thing a file, its label the sub-folder; ``words`` name the things and their files."""
    thing, file = words
    asked = how.roles | how.columns_named()
    if asked:
        raise DataError(
            f"{folder} is a folder of {thing}s, which has no columns; asked for were"
            f" {', '.join(f'{what}={column}' for what, column in asked.items())}. Its labels are the names of its"
            f" sub-folders; anything else stands in a table that names the {thing}s: give that table with"
            f" --{column.kind} COLUMN"
        )
    columns: dict[str, Column] = {column.kind: column}
    if found.labels is not None and how.named["label"] is None:
        columns["label"] = LabelColumn.from_values(found.labels)
    notes = []
    if found.others:
        notes.append(f"{_count(found.others, f'file is no {file} and is', f'files are no {file}s and are')} ignored")
    return _assemble(columns, how, name, ids=found.ids, splits=found.splits, notes=notes)


def _from_series(folder: Path, found: folders.PictureFolder, how: _How, name: str) -> Collection:
    """Series, one or (``.ts``) many in each file."""
    asked = how.roles | how.columns_named()
    if asked:
        raise DataError(
            f"{folder} holds one series a file, which have no columns in common; asked for were"
            f" {', '.join(f'{what}={column}' for what, column in asked.items())}. Labels are the names of sub-folders"
        )
    reading, ids, labels, splits = series.Reading(), [], [], []
    split_of = {int(row): split for split, rows in found.splits.items() for row in rows}
    for row, (path, id) in enumerate(zip(found.paths, found.ids, strict=True)):
        label = None if found.labels is None else found.labels[row]
        if path.lower().endswith(".ts"):
            cases, classes = series.read_ts(Path(path))
            split = series.split_of(Path(path))
            reading.cases += cases
            ids += [f"{id}#{number}" for number in range(len(cases))]
            labels += [each or label for each in classes]
            splits += [split_of.get(row, split)] * len(cases)
        else:
            reading.add(lambda path=path: series.read_file(Path(path), reading, how.encoding))  # type: ignore[misc]
            ids.append(id)
            labels.append(label)
            splits.append(split_of.get(row))
    if not any(case is not None for case in reading.cases):
        first = next(iter(reading.failures.items()))
        raise DataError(f"none of the series in {folder} can be read, such as {ids[first[0]]}: {first[1].reason}")
    notes = reading.notes()
    if found.others:
        notes.append(f"{_count(found.others, 'file is no series and is', 'files are no series and are')} ignored")
    columns: dict[str, Column] = {"series": reading.column(name)}
    if any(label is not None for label in labels) and how.named["label"] is None:
        columns["label"] = LabelColumn.from_values(labels)
    rows = {split: np.flatnonzero([each == split for each in splits]) for split in dict.fromkeys(filter(None, splits))}
    opened = _assemble(columns, how, name, ids=ids, splits=rows if len(rows) > 1 else None, notes=notes)
    return skip_unreadable(opened, reading.failures, tolerance=how.tolerance)


def _from_long_table(
    data: pa.Table, channels: Sequence[str], named: Mapping[str, str], times: str | None, how: _How, name: str
) -> Collection:
    """Series of a table, by their ids if these repeat."""
    ids = casting.as_values(data[named["id"]], named["id"]) if "id" in named else None
    reading, first = series.from_table(data, channels, ids, times, name)
    owners = np.arange(len(data))
    if ids is not None and len(first) < len(ids):
        number = {ids[int(row)]: series_number for series_number, row in enumerate(first)}
        owners = np.array([number[each] for each in ids], np.int64)

    def look_up(column: str) -> list[Any]:
        values = casting.as_values(data[column], column)
        return series.labels_of_series(values, first, owners)

    columns: dict[str, Column] = {"series": reading.column(name)}
    if "label" in named:
        columns["label"] = LabelColumn.from_values(look_up(named["label"]))
    opened = _assemble(columns, how, name, notes=reading.notes(), look_up=look_up)
    return skip_unreadable(opened, reading.failures, tolerance=how.tolerance)


def _from_table(
    table: tables.Table, how: _How, name: str, base: Path, splits: Mapping[str, np.ndarray] | None = None
) -> Collection:
    named, roles, notes = how.columns_named(), dict(how.roles), []
    classes = getattr(table, "classes", {})
    if len(classes) == 1 and how.named["label"] is None and "label" not in roles:
        named["label"] = next(iter(classes))
    if not roles:
        roles = casting.default_roles(table, name, named.values())
        notes.append(
            " and ".join(
                f"the columns {column.replace(',', ', ')} are taken as {role}"
                if "," in column and column not in table.columns
                else f"the column {column} is taken as {role}"
                for role, column in roles.items()
            )
        )
    if "label" in named:
        roles["label"] = named.pop("label")
    parts = {role: casting.columns_of_role(table, role, column, name) for role, column in roles.items()}
    uses: dict[str, tables.Use] = {}
    for role, wanted in parts.items():
        for column in wanted:
            uses.setdefault(column, casting.use_of(role, table.columns[column]))
    for column in named.values():
        casting.require_column(table, column, name)
        uses.setdefault(column, "anything")
    if "series" in parts:
        others = sorted(set(parts) - {"series", "label"})
        if others:
            raise DataError(
                f"series and {', '.join(others)} in one table cannot be told apart; give series and a label"
            )
        times = next((each for each in table.columns if each.lower() in series.TIMES and each not in uses), None)
        if times is not None and "id" in named:
            uses[times] = "anything"
        named |= {"label": parts["label"][0]} if "label" in parts else {}
        return _from_long_table(table.read(uses), parts["series"], named, times, how, name)
    data = table.read(uses)
    columns: dict[str, Column] = {}
    for role, wanted in parts.items():
        columns |= casting.columns_from_table(role, data.select(wanted), base, how.max_pixels, classes)

    def look_up(column: str) -> list[Any]:
        return casting.as_values(data[column], column)

    return _assemble(columns, how, name, splits=splits, notes=notes, look_up=look_up)


def _from_arrays(arrays: Mapping[str, np.ndarray], how: _How, name: str) -> Collection:
    """Named arrays: one of them is the data, another may be the label."""

    def look_up(key: str) -> np.ndarray:
        if key not in arrays:
            raise DataError(f"{name} has no array {key!r}; it has {', '.join(arrays)}")
        return arrays[key]

    named, roles = how.columns_named(), dict(how.roles)
    if not roles:
        labels = [key for key in ("label", "labels", "y") if key in arrays and key not in named.values()]
        if labels and how.named["label"] is None:
            named["label"] = labels[0]
        rest = [key for key in arrays if key not in named.values()]
        if len(rest) != 1:
            raise DataError(
                f"{name} holds the arrays {', '.join(arrays)}. Say which of them is the data: --array NAME, in Python"
                " roles={'array': NAME}"
            )
        roles = {_kind_of_array(arrays[rest[0]]): rest[0]}
    if "label" in named:
        roles["label"] = named["label"]
    columns = {role: casting.column_of(role.split(":")[0], look_up(key), how.max_pixels) for role, key in roles.items()}
    return _assemble(columns, how, name, look_up=look_up)


def _from_memory(source: Any, how: _How) -> Collection:
    name = how.name or "data"
    if how.roles:
        raise DataError(
            f"roles name the columns of a table; a {type(source).__name__} has none. Give a mapping of roles to values"
        )
    if isinstance(source, Mapping):
        columns: dict[str, Column] = {}
        for role, values in source.items():
            columns |= casting.columns_of(role, _based(values, how.base), how.max_pixels)
        return _assemble(columns, how, name)
    if isinstance(source, Image.Image):
        source = [source]
    if not isinstance(source, np.ndarray) and hasattr(source, "__array__"):
        source = np.asarray(source)
    if isinstance(source, np.ndarray) and source.dtype.kind not in "OUS":
        kind = _kind_of_array(source)
        return _assemble({kind: casting.column_of(kind, source, how.max_pixels)}, how, name)
    if not isinstance(source, Iterable):
        raise DataError(f"a {type(source).__name__} is nothing that can be opened. Accepted: {ACCEPTED}")
    items = list(source)
    kind = _kind_of_items(items)
    column = casting.column_of(kind, _based(items, how.base), how.max_pixels)
    paths = [str(item) for item in items if isinstance(item, str | Path)]
    ids = paths if kind in ("image", "audio") and len(set(paths)) == len(items) else None
    return _assemble({kind: column}, how, name, ids=ids)


def _assemble(
    columns: Mapping[str, Column],
    how: _How,
    name: str,
    *,
    ids: Sequence[str] | None = None,
    splits: Mapping[str, np.ndarray] | None = None,
    notes: Sequence[str] = (),
    look_up: Callable[[str], Sequence[Any] | np.ndarray] | None = None,
) -> Collection:
    """A collection of columns and of what was given for label, group and id, by name or by value."""

    def values(what: str) -> Sequence[Any] | None:
        given = how.named[what]
        if isinstance(given, str):
            if look_up is None:
                raise DataError(f"{what}={given!r} names a column, and {name} has none; give one value a row")
            given = look_up(given)
        return given.tolist() if isinstance(given, np.ndarray) else given

    columns = dict(columns)
    labels, groups, chosen = (None if "label" in columns else values("label")), values("group"), values("id")
    if labels is not None:
        columns["label"] = LabelColumn.from_values(labels)
    return Collection(
        columns,
        name=name,
        ids=ids if chosen is None else casting.as_ids(chosen, f"the id of {name}"),
        splits=splits,
        groups=None if groups is None else casting.as_groups(groups),
        notes=notes,
    )


def _complete(collection: Collection, tolerance: float) -> Collection:
    """Leave out rows without entries, skip what cannot be read, and note what a user should know."""
    notes = list(collection.notes)
    entries = [  # a target, like a label, may be unknown
        column
        for role, column in collection.columns.items()
        if column.kind not in ("label", "labels") and role != "array:target"
    ]
    if not entries:
        raise DataError(f"{collection.name} has labels and nothing that they label; name a column of pictures or texts")
    for column in collection.columns.values():
        notes += column.notes if isinstance(column, LabelsColumn) else ()
    failures: dict[int, Failure] = {}
    animated = 0
    empty = np.ones(len(collection), bool)
    for column in entries:
        empty &= ~column.present
        if isinstance(column, ArrayColumn):
            empty[:] = False
            broken = np.flatnonzero(~column.present)
            failures |= {int(row): Failure("a number is missing or not finite") for row in broken}
        elif isinstance(column, AudioColumn):
            headers, unheard = sound.survey(column)
            failures |= unheard
            notes += sound.notes_of(headers)
        elif isinstance(column, ImageColumn):
            for row, header in iter_headers(column):
                if isinstance(header, Failure):
                    failures.setdefault(row, header)
                elif header is not None:
                    animated += header.animated
    if animated:
        notes.append(f"{_count(animated, 'picture has', 'pictures have')} several frames; the first is used")
    collection = skip_unreadable(collection.replace(notes=notes), failures, tolerance=tolerance)
    empty = np.delete(empty, sorted(failures))
    if empty.any():
        left = f"{int(empty.sum())} of {len(empty)} rows {'has' if empty.sum() == 1 else 'have'} no entry and"
        left += " is left out" if empty.sum() == 1 else " are left out"
        collection = collection.select(~empty)
        collection = collection.replace(notes=(*collection.notes, left))
    label = collection.label
    if label is not None:
        used = np.unique(label.codes[label.present])
        if len(used) < 2:
            only = f"all labels are {label.names[used[0]]!r}" if len(used) else "all labels are missing"
            note = f"{only}: scores that compare classes are not defined"
            collection = collection.replace(notes=(*collection.notes, note))
    return collection


def _load_numpy(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a ``.npy`` file, mapped, or of a ``.npz`` file, read; nothing is unpickled."""
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(array, np.ndarray):
                raise ValueError("it is an archive of arrays, whose name ends in .npz")
            return {"array": array}
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file}
    except Exception as error:  # ValueError, EOFError, zipfile's and zlib's errors: whatever a damaged file leads to
        raise DataError(
            f"{path} cannot be read as NumPy arrays: {error}. Arrays of objects are pickles, which are refused"
        ) from error


def _kind_of_array(array: np.ndarray) -> str:
    pictures = array.dtype == np.uint8 and (array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3, 4)))
    if array.dtype.kind == "f" and array.ndim == 3:
        return "series"
    return "image" if pictures else "array"


def _kind_of_items(items: Sequence[Any]) -> str:
    """The kind of column that a list of things makes."""
    there = [item for item in items if item is not None]
    if all(isinstance(item, str) for item in there):
        paths = bool(there) and all(Path(item).suffix.lower() in PICTURE_SUFFIXES for item in there)
        heard = bool(there) and all(Path(item).suffix.lower() in sound.SOUND_SUFFIXES for item in there)
        return "image" if paths else "audio" if heard else "text"
    if there and all(
        isinstance(item, str | Path) and Path(item).suffix.lower() in sound.SOUND_SUFFIXES for item in there
    ):
        return "audio"
    if all(isinstance(item, str | Path | bytes | Image.Image) or _is_picture(item) for item in there):
        return "image"
    if all(isinstance(item, list | tuple | np.ndarray) for item in there):
        return "array"
    types = sorted({type(item).__name__ for item in there})
    raise DataError(f"a list of {', '.join(types)} is of no known kind. Accepted: {ACCEPTED}")


def _is_picture(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim in (2, 3)


def _based(values: Any, base: str | Path | None) -> Any:
    """Relative paths put behind ``base``; anything else as it is."""
    if base is None or isinstance(values, np.ndarray | Column):
        return values
    return [Path(base) / value if isinstance(value, Path) else value for value in values]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
