"""Are the right labels among the first? Precision, recall, and precision in which rare labels count for more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from unalike.errors import DataError, SettingsError

Sets: TypeAlias = tuple[np.ndarray, np.ndarray]
"""The right labels of some rows, one after the other: row numbers, and labels."""

_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class LabelRanking:
    """The first labels of some rows, with which of them are right. Rows without a right label are left out.

    Args:
        rows: int64 ``(Q,)``: which rows these are.
        ranked: int64 ``(Q, K)``: the first K labels, best first.
        hits: bool ``(Q, K)``: which of them are right.
        truth: the right labels of each kept row, positions in ``rows`` and labels.
        labels: how many labels were ranked.
    """

    rows: np.ndarray
    ranked: np.ndarray
    hits: np.ndarray
    truth: Sets
    labels: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def counts(self) -> np.ndarray:
        """Int64 ``(Q,)``: how many labels are right for each row."""
        return np.bincount(self.truth[0], minlength=len(self.rows))

    def precision(self, k: int) -> np.ndarray:
        """``(Q,)`` P@k: the share of the first k labels that are right.

        Raises:
            SettingsError: more labels than were kept.

        Example:
            >>> import numpy as np
            >>> from unalike.evaluation import rank_labels
            >>> found = rank_labels(lambda rows: np.array([[0.1, 0.9, 0.5]]), (np.array([0]), np.array([2])), 1, 3)
            >>> found.precision(1).tolist(), found.precision(2).tolist(), found.recall(2).tolist()
            ([0.0], [0.5], [1.0])
        """
        return self._first(k).sum(axis=1) / k

    def recall(self, k: int) -> np.ndarray:
        """``(Q,)`` R@k: the share of a row's right labels that are among the first k."""
        return self._first(k).sum(axis=1) / self.counts

    def psp(self, k: int, propensities: np.ndarray) -> float:
        """PSP@k: precision at k in which each right label counts as one over its propensity.

        Divided by what the best ranking would reach, the sums over all rows being taken first, as the field reports it
        (the extreme classification repository).

        Paper: Jain, Prabhu, Varma, "Extreme Multi-label Loss Functions for Recommendation, Tagging, Ranking & Other
        Missing Label Applications", KDD 2016, section 5.

        Args:
            k: how many labels count.
            propensities: ``(labels,)`` of `propensities`.

        Raises:
            DataError: not one propensity a label. SettingsError: more labels than were kept.
        """
        if propensities.shape != (self.labels,):
            raise DataError(f"propensities {propensities.shape} for {self.labels} labels; expected one a label")
        worth = 1 / propensities
        reached = (self._first(k) * worth[self.ranked[:, :k]]).sum()
        # The most that k labels of a row are worth: its right ones by worth, k of them at most.
        owners, labels = self.truth
        order = np.lexsort((-worth[labels], owners))
        counts = self.counts
        place = np.arange(len(order)) - np.repeat(counts.cumsum() - counts, counts)
        return float(reached / worth[labels[order]][place < k].sum())

    def _first(self, k: int) -> np.ndarray:
        if not 1 <= k <= self.hits.shape[1]:
            raise SettingsError(f"k={k}; {self.hits.shape[1]} labels of each row were kept")
        return self.hits[:, :k]


def rank_labels(
    scores: Callable[[np.ndarray], np.ndarray], truth: Sets, rows: int, labels: int, *, keep: int = 5
) -> LabelRanking:
    """Rank all labels for each row that has a right one, and keep the first. Of equal scores the lower label is first.

    Args:
        scores: gives the scores ``(B, labels)`` of some rows, by their numbers.
        truth: row numbers, and labels that are right for them, each pair once; rows in rising order.
        rows: how many rows there are.
        labels: how many labels there are.
        keep: how many are kept, as many as there are at most.

    Raises:
        DataError: no row has a label, numbers are out of range, or scores are not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import rank_labels
        >>> truth = np.array([0, 0, 2]), np.array([1, 3, 0])
        >>> found = rank_labels(lambda some: np.tile([0.1, 0.7, 0.2, 0.7], (len(some), 1)), truth, 3, 4, keep=2)
        >>> found.rows.tolist(), found.ranked.tolist(), found.hits.tolist()
        ([0, 2], [[1, 3], [1, 3]], [[True, True], [False, False]])
    """
    owners, members = (np.asarray(side, np.int64) for side in truth)
    if not len(owners):
        raise DataError("no row has a label; expected at least one")
    if owners.min() < 0 or owners.max() >= rows or members.min() < 0 or members.max() >= labels:
        raise DataError(f"pairs of rows below {rows} and labels below {labels} were expected; one lies outside")
    kept, position = np.unique(owners, return_inverse=True)
    keep = min(keep, labels)
    right = np.unique(position * labels + members)
    if len(right) != len(owners) or (np.diff(owners) < 0).any():
        raise DataError("a row has a label twice, or rows do not stand in rising order")
    ranked = np.empty((len(kept), keep), np.int64)
    for start in range(0, len(kept), _ROWS_AT_ONCE):
        some = kept[start : start + _ROWS_AT_ONCE]
        found = np.asarray(scores(some))
        if found.shape != (len(some), labels) or not np.isfinite(found).all():
            raise DataError(
                f"scores {found.shape} of {len(some)} rows; expected finite numbers, one for each of {labels} labels"
            )
        ranked[start : start + len(some)] = np.argsort(-found, axis=1, kind="stable")[:, :keep]
    hits = np.isin(np.arange(len(kept))[:, None] * labels + ranked, right)
    return LabelRanking(kept, ranked, hits, (position, members), labels)


