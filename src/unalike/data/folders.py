"""A folder of pictures or of series: which files those are, and what the sub-folders say."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from unalike.data.images import PICTURE_SUFFIXES
from unalike.data.regions import masks_beside
from unalike.errors import DataError

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class PictureFolder:
    """What a folder holds.

    paths: the pictures, or the files of another kind; ids: their paths inside the folder, with slashes; labels: the
    first sub-folder of each, None at the top, or None altogether where there are no sub-folders; splits: row numbers,
    if the top folders are called ``train`` and ``test`` or the like; others: how many files are of other kinds;
    masks: the paths of the masks that lie beside their pictures, None altogether where there are none.
    """

    paths: list[str]
    ids: list[str]
    labels: list[str | None] | None
    splits: dict[str, np.ndarray]
    others: int
    masks: list[str | None] | None = None


def list_pictures(folder: Path) -> PictureFolder:
    """Find the pictures in a folder and its sub-folders, in the order of their names. Hidden files are passed over.

    Raises:
        DataError: there are none, or a sub-folder cannot be opened.
    """
    inside, others = _sorted_out(folder, PICTURE_SUFFIXES)
    if not inside:
        there = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)) or "it is empty"
        raise DataError(
            f"there are no pictures in {folder} ({there}). Pictures end in {', '.join(sorted(PICTURE_SUFFIXES))};"
            " of a table, give the file itself"
        )
    pictures, masks = masks_beside(inside)
    found = _laid_out(folder, pictures, others.total())
    if not masks:
        return found
    beside = {os.path.join(folder, picture): os.path.join(folder, mask) for picture, mask in masks.items()}  # noqa: PTH118
    return replace(found, masks=[beside.get(path) for path in found.paths])


def list_others(folder: Path, suffixes: Collection[str], at_least: int = 1) -> PictureFolder | None:
    """The files of some endings in a folder without pictures; None where it has pictures or fewer than ``at_least``."""
    inside, others = _sorted_out(folder, suffixes)
    if len(inside) < at_least or PICTURE_SUFFIXES & set(others):
        return None
    return _laid_out(folder, inside, others.total())


def _sorted_out(folder: Path, suffixes: Collection[str]) -> tuple[list[str], Counter[str]]:
    """The files of some endings, and how many there are of the others."""
    inside: list[str] = []
    others: Counter[str] = Counter()
    for relative in _walk(folder):
        suffix = os.path.splitext(relative)[1].lower()  # noqa: PTH122 (20,000 of them)
        if suffix in suffixes:
            inside.append(relative)
        else:
            others[suffix or "no ending"] += 1
    return inside, others


def _laid_out(folder: Path, inside: list[str], others: int) -> PictureFolder:
    """What the sub-folders say of some files."""
    inside.sort()
    parts = [PurePosixPath(relative).parts[:-1] for relative in inside]
    tops = {part[0] if part else "" for part in parts}
    splits: dict[str, np.ndarray] = {}
    called = {SPLITS.get(top.lower()) for top in tops}
    if "train" in called and len(called) > 1 and None not in called:
        names = [SPLITS[part[0].lower()] for part in parts]
        splits = {split: np.flatnonzero(np.array(names) == split) for split in dict.fromkeys(names)}
        parts = [part[1:] for part in parts]
    labels = [part[0] if part else None for part in parts]
    return PictureFolder(
        paths=[os.path.join(folder, relative) for relative in inside],  # noqa: PTH118
        ids=[os.fsencode(relative).decode("utf-8", "backslashreplace") for relative in inside],
        labels=labels if any(label is not None for label in labels) else None,
        splits=splits,
        others=others,
    )


def _walk(folder: Path) -> Iterator[str]:
    """Files below a folder, relative to it, with slashes. Links to folders are followed, each folder once."""
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if not entry.is_dir():
                        yield prefix + entry.name
                        continue
                    status = entry.stat()
                    if (status.st_dev, status.st_ino) not in seen:
                        seen.add((status.st_dev, status.st_ino))
                        waiting.append(f"{prefix}{entry.name}/")
        except OSError as error:
            raise DataError(f"the folder {folder / prefix} cannot be read: {error.strerror}") from error
