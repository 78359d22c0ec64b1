"""Where the relevant rows stand in each query's full ranking: all that a retrieval metric needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import matrix
from unalike.evaluation.relevance import Relevance
from unalike.search.blocks import Vectors, padded
from unalike.search.exact import Metric

# Scores that are in memory together (float32, 64 MiB), and the most queries of a strip.
_SCORES_AT_ONCE, _QUERIES_AT_ONCE = 1 << 24, 1024

# Scores that are sorted together: their order takes four times their room.
_SORTED_AT_ONCE = 1 << 21

# Relevant rows of a query up to which counting what ranks above each is cheaper than sorting the whole row.
_FEW = 8


@dataclass(frozen=True)
class Ranks:
    """Ranks of the relevant rows of some queries, the queries without any left out.

    Args:
        queries: ``(Q,)`` which queries these are.
        offsets: ``(Q + 1,)``: query i's ranks are ``ranks[offsets[i]:offsets[i + 1]]``, never none.
        ranks: 1 for the best of the corpus, rising within a query.
        gains: how relevant each is.
        candidates: how many rows were ranked.
    """

    queries: np.ndarray
    offsets: np.ndarray
    ranks: np.ndarray
    gains: np.ndarray
    candidates: int

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def counts(self) -> np.ndarray:
        """``(Q,)``: how many relevant rows each query has."""
        return np.diff(self.offsets)


def rank_relevant(
    queries: Vectors,
    corpus: Vectors,
    relevance: Relevance | None = None,
    *,
    metric: Metric = "cosine",
    exclude_self: bool = False,
) -> Iterator[Ranks]:
    """Rank the whole corpus for each query, exactly, and keep the ranks of what is relevant.

    A strip of queries at a time, so that no Q x N matrix is stored. Of equal scores the lower index ranks first, as
    in `unalike.search.top_k`: a space in which all vectors are the same ranks by index and so scores as chance does.

    Args:
        queries: ``(Q, D)``.
        corpus: ``(N, D)``.
        relevance: what answers what; row i answers query i unless given.
        metric: ``"cosine"`` or ``"dot"``.
        exclude_self: the queries are the corpus, and row i is no answer to query i.

    Yields:
        The ranks of one strip after the other; strips without any relevant row are left out.

    Raises:
        DataError: shapes do not fit or numbers are not finite.
        SettingsError: an unknown metric.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import Relevance, rank_relevant
        >>> corpus = np.array([[1, 0], [0.8, 0.6], [0, 1]])
        >>> relevance = Relevance.from_groups([5], [5, 0, 5])
        >>> [strip.ranks.tolist() for strip in rank_relevant(corpus[:1], corpus, relevance)]
        [[1, 3]]
    """
    if metric not in ("cosine", "dot"):
        raise SettingsError(f"got metric={metric!r}; expected 'cosine' or 'dot'")
    asked = matrix(queries, "queries", unit=metric == "cosine")
    held = matrix(corpus, "corpus", unit=metric == "cosine")
    relevance = relevance or Relevance.diagonal(len(asked))
    if asked.shape[1] != held.shape[1] or (len(relevance), relevance.corpus) != (len(asked), len(held)):
        raise DataError(
            f"got queries {tuple(asked.shape)}, a corpus {tuple(held.shape)} and a relevance of "
            f"{len(relevance)} queries and {relevance.corpus} rows; expected one space, and as many of each"
        )
    if exclude_self and (len(asked) != len(held) or len(held) < 2):
        raise DataError(
            f"exclude_self was asked for {len(asked)} queries and a corpus of {len(held)}; "
            "expected the corpus of two rows or more as its own queries"
        )
    columns = padded(held).t()
    height = min(max(1, _SCORES_AT_ONCE // columns.shape[1]), _QUERIES_AT_ONCE)
    for start in range(0, len(asked), height):
        some = asked[start : start + height]
        pairs = relevance.pairs(start, start + len(some), exclude_self=exclude_self)
        if not len(pairs[0]):
            continue
        scores = torch.mm(padded(some), columns)[: len(some), : len(held)]
        if exclude_self:
            scores.diagonal(start).fill_(-torch.inf)
        yield _strip(scores, pairs, start, len(held) - exclude_self)


def _strip(scores: Tensor, pairs: tuple[np.ndarray, ...], start: int, candidates: int) -> Ranks:
    rows, columns, gains = pairs
    kept, slot, counts = np.unique(rows, return_inverse=True, return_counts=True)
    if len(kept) < len(scores):
        scores = scores[torch.from_numpy(kept)]
    ends = np.cumsum(counts)
    place = np.arange(len(rows)) - (ends - counts)[slot]
    few = int(counts.max()) <= _FEW
    ranks = (_count if few else _sort)(scores, slot, columns, place)
    order = np.lexsort((ranks, slot))
    return Ranks(kept + start, np.append(0, ends), ranks[order], gains[order], candidates)


def _count(scores: Tensor, slot: np.ndarray, columns: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The rank of each relevant row, by counting what scores higher: a pass over the scores for each."""
    ranks = np.empty(len(slot), dtype=np.int64)
    for turn in range(int(place.max()) + 1):
        which = np.flatnonzero(place == turn)
        rows, own = torch.from_numpy(slot[which]), torch.from_numpy(columns[which])
        some = scores if len(rows) == len(scores) else scores[rows]
        mine = some.gather(1, own[:, None])
        above = (some > mine).sum(dim=1)
        for row in ((some == mine).sum(dim=1) > 1).nonzero()[:, 0].tolist():
            above[row] += (some[row, : own[row]] == mine[row]).sum()
        ranks[which] = above.numpy() + 1
    return ranks


def _sort(scores: Tensor, slot: np.ndarray, columns: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The rank of each relevant row, from the sorted row."""
    ranks = np.empty(len(slot), dtype=np.int64)
    height = max(1, _SORTED_AT_ONCE // scores.shape[1])
    numbers = torch.arange(1, scores.shape[1] + 1)
    for top in range(0, len(scores), height):
        order = scores[top : top + height].sort(dim=1, descending=True, stable=True).indices
        all_ranks = torch.empty_like(order).scatter_(1, order, numbers.expand_as(order))
        which = slice(*np.searchsorted(slot, (top, top + height)))
        ranks[which] = all_ranks[torch.from_numpy(slot[which] - top), torch.from_numpy(columns[which])].numpy()
    return ranks