def propensities(counts: np.ndarray, rows: int, *, a: float = 0.55, b: float = 1.5) -> np.ndarray:
    """How likely a right label is to have been given, which is less for rare ones.

    ``p_l = 1 / (1 + C exp(-a log(N_l + b)))`` with ``C = (log N - 1) (b + 1)^a``.

    Paper: Jain, Prabhu, Varma, "Extreme Multi-label Loss Functions for Recommendation, Tagging, Ranking & Other Missing
    Label Applications", KDD 2016, equation 3; a and b are those of most of the field's sets (Wikipedia's and Amazon's
    have others).

    Args:
        counts: ``(L,)``, in how many training rows each label stands.
        rows: training rows N, at least 3 so that C is above zero.
        a, b: of the curve.

    Returns:
        Float ``(L,)`` in (0, 1).

    Raises:
        SettingsError: fewer than three rows.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import propensities
        >>> propensities(np.array([1, 1000]), 2000).round(2).tolist()
        [0.13, 0.8]
    """
    if rows < 3:
        raise SettingsError(f"propensities of {rows} rows; expected three or more")
    constant = (np.log(rows) - 1) * (b + 1) ** a
    return 1 / (1 + constant * np.exp(-a * np.log(np.asarray(counts, np.float64) + b)))


def commonest_labels(counts: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The rule that gives every row the labels that stand most often in the training rows.

    Args:
        counts: ``(L,)``.

    Returns:
        Scores ``(B, L)`` of some rows, for `rank_labels`.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import commonest_labels
        >>> commonest_labels(np.array([1, 5]))(np.arange(2)).tolist()
        [[1.0, 5.0], [1.0, 5.0]]
    """
    return lambda rows: np.tile(np.asarray(counts, np.float64), (len(rows), 1))


def neighbours_labels(
    asked: Any, known: Any, learnt: Sets, labels: int, *, k: int = 10
) -> Callable[[np.ndarray], np.ndarray]:
    """The rule that gives a row the labels of the training rows that are most alike, each counting as its cosine.

    Args:
        asked: ``(Q, D)`` vectors of unit length of the rows, an array or a sparse matrix.
        known: ``(N, D)`` the same of the training rows.
        learnt: numbers of training rows, and their labels.
        labels: how many labels there are.
        k: neighbours that have a say.

    Returns:
        Scores ``(B, L)`` of some rows of ``asked``, for `rank_labels`.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import neighbours_labels
        >>> vote = neighbours_labels(np.eye(2), np.eye(2), (np.array([0, 1]), np.array([2, 0])), 3, k=1)
        >>> vote(np.array([0, 1])).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    from scipy import sparse

    shape = (known.shape[0], labels)
    held = sparse.csr_matrix((np.ones(len(learnt[0])), (learnt[0], learnt[1])), shape=shape)
    few = min(k, known.shape[0])

    def scores(rows: np.ndarray) -> np.ndarray:
        cosines = asked[rows] @ known.T
        cosines = cosines.toarray() if sparse.issparse(cosines) else cosines
        near = np.argpartition(-cosines, few - 1, axis=1)[:, :few]
        votes = np.maximum(np.take_along_axis(cosines, near, axis=1), 0).ravel()
        said = sparse.csr_matrix((votes, near.ravel(), np.arange(0, near.size + 1, few)), shape=(len(rows), shape[0]))
        return (said @ held).toarray()

    return scores
