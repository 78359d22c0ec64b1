"""Retrieval metrics, one value a query, and what a ranking by chance would give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.ranking import Ranks, rank_relevant
from unalike.evaluation.relevance import Relevance
from unalike.search.blocks import Vectors
from unalike.search.exact import Metric

Measure: TypeAlias = Callable[[Ranks], np.ndarray]


def recall_at_k(ranks: Ranks, k: int) -> np.ndarray:
    """1 where a relevant row is among the first k, else 0: the R@K of image-text retrieval and metric learning.

    trec_eval calls it ``success_k``; its ``recall_k`` is `full_recall_at_k`.

    Args:
        ranks: of the relevant rows, from `rank_relevant`.
        k: how far down the ranking counts.

    Returns:
        ``(Q,)``, a value a query; their mean is the score.

    Raises:
        SettingsError: ``k`` below one.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import Ranks, recall_at_k
        >>> ranks = Ranks(np.arange(2), np.array([0, 2, 3]), np.array([1, 4, 6]), np.ones(3), candidates=9)
        >>> recall_at_k(ranks, 5)
        array([1., 0.])
    """
    _check(k)
    return (_first(ranks) <= k).astype(np.float64)


def full_recall_at_k(ranks: Ranks, k: int) -> np.ndarray:
    """Share of a query's relevant rows that are among the first k; trec_eval's ``recall_k``.

    Args:
        ranks: of the relevant rows, from `rank_relevant`.
        k: how far down the ranking counts.

    Returns:
        ``(Q,)``, a value a query.

    Raises:
        SettingsError: ``k`` below one.
    """
    _check(k)
    return _sums(ranks, ranks.ranks <= k) / ranks.counts


def mrr(ranks: Ranks) -> np.ndarray:
    """One over the rank of the best relevant row; trec_eval's ``recip_rank``.

    Args:
        ranks: of the relevant rows, from `rank_relevant`.

    Returns:
        ``(Q,)``, a value a query.
    """
    return 1 / _first(ranks)


def ndcg(ranks: Ranks, k: int | None = None) -> np.ndarray:
    """Discounted gain over the best possible (Järvelin and Kekäläinen, 2002); trec_eval's ``ndcg``, ``ndcg_cut_k``.

    The gain is the relevance itself and the discount the logarithm to base 2 of the rank plus one.

    Args:
        ranks: of the relevant rows, from `rank_relevant`.
        k: how far down the ranking counts; all of it unless given.

    Returns:
        ``(Q,)``, a value a query.

    Raises:
        SettingsError: ``k`` below one.
    """
    _check(k)
    return _discounted(ranks, ranks.ranks, ranks.gains, k) / _ideal(ranks, k)


def average_precision(ranks: Ranks) -> np.ndarray:
    """Mean over the relevant rows of the precision at each one's rank; its mean over queries is mAP.

    Args:
        ranks: of the relevant rows, from `rank_relevant`.

    Returns:
        ``(Q,)``, a value a query.
    """
    return _sums(ranks, _position(ranks) / ranks.ranks) / ranks.counts


def average_precision_at_r(ranks: Ranks) -> np.ndarray:
    """Average precision over the first R places, R being the query's number of relevant rows: MAP@R.

    Musgrave et al., *A Metric Learning Reality Check* (2020): unlike R@1 it looks at the whole neighbourhood, unlike
    mAP only as far as it should be pure.

    Args:
        ranks: of the relevant rows, from `rank_relevant`.

    Returns:
        ``(Q,)``, a value a query.
    """
    within = ranks.ranks <= np.repeat(ranks.counts, ranks.counts)
    return _sums(ranks, np.where(within, _position(ranks) / ranks.ranks, 0)) / ranks.counts


def r_precision(ranks: Ranks) -> np.ndarray:
    """Share of the first R places that are relevant, R being the number of relevant rows; trec_eval's ``Rprec``.

    Args:
        ranks: of the relevant rows, from `rank_relevant`.

    Returns:
        ``(Q,)``, a value a query.
    """
    return _sums(ranks, ranks.ranks <= np.repeat(ranks.counts, ranks.counts)) / ranks.counts


@dataclass(frozen=True)
class Retrieval:
    """What `retrieval` measured.

    Args:
        values: for each measure ``(Q,)``, a value a query.
        chance: for each measure what a random ranking gives on average over these queries.
        queries: ``(Q,)`` which queries had anything relevant; only they count.
    """

    values: dict[str, np.ndarray]
    chance: dict[str, float]
    queries: np.ndarray

    def mean(self, measure: str) -> float:
        """The score: the mean over queries."""
        return float(self.values[measure].mean())


def retrieval(
    queries: Vectors,
    corpus: Vectors,
    relevance: Relevance | None = None,
    *,
    measures: Sequence[str] = ("recall@1", "recall@5", "recall@10", "mrr"),
    metric: Metric = "cosine",
    exclude_self: bool = False,
) -> Retrieval:
    """Retrieval metrics over full exact rankings, with what chance gives.

    Args:
        queries: ``(Q, D)``.
        corpus: ``(N, D)``.
        relevance: what answers what; row i answers query i unless given.
        measures: of ``recall@K``, ``full_recall@K``, ``mrr``, ``ndcg``, ``ndcg@K``, ``map``, ``map@r`` and
            ``r_precision``.
        metric: ``"cosine"`` or ``"dot"``.
        exclude_self: the queries are the corpus, and row i is no answer to query i.

    Raises:
        DataError: as `rank_relevant`; or no query has anything relevant.
        SettingsError: an unknown measure or metric.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import retrieval
        >>> pictures = np.eye(4, dtype=np.float32)
        >>> texts = pictures[[1, 0, 2, 3]]
        >>> found = retrieval(pictures, texts, measures=["recall@1", "mrr"])
        >>> found.mean("recall@1"), found.chance["recall@1"]
        (0.5, 0.25)
    """
    known = {name: _measure(name) for name in measures}
    values: dict[str, list[np.ndarray]] = {name: [] for name in known}
    expected: dict[str, list[np.ndarray]] = {name: [] for name in known}
    asked = []
    for strip in rank_relevant(queries, corpus, relevance, metric=metric, exclude_self=exclude_self):
        asked.append(strip.queries)
        for name, (measure, chance) in known.items():
            values[name].append(measure(strip))
            expected[name].append(chance(strip))
    if not asked:
        raise DataError("no query has a relevant row in the corpus; expected at least one to score")
    return Retrieval(
        {name: np.concatenate(parts) for name, parts in values.items()},
        {name: float(np.concatenate(parts).mean()) for name, parts in expected.items()},
        np.concatenate(asked),
    )


def _measure(name: str) -> tuple[Measure, Measure]:
    """A metric by its name, and its expectation under a random ranking."""
    plain: dict[str, tuple[Measure, Measure]] = {
        "mrr": (mrr, _chance_mrr),
        "ndcg": (ndcg, _chance_ndcg),
        "map": (average_precision, _chance_average_precision),
        "map@r": (average_precision_at_r, _chance_average_precision_at_r),
        "r_precision": (r_precision, lambda ranks: ranks.counts / ranks.candidates),
    }
    if name in plain:
        return plain[name]
    stem, _, number = name.partition("@")
    cut = {
        "recall": (recall_at_k, _chance_recall_at_k),
        "full_recall": (full_recall_at_k, _chance_full_recall_at_k),
        "ndcg": (ndcg, _chance_ndcg),
    }
    if stem not in cut or not number.isdecimal() or int(number) < 1:
        raise SettingsError(
            f"got the measure {name!r}; expected one of {', '.join(plain)} or "
            f"{', '.join(f'{one}@K' for one in cut)} with K of at least 1"
        )
    measure, chance = cut[stem]
    return partial(measure, k=int(number)), partial(chance, k=int(number))


def _check(k: int | None) -> None:
    if k is not None and k < 1:
        raise SettingsError(f"got k={k}; expected at least 1")


def _first(ranks: Ranks) -> np.ndarray:
    return ranks.ranks[ranks.offsets[:-1]]


def _sums(ranks: Ranks, values: np.ndarray) -> np.ndarray:
    """Sum over each query's relevant rows."""
    return np.add.reduceat(values.astype(np.float64), ranks.offsets[:-1])


