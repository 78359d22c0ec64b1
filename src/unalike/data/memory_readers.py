"""Arrays, and things in memory, to collections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unalike.data import kinds, sound
from unalike.data.assembling import ACCEPTED, How, assemble, based
from unalike.data.collection import Collection
from unalike.data.columns import Column
from unalike.data.images import PICTURE_SUFFIXES
from unalike.data.pixels import as_numpy, is_picture, is_pictures
from unalike.data.roles import kind_of
from unalike.data.wording import counted
from unalike.errors import DataError


def from_arrays(arrays: Mapping[str, np.ndarray], how: How, name: str) -> Collection:
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
    notes = [note for role, key in roles.items() if kind_of(role) == "series" for note in _layout(look_up(key))]
    if "label" in named:
        roles["label"] = named["label"]
    columns = {role: kinds.column_of(role, look_up(key), how.max_pixels) for role, key in roles.items()}
    return assemble(columns, how, name, notes=notes, look_up=look_up)


def from_memory(source: Any, how: How) -> Collection:
    name = how.name or "data"
    if how.roles:
        raise DataError(
            f"roles name the columns of a table; a {type(source).__name__} has none. Give a mapping of roles to values"
        )
    if isinstance(source, Mapping):
        columns: dict[str, Column] = {}
        for role, values in source.items():
            columns |= kinds.columns_of(role, based(values, how.base), how.max_pixels)
        stacks = [as_numpy(values) for role, values in source.items() if kind_of(role) == "series"]
        return assemble(columns, how, name, notes=[note for values in stacks for note in _layout(values)])
    if isinstance(source, Image.Image):
        source = [source]
    source = as_numpy(source)
    if isinstance(source, np.ndarray) and source.dtype.kind not in "OUS":
        kind = _kind_of_array(source)
        notes = _layout(source) if kind == "series" else []
        return assemble({kind: kinds.column_of(kind, source, how.max_pixels)}, how, name, notes=notes)
    if not isinstance(source, Iterable):
        raise DataError(f"a {type(source).__name__} is nothing that can be opened. Accepted: {ACCEPTED}")
    items = [as_numpy(item) for item in source]
    kind = _kind_of_items(items)
    column = kinds.column_of(kind, based(items, how.base), how.max_pixels)
    paths = [str(item) for item in items if isinstance(item, str | Path)]
    ids = paths if kind in ("image", "audio") and len(set(paths)) == len(items) else None
    return assemble({kind: column}, how, name, ids=ids)


def load_numpy(path: Path) -> dict[str, np.ndarray]:
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


def _layout(values: Any) -> list[str]:
    """How an array of series is read, which its shape alone does not say: other programs put the steps first.

    Raises:
        DataError: that reading gives series of one step.
    """
    if not isinstance(values, np.ndarray) or values.ndim != 3:
        return []
    count, channels, steps = values.shape
    if steps == 1 and channels > 1:
        raise DataError(
            f"an array {values.shape} is read as (series, channels, steps): {counted(count, 'series', 'series')} of"
            f" {channels} channels and one step. If it has the steps before the channels, give x.transpose(0, 2, 1)"
        )
    read = f"{counted(count, 'series', 'series')} of {counted(channels, 'channel')} and {counted(steps, 'step')}"
    return [f"the array is read as {read}; give x.transpose(0, 2, 1) if its steps come before its channels"]


def _kind_of_array(array: np.ndarray) -> str:
    if array.dtype.kind == "f" and array.ndim == 3:
        return "series"
    return "image" if is_pictures(array) else "array"


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
    if all(isinstance(item, str | Path | bytes | Image.Image) or is_picture(item) for item in there):
        return "image"
    if all(isinstance(item, list | tuple | np.ndarray) for item in there):
        return "array"
    types = sorted({type(item).__name__ for item in there})
    raise DataError(f"a list of {', '.join(types)} is of no known kind. Accepted: {ACCEPTED}")
