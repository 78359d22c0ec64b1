"""Folders to collections: pictures, clips, recordings or series, one thing a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unalike.data import folders, series, ts_files
from unalike.data.assembling import How, assemble
from unalike.data.cases import Reading
from unalike.data.collection import Collection, skip_unreadable
from unalike.data.columns import Column, ImageColumn, LabelColumn
from unalike.data.media import AudioColumn, ClipColumn
from unalike.data.regions import MaskColumn
from unalike.data.wording import counted
from unalike.errors import DataError


def from_pictures(folder: Path, how: How, name: str) -> Collection:
    asked = how.roles | how.columns_named()
    if asked:
        raise DataError(
            f"{folder} is a folder of pictures, which has no columns; asked for were"
            f" {', '.join(f'{what}={column}' for what, column in asked.items())}. Its labels are the names of its"
            " sub-folders; captions and the like stand in a table that names the pictures: give that table"
        )
    found = folders.list_pictures(folder)
    columns: dict[str, Column] = {"image": ImageColumn(found.paths, max_pixels=how.max_pixels)}
    if found.masks is not None:
        columns["mask"] = MaskColumn(found.masks, max_pixels=how.max_pixels)
    if found.labels is not None and how.named["label"] is None:
        columns["label"] = LabelColumn.from_values(found.labels)
    notes = []
    if found.others:
        notes.append(f"{counted(found.others, 'file is no picture and is', 'files are no pictures and are')} ignored")
    return assemble(columns, how, name, ids=found.ids, splits=found.splits, notes=notes)


def from_clips(folder: Path, found: folders.PictureFolder, how: How, name: str) -> Collection:
    """Films, one a file; they are decoded when they are packed for an encoder."""
    return _from_files(folder, found, how, name, ClipColumn(found.paths), ("clip", "film"))


def from_sounds(folder: Path, found: folders.PictureFolder, how: How, name: str) -> Collection:
    """Recordings, one a file."""
    return _from_files(folder, found, how, name, AudioColumn(found.paths), ("recording", "recording"))


def _from_files(
    folder: Path, found: folders.PictureFolder, how: How, name: str, column: Column, words: tuple[str, str]
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
        notes.append(f"{counted(found.others, f'file is no {file} and is', f'files are no {file}s and are')} ignored")
    return assemble(columns, how, name, ids=found.ids, splits=found.splits, notes=notes)


def from_series(folder: Path, found: folders.PictureFolder, how: How, name: str) -> Collection:
    """Series, one or (``.ts``) many in each file."""
    asked = how.roles | how.columns_named()
    if asked:
        raise DataError(
            f"{folder} holds one series a file, which have no columns in common; asked for were"
            f" {', '.join(f'{what}={column}' for what, column in asked.items())}. Labels are the names of sub-folders"
        )
    reading, ids, labels, splits = Reading(), [], [], []
    split_of = {int(row): split for split, rows in found.splits.items() for row in rows}
    for row, (path, id) in enumerate(zip(found.paths, found.ids, strict=True)):
        label = None if found.labels is None else found.labels[row]
        if path.lower().endswith(".ts"):
            cases, classes = ts_files.read_ts(Path(path))
            split = ts_files.split_of(Path(path))
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
    if not all(path.lower().endswith((".ts", ".npy")) for path in found.paths):
        notes.insert(0, f"each of {counted(len(found.paths), 'file')} is taken as one series, its rows as steps")
    if found.others:
        notes.append(f"{counted(found.others, 'file is no series and is', 'files are no series and are')} ignored")
    columns: dict[str, Column] = {"series": reading.column(name)}
    if any(label is not None for label in labels) and how.named["label"] is None:
        columns["label"] = LabelColumn.from_values(labels)
    rows = {split: np.flatnonzero([each == split for each in splits]) for split in dict.fromkeys(filter(None, splits))}
    opened = assemble(columns, how, name, ids=ids, splits=rows if len(rows) > 1 else None, notes=notes)
    return skip_unreadable(opened, reading.failures, tolerance=how.tolerance)
