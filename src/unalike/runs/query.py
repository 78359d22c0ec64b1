"""How a query is read, and the vector that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from unalike import training
from unalike.data import Collection, Column
from unalike.data.kinds import KINDS
from unalike.data.roles import kind_of
from unalike.data.series import read_one, series_column
from unalike.data.sound import read_header
from unalike.errors import DataError, SettingsError
from unalike.runs.opened import Opened
from unalike.runs.pairs import query_side

By = str
"""How a query is read: ``auto``, ``row``, or what `AS` calls its kind."""

AS: Mapping[str, By] = {record.name: record.by for record in KINDS.values() if record.by}
"""How an entry of each kind is called in a query: ``picture``, ``words``, ``recording``, ``clip``, ``series``."""
KIND_OF: Mapping[By, str] = {by: kind for kind, by in AS.items()}
ALWAYS_FILES = frozenset().union(*(KINDS[kind].suffixes for kind in ("image", "audio", "video")))
"""Endings that no words have; those of a table name a file where a run reads series only."""


def read_as(run: Opened, query: Any, by: By = "auto") -> By:
    """How a query is read, if it is not said."""
    if isinstance(query, Image.Image):
        return "picture"
    if by != "auto":
        return by
    words = str(query)
    known = words in run.items.ids
    if is_file(words):
        ending = Path(words).suffix.lower()
        if ending not in KINDS["audio"].suffixes:  # pictures and clips are told by what is in a file
            if "image" in run.kinds:
                return AS["image"]
            if "video" in run.kinds and not known:
                return AS["video"]
        own = [kind for kind in run.kinds if kind in AS and ending in KINDS[kind].suffixes]
        if own and not known:
            return AS[own[0]]
    if known:
        return "row"
    told = [kind for kind in ("text", *run.kinds) if kind in run.kinds and kind in AS and not KINDS[kind].suffixes]
    return AS[told[0] if told else "text"]


def query(run: Opened, query: Any, by: By = "auto") -> tuple[np.ndarray, int | None]:
    """The vector ``(D,)`` of a query, and the row if the query is one of the run's own.

    Raises:
        DataError: the run cannot read such a query.
    """
    words, asked, by = str(query), by, read_as(run, query, by)
    if by not in ("row", *KIND_OF):
        raise SettingsError(f"by={by!r}: choose one of auto, row, {', '.join(KIND_OF)}")
    absent = not is_file(words) and Path(words).suffix.lower() in ALWAYS_FILES.union(
        *(KINDS[kind].suffixes for kind in run.kinds if kind in KINDS)
    )
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
    record = KINDS[kind]
    if kind not in run.kinds:
        told = f"was taken for {record.one}"
        if asked == "auto" and is_file(words):
            told = "is a file"
        ways = [f"a row's id, such as {run.items.ids[0]!r}"]
        ways += [KINDS[kind].one for kind in run.kinds if kind in AS]
        raise DataError(
            f"{words!r} {told}, but this run turns {' and '.join(run.kinds)} into vectors. Search by "
            f"{', or by '.join(ways)}"
        )
    column: Column
    if kind == "series":
        column = series_column([series_of(run, Path(words))], words)
    else:
        if kind == "audio":
            read_header(Path(words))
        column = record.of_query(query if isinstance(query, Image.Image) else words)
    collection = Collection({kind: column}, name="query")
    vector = run.embed_column(collection, kind, query_side(run.spec) if kind == "text" else None)[0]
    if not np.isfinite(vector).all():
        failures = run.learner.encoders[kind].prepare(column).failures
        reason = "".join(f": {failure.reason}" for failure in failures.values())
        raise DataError(f"{words!r} cannot be read as {record.one}{reason}")
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
        kind = kind_of(role)
        if kind not in run.kinds or kind not in AS:
            raise DataError(
                f"{role} cannot be part of a query: this run turns {' and '.join(run.kinds)} into vectors, and a "
                f"query has {', '.join(AS)}"
            )
        if kind in vectors:
            raise DataError(f"two parts of the query are of the kind {kind}: give one")
        vectors[kind] = query(run, part, AS[kind])[0]
    for kind in ("image", "text", *run.kinds):
        gallery = [role for role in run.vectors if kind_of(role) == kind]
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
