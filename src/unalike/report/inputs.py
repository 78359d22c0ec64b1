"""What a report is made from: plain values, so that whoever measured them need not know about pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image

from unalike.errors import DataError

Picture = Image.Image | Callable[[], Image.Image | None]
"""A picture, or a function that decodes it when the page turns out to show it."""

Projection = Literal["pca", "tsne"]
Verdict = Literal["above", "unclear", "below", "unrated"]


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
        return self.kind.partition(":")[0]


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One score beside what no learning reaches.

    Args:
        name: what was measured, in words.
        value: the score.
        floors: the same score of raw features, a random encoder, chance: name to value.
        n: how many queries or rows it was measured on.
        higher_is_better: False for errors and distances.
        reading: one sentence that tells a newcomer what the number means.
        interval: 95% interval ``(low, high)`` of the score.

    Example:
        >>> ScoreRow(name="R@1", value=0.64, floors={"raw pixels": 0.35, "chance": 0.01}, n=500).verdict
        'above'
        >>> ScoreRow(name="R@1", value=0.36, floors={"raw pixels": 0.35}, n=500, interval=(0.32, 0.40)).verdict
        'unclear'
    """

    name: str
    value: float
    floors: Mapping[str, float] = field(default_factory=dict)
    n: int | None = None
    higher_is_better: bool = True
    reading: str = ""
    interval: tuple[float, float] | None = None

    @property
    def best_floor(self) -> tuple[str, float] | None:
        """The floor that is hardest to beat, with its name; None where there is none."""
        finite = [(name, value) for name, value in self.floors.items() if math.isfinite(value)]
        if not finite:
            return None
        return (max if self.higher_is_better else min)(finite, key=lambda entry: entry[1])

    @property
    def verdict(self) -> Verdict:
        """Above the best floor with its whole interval, unclear where the interval reaches it, or below."""
        floor = self.best_floor
        if floor is None or not math.isfinite(self.value):
            return "unrated"
        sign = 1.0 if self.higher_is_better else -1.0
        worst = self.value if self.interval is None else min(sign * bound for bound in self.interval) * sign
        if sign * worst > sign * floor[1]:
            return "above"
        return "unclear" if sign * self.value > sign * floor[1] else "below"


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
        scores: the scores, most telling first: the first three lead the page.
        geometry: what the space looks like: alignment, uniformity, effective rank, modality gap, hubness.
        items: what was embedded, best from rows that were not trained on.
        vectors: float ``(N, D)``, one row for each item; normalised here.
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
    scores: Sequence[ScoreRow] = ()
    geometry: Sequence[ScoreRow] = ()
    items: Sequence[Item] = ()
    vectors: np.ndarray = field(default_factory=_no_vectors)
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