def _position(ranks: Ranks) -> np.ndarray:
    """1, 2, ... among the relevant rows of each query, the best first."""
    return np.arange(1, len(ranks.ranks) + 1) - np.repeat(ranks.offsets[:-1], ranks.counts)


def _discounted(ranks: Ranks, places: np.ndarray, gains: np.ndarray, k: int | None) -> np.ndarray:
    weights = gains / np.log2(places + 1)
    return _sums(ranks, weights if k is None else np.where(places <= k, weights, 0))


def _ideal(ranks: Ranks, k: int | None) -> np.ndarray:
    owner = np.repeat(np.arange(len(ranks)), ranks.counts)
    best_first = ranks.gains[np.lexsort((-ranks.gains, owner))]
    return _discounted(ranks, _position(ranks), best_first, k)


# Expectations over all orders of the candidates, by the number R of relevant rows and N of candidates.


def _by_count(ranks: Ranks, expectation: Callable[[int, int], float]) -> np.ndarray:
    """An expectation that depends on R and N alone, worked out once for each R."""
    counts, place = np.unique(ranks.counts, return_inverse=True)
    return np.array([expectation(int(count), ranks.candidates) for count in counts])[place]


def _chance_recall_at_k(ranks: Ranks, k: int) -> np.ndarray:
    return _by_count(ranks, lambda relevant, total: 1 - float(_all_later(relevant, total, min(k, total))[-1]))


def _chance_full_recall_at_k(ranks: Ranks, k: int) -> np.ndarray:
    return np.full(len(ranks), min(k / ranks.candidates, 1.0))


def _chance_mrr(ranks: Ranks) -> np.ndarray:
    def expectation(relevant: int, total: int) -> float:
        later = _all_later(relevant, total, total)
        return float(((later[:-1] - later[1:]) / np.arange(1, total + 1)).sum())

    return _by_count(ranks, expectation)


def _chance_ndcg(ranks: Ranks, k: int | None = None) -> np.ndarray:
    last = ranks.candidates if k is None else min(k, ranks.candidates)
    discounts = float((1 / np.log2(np.arange(2, last + 2))).sum())
    return _sums(ranks, ranks.gains) / ranks.candidates * discounts / _ideal(ranks, k)


def _chance_average_precision(ranks: Ranks) -> np.ndarray:
    return _by_count(ranks, lambda relevant, total: _chance_precisions(relevant, total, total))


def _chance_average_precision_at_r(ranks: Ranks) -> np.ndarray:
    return _by_count(ranks, lambda relevant, total: _chance_precisions(relevant, total, relevant))


def _chance_precisions(relevant: int, total: int, last: int) -> float:
    """Sum over places 1 to ``last`` of P(relevant there) times the precision expected there then, over R."""
    places = np.arange(1, last + 1)
    others = (relevant - 1) / (total - 1) if total > 1 else 0.0
    return float(((1 + (places - 1) * others) / places).sum() / total)


def _all_later(relevant: int, total: int, last: int) -> np.ndarray:
    """Probability that all R relevant rows rank later than place 0, 1, ... ``last``."""
    places = np.arange(last)
    misses = np.maximum(total - relevant - places, 0) / (total - places)
    return np.append(1.0, np.cumprod(misses))
