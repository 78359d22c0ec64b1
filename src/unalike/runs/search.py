"""The rows of a run that are most alike to a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unalike.runs.opened import Opened
from unalike.runs.query import KIND_OF, By, asked, query_of_parts, read_as
from unalike.runs.query import query as vector_of
from unalike.search import top_k


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


def search(run: Opened, query: Any, k: int = 10, by: By = "auto") -> list[Found]:
    """The rows most alike to a query; see `unalike.Run.search`."""
    own, gallery = None, run.gallery
    if isinstance(query, Mapping):
        vector, gallery = query_of_parts(run, query)
    else:
        vector, own = vector_of(run, query, by)
        kind = KIND_OF.get(read_as(run, query, by))
        if kind is not None and kind != gallery[0].split(":")[0]:
            vector = asked(run, {kind: vector}, gallery[0].split(":")[0])
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
    texts, labels = run.items.texts, run.items.labels()
    return [
        Found(rank, run.items.ids[row], best[row][0], row, best[row][1], texts[row], labels[row])
        for rank, row in enumerate(sorted(best, key=lambda row: (-best[row][0], row))[:k], start=1)
    ]


def order(scores: np.ndarray, count: int) -> Sequence[int]:
    """The rows of the largest scores, best first, ties by row."""
    return [int(row) for row in np.lexsort((np.arange(len(scores)), -scores))[:count]]
