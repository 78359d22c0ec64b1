"""Similarities as they are: do they follow human ratings, and how do positives and negatives lie?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import check_lengths, matrix, sample_rows
from unalike.evaluation.relevance import Relevance
from unalike.search.blocks import Vectors


def similarity_correlation(first: Vectors, second: Vectors, ratings: np.ndarray) -> float:
    """Spearman's correlation of cosine similarity with ratings of pairs, as in semantic textual similarity.

    Args:
        first: ``(N, D)``, one side of each pair.
        second: ``(N, D)``, the other side.
        ratings: ``(N,)``, higher for what is more alike.

    Returns:
        From -1 to 1; 0 where the similarities or the ratings do not vary at all.

    Raises:
        DataError: lengths differ, fewer than two pairs, or something is not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import similarity_correlation
        >>> one = np.array([[1, 0], [1, 0], [1, 0]])
        >>> other = np.array([[1, 0], [1, 1], [0, 1]])
        >>> round(similarity_correlation(one, other, np.array([5, 3, 0])), 6)
        1.0
    """
    from scipy.stats import spearmanr

    one, other = matrix(first, "first", unit=True), matrix(second, "second", unit=True)
    rated = np.asarray(ratings, dtype=np.float64)
    check_lengths(first=one, second=other, ratings=rated)
    if len(rated) < 2 or not np.isfinite(rated).all():
        raise DataError(f"got {len(rated)} ratings, not all finite or fewer than two; expected a number for each pair")
    similarities = (one * other).sum(dim=1).numpy()
    if np.ptp(similarities) == 0 or np.ptp(rated) == 0:
        return 0.0
    return float(spearmanr(similarities, rated).statistic)


@dataclass(frozen=True)
class Histogram:
    """How many positive and negative pairs have which cosine.

    edges: ``(bins + 1,)`` from -1 to 1; positive, negative: ``(bins,)`` counts; queries: how many were looked at.
    """

    edges: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    queries: int

    @property
    def overlap(self) -> float:
        """Shared area of the two histograms, each of area one: 0 where they lie apart, 1 where they are the same."""
        sides = [counts / max(counts.sum(), 1) for counts in (self.positive, self.negative)]
        return float(np.minimum(*sides).sum())

    def to_json(self) -> dict[str, Any]:
        """Lists of plain numbers."""
        return {
            "edges": self.edges.tolist(),
            "positive": self.positive.tolist(),
            "negative": self.negative.tolist(),
            "queries": self.queries,
        }


def similarity_histogram(
    queries: Vectors,
    corpus: Vectors,
    relevance: Relevance | None = None,
    *,
    bins: int = 50,
    exclude_self: bool = False,
    sample: int = 2000,
    rng: np.random.Generator | None = None,
) -> Histogram:
    """Cosines of positive pairs, and of all others, of some queries with the whole corpus.

    Args:
        queries: ``(Q, D)``.
        corpus: ``(N, D)``.
        relevance: which pairs are positive; row i and query i unless given.
        bins: of equal width between -1 and 1.
        exclude_self: the queries are the corpus, and a row with itself is no pair.
        sample: queries to look at, where there are more.
        rng: draws them; without it always the same ones.

    Raises:
        DataError: shapes do not fit, or numbers are not finite.
        SettingsError: ``bins`` or ``sample`` below one.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import similarity_histogram
        >>> found = similarity_histogram(np.eye(3), np.eye(3), bins=4)
        >>> found.positive.tolist(), found.negative.tolist()
        ([0, 0, 0, 3], [0, 0, 6, 0])
    """
    if bins < 1 or sample < 1:
        raise SettingsError(f"got bins={bins}, sample={sample}; expected numbers of at least 1")
    asked, held = matrix(queries, "queries", unit=True), matrix(corpus, "corpus", unit=True)
    relevance = relevance or Relevance.diagonal(len(asked))
    if asked.shape[1] != held.shape[1] or (len(relevance), relevance.corpus) != (len(asked), len(held)):
        raise DataError(
            f"got queries {tuple(asked.shape)}, a corpus {tuple(held.shape)} and a relevance of "
            f"{len(relevance)} queries and {relevance.corpus} rows; expected one space, and as many of each"
        )
    every, positive = torch.zeros(2, bins, dtype=torch.int64)
    chosen = sample_rows(len(asked), sample, rng)
    height = max(1, (1 << 22) // len(held))
    for start in range(0, len(chosen), height):
        rows = chosen[start : start + height]
        scores = (asked[torch.from_numpy(rows)] @ held.t()).clamp_(-1, 1)
        every += torch.histc(scores, bins, -1, 1).long()
        if exclude_self:
            every -= torch.histc(scores[torch.arange(len(rows)), torch.from_numpy(rows)], bins, -1, 1).long()
        for place, row in enumerate(rows):
            own = relevance.of(int(row))
            own = own[own != row] if exclude_self else own
            positive += torch.histc(scores[place, torch.from_numpy(own)], bins, -1, 1).long()
    counts = positive.numpy(), (every - positive).numpy()
    return Histogram(np.linspace(-1, 1, bins + 1), *counts, len(chosen))
