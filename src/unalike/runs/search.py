"""The rows of a run that are most alike to a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unalike.data.roles import kind_of
from unalike.errors import DataError
from unalike.runs.opened import Opened
from unalike.runs.pairs import other_side
from unalike.runs.query import KIND_OF, By, asked, query_of_parts, read_as
from unalike.runs.query import query as vector_of
from unalike.search import top_k
from unalike.training import variants


@dataclass(frozen=True)
class Found:
    """One hit of a search."""

    rank: int
    id: str
    score: float
    row: int
    role: str
    text: str | None
    label: str | None


def search(run: Opened, query: Any, k: int = 10, by: By = "auto", role: str | None = None) -> list[Found]:
    """The rows most alike to a query; see `unalike.Run.search`."""
    own, gallery = None, looked_through(run, role, query, by)
    if isinstance(query, Mapping):
        vector, found = query_of_parts(run, query)
        gallery = found if role is None else gallery
    else:
        vector, own = vector_of(run, query, by)
        kind = KIND_OF.get(read_as(run, query, by))
        if kind is not None and kind != kind_of(gallery[0]):
            vector = asked(run, {kind: vector}, kind_of(gallery[0]))
    best: dict[int, tuple[float, str]] = {}
    for role in gallery:
        there = run.present(role)
        if own is not None:
            there[own] = False
        rows = np.flatnonzero(there)
        if len(rows):
            scores, places = top_k(vector[None], run.vectors[role][rows], k, metric="dot")
            for score, row in zip(scores[0].tolist(), rows[places[0]].tolist(), strict=True):
                if row not in best or score > best[row][0]:
                    best[row] = score, role
    labels = run.items.labels()
    return [
        Found(rank, run.items.ids[row], best[row][0], row, best[row][1], shown(run, row, best[row][1]), labels[row])
        for rank, row in enumerate(sorted(best, key=lambda row: (-best[row][0], row))[:k], start=1)
    ]


def looked_through(run: Opened, role: str | None, query: Any, by: By) -> list[str]:
    """The roles that a search looks through: the one that was asked for; for words the other side of a pair.

    Raises:
        DataError: the run has no vectors of that role.
    """
    if role is not None:
        found = [each for each in run.vectors if each == role] or variants(list(run.vectors), role)
        if not found:
            raise DataError(f"{run.folder} has no vectors of {role!r} to search; it has {', '.join(run.vectors)}")
        return found
    answers = other_side(run.spec, list(run.vectors))
    words = bool(answers) and not isinstance(query, Mapping) and read_as(run, query, by) == "words"
    return answers if words else run.gallery


def shown(run: Opened, row: int, role: str) -> str | None:
    """The text of a hit: what was found, or what names its row."""
    return run.items.texts_of(role)[row]


def order(scores: np.ndarray, count: int) -> Sequence[int]:
    """The rows of the largest scores, best first, ties by row."""
    return [int(row) for row in np.lexsort((np.arange(len(scores)), -scores))[:count]]
