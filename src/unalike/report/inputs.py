"""What a report is made from: plain values, so that whoever measured them need not know about pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image

from unalike.data.roles import kind_of
from unalike.errors import DataError
from unalike.evaluation.score import Score

Picture = Image.Image | Callable[[], Image.Image | None]
"""A picture, or a function that decodes it when the page turns out to show it."""

Projection = Literal["pca", "tsne"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One embedded thing as the page shows it: a picture, a text, a row of a table.

    Args:
        id: how the data name it: a path, a key, a row number.
        kind: its role, ``kind`` or ``kind:variant``, such as ``image``, ``image:google``, ``text:de``.
        label: its class, if it has one.
        text: what a reader sees where there is no picture, and the caption where there is one.
        thumbnail: its picture, or a function that decodes it; None for things without one.
        instance: what it is a look at. Items that share an instance are positives of each other: two pictures
            of one thing, a picture and its caption.
        facets: further classes by name, offered as colours of the map.

    Example:
        >>> Item(id="cats/1.jpg", kind="image", label="cats").base
        'image'
    """

    id: str
    kind: str = "array"
    label: str | None = None
    text: str | None = None
    thumbnail: Picture | None = None
    instance: str | None = None
    facets: Mapping[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The kind without its variant."""
        return kind_of(self.kind)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One result of a search: what was found, and its cosine similarity with the query."""

    item: Item
    score: float


def _no_vectors() -> np.ndarray:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """All that a page says. What is empty is left out of the page.

    Args:
        title: the name of the run.
        summary: sentences; the first says what was learned from what, the others the settings in words.
        facts: settings and counts, name and value.
        curves: rows of ``metrics.jsonl``: ``step`` and any numbers (loss, learning_rate, effective_rank, std).
        collapse_below: for a curve, the value under which the space has collapsed or is about to.
        scores: the scores with their floors, most telling first: the first three lead the page.
        geometry: what the space looks like: alignment, uniformity, effective rank, modality gap, hubness.
        items: what was embedded, best from rows that were not trained on.
        vectors: float ``(N, D)``, one row for each item; normalised here.
        samples: what a generative model made, shown as it is.
        positive_scores: similarities of true pairs; drawn from the items where they are not given.
        negative_scores: similarities of pairs that are not; drawn from the items where they are not given.
        notes: what was skipped, warnings.
        versions: what it was made with: package to version.
        command: what to type to make this run again.
        projections: how the map is laid out; ``tsne`` takes about ten seconds for 3,000 rows.
        seed: of every sample that the page draws.

    Raises:
        DataError: vectors that do not fit the items or are not finite.

    Example:
        >>> inputs = ReportInputs(title="first", summary=["Nothing was learned yet."])
        >>> inputs.vectors.shape
        (0, 0)
    """

    title: str
    summary: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    curves: Sequence[Mapping[str, float]] = ()
    collapse_below: Mapping[str, float] = field(default_factory=dict)
    scores: Sequence[Score] = ()
    geometry: Sequence[Score] = ()
    items: Sequence[Item] = ()
    vectors: np.ndarray = field(default_factory=_no_vectors)
    samples: Sequence[Item] = ()
    positive_scores: np.ndarray | None = None
    negative_scores: np.ndarray | None = None
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    projections: Sequence[Projection] = ("pca",)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.items):
            raise DataError(
                f"a report was given {len(self.items)} items and vectors of shape {self.vectors.shape}. "
                "It needs one row of vectors for each item: shape (N, D)."
            )
        if not np.isfinite(self.vectors).all():
            rows = np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))
            raise DataError(
                f"{len(rows)} of {len(self.items)} vectors hold NaN or infinity, the first in row {rows[0]} "
                f"({self.items[int(rows[0])].id!r}). Embed again with the last good checkpoint, or leave them out."
            )
        unknown = sorted(set(self.projections) - {"pca", "tsne"})
        if unknown:
            raise DataError(f"unknown projections {unknown}; a map is laid out by 'pca' or 'tsne'.")
