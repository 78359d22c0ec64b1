"""How a query is read, and the vector that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from unalike import training
from unalike.data import AudioColumn, ClipColumn, Collection, Column, ImageColumn, TextColumn
from unalike.data.clips import ANIMATED_SUFFIXES, CLIP_SUFFIXES
from unalike.data.images import PICTURE_SUFFIXES
from unalike.data.series import SERIES_SUFFIXES, read_one, series_column
from unalike.data.sound import SOUND_SUFFIXES, read_header
from unalike.errors import DataError
from unalike.runs.opened import Opened
from unalike.runs.pairs import query_side

By = Literal["auto", "words", "picture", "recording", "clip", "series", "row"]

AS: Mapping[str, By] = {"image": "picture", "text": "words", "audio": "recording", "video": "clip", "series": "series"}
"""How an entry of each kind is read in a query."""
KIND_OF: Mapping[str, str] = {by: kind for kind, by in AS.items()}

BY_NAME = {
    "picture": "a picture",
    "words": "words",
    "recording": "a recording",
    "clip": "a clip",
    "series": "the file of a series",
}


def read_as(run: Opened, query: Any, by: By = "auto") -> By:
    """How a query is read, if it is not said."""
    if isinstance(query, Image.Image):
        return "picture"
    if by != "auto":
        return by
    words = str(query)
    if "image" in run.kinds and is_file(words) and not is_recording(words):
        return "picture"
    if "video" in run.kinds and words not in run.items.ids and is_file(words) and not is_recording(words):
        return "clip"
    if words not in run.items.ids and is_recording(words) and "audio" in run.kinds:
        return "recording"
    if words not in run.items.ids and is_series(words) and "series" in run.kinds:
        return "series"
    return "row" if words in run.items.ids else "words"


def query(run: Opened, query: Any, by: By = "auto") -> tuple[np.ndarray, int | None]:
    """The vector ``(D,)`` of a query, and the row if the query is one of the run's own.

    Raises:
        DataError: the run cannot read such a query.
    """
    words, asked, by = str(query), by, read_as(run, query, by)
    absent = is_absent(words) or ("series" in run.kinds and Path(words).suffix.lower() in SERIES_SUFFIXES)
    if asked == "auto" and by == "words" and absent:
        other = "; --by words searches for these words" if "text" in run.kinds else ""
        raise DataError(f"there is no file {words!r}, and no row of that id; ids look like {run.items.ids[0]!r}{other}")
    if by == "row":
        if words not in run.items.ids:
            raise DataError(f"there is no row {words!r} in {run.folder}; ids look like {run.items.ids[0]!r}")
        row = run.items.ids.index(words)
        for role in run.gallery:
            vector = run.vectors[role][row]
            if np.isfinite(vector).all() and run.present(role)[row]:
                return vector, row
        raise DataError(f"row {words!r} has no vector")
    kind = KIND_OF[by]
    if kind not in run.kinds:
        told = f"was taken for {BY_NAME[by]}"
        if asked == "auto" and is_file(words):
            told = "is a file"
        ways = [f"a row's id, such as {run.items.ids[0]!r}"]
        ways += [BY_NAME[AS[kind]] for kind in run.kinds if kind in AS]
        raise DataError(
            f"{words!r} {told}, but this run turns {' and '.join(run.kinds)} into vectors. Search by "
            f"{', or by '.join(ways)}"
        )
    column: Column
    if by == "picture":
        column = ImageColumn([query if isinstance(query, Image.Image) else Path(words)])
    elif by == "recording":
        column = AudioColumn([Path(words)])
        read_header(Path(words))
    elif by == "clip":
        column = ClipColumn([Path(words)])
    elif by == "series":
        column = series_column([series_of(run, Path(words))], words)
    else:
        column = TextColumn([words])
    collection = Collection({kind: column}, name="query")
    vector = run.embed_column(collection, kind, query_side(run.spec) if kind == "text" else None)[0]
    if not np.isfinite(vector).all():
        failures = getattr(run.learner.encoders[kind].prepare(column), "failures", {})
        reason = "".join(f": {failure.reason}" for failure in failures.values())
        raise DataError(f"{words!r} cannot be read as {BY_NAME[by]}{reason}")
    return vector, None


def series_of(run: Opened, path: Path) -> np.ndarray:
    """The series ``(channels, steps)`` of a file, its channels as in the data that the run was made from."""
    source = run.spec.source
    names = source.roles.get("series", "").split(",")
    channels = getattr(run.learner.encoders["series"], "channels", 1)
    return read_one(path, [name for name in names if name], id=source.id, channels=channels, encoding=source.encoding)


def query_of_parts(run: Opened, parts: Mapping[str, Any]) -> tuple[np.ndarray, list[str]]:
    """The vector ``(D,)`` of a query of several entries, and the roles that it looks through.

    Args:
        parts: by kind or role what the wanted row has: words, a picture or its path, the path of a recording.

    Raises:
        DataError: the run cannot read a part, or there is nothing left to look for.
    """
    vectors: dict[str, np.ndarray] = {}
    for role, part in parts.items():
        kind = role.split(":")[0]
        if kind not in run.kinds or kind not in AS:
            raise DataError(
                f"{role} cannot be part of a query: this run turns {' and '.join(run.kinds)} into vectors, and a "
                f"query has {', '.join(AS)}"
            )
        if kind in vectors:
            raise DataError(f"two parts of the query are of the kind {kind}: give one")
        vectors[kind] = query(run, part, AS[kind])[0]
    for kind in ("image", "text", *run.kinds):
        gallery = [role for role in run.vectors if role.split(":")[0] == kind]
        if kind not in vectors and gallery:
            return asked(run, vectors, kind), gallery
    raise DataError(f"the query has {' and '.join(parts)}, which is all that this run knows: leave one out")


def asked(run: Opened, vectors: Mapping[str, np.ndarray], target: str) -> np.ndarray:
    """The vector ``(D,)`` with which entries of a kind are scored, given those ``(D,)`` of other kinds."""
    given = {kind: torch.from_numpy(vector)[None].to(run.device) for kind, vector in vectors.items()}
    with torch.no_grad():
        return training.joined_vectors(run.learner, given, target)[0].cpu().numpy()


def is_file(words: str) -> bool:
    """Whether words are the path of a file; words that no path can be are none."""
    try:
        return Path(words).is_file()
    except OSError:
        return False


def is_recording(words: str) -> bool:
    """Whether words are the path of a file that is named like a recording."""
    return is_file(words) and Path(words).suffix.lower() in SOUND_SUFFIXES


def is_series(words: str) -> bool:
    """Whether words are the path of a file that is named like a series."""
    return is_file(words) and Path(words).suffix.lower() in SERIES_SUFFIXES


def is_absent(words: str) -> bool:
    """Whether words are named like a file of pictures, sound or film, and there is none."""
    named = SOUND_SUFFIXES | PICTURE_SUFFIXES | CLIP_SUFFIXES | ANIMATED_SUFFIXES
    return Path(words).suffix.lower() in named and not is_file(words)
