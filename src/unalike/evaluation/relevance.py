"""Which rows of a corpus answer which query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unalike.errors import DataError
from unalike.evaluation.inputs import Labels, check_lengths, label_codes


@dataclass(frozen=True)
class Relevance:
    """The relevant rows of each query, held once for all queries that share them.

    Args:
        group: ``(Q,)`` int64, the group of each query, -1 where it has none.
        offsets: ``(G + 1,)``: group g's rows are ``members[offsets[g]:offsets[g + 1]]``.
        members: rows of the corpus.
        gains: how relevant each member is, above zero; only nDCG tells them apart.
        corpus: number of rows in the corpus.
    """

    group: np.ndarray
    offsets: np.ndarray
    members: np.ndarray
    gains: np.ndarray
    corpus: int

    def __len__(self) -> int:
        return len(self.group)

    @classmethod
    def diagonal(cls, count: int) -> Relevance:
        """Row i answers query i, and nothing else does.

        Example:
            >>> from unalike.evaluation import Relevance
            >>> Relevance.diagonal(3).of(1).tolist()
            [1]
        """
        rows = np.arange(count)
        return cls(rows, np.arange(count + 1), rows, np.ones(count), count)

    @classmethod
    def from_groups(cls, queries: Labels, corpus: Labels) -> Relevance:
        """Rows of a query's own group (label, text, object) answer it.

        Args:
            queries: ``(Q,)`` a group for each query; -1 or None for those that have none.
            corpus: ``(N,)`` a group for each row.

        Raises:
            DataError: these are no groups, or names on one side and bare integers on the other.

        Example:
            >>> from unalike.evaluation import Relevance
            >>> Relevance.from_groups(["a", "b"], ["b", "a", "a"]).of(0).tolist()
            [1, 2]
        """
        asked, held = label_codes(queries, corpus)
        order = np.argsort(held, kind="stable")
        order = order[held[order] >= 0]
        groups, starts = np.unique(held[order], return_index=True)
        offsets = np.append(starts, len(order))
        place = np.searchsorted(groups, asked)
        found = (asked >= 0) & (place < len(groups))
        found[found] = groups[place[found]] == asked[found]
        return cls(np.where(found, place, -1), offsets, order, np.ones(len(order)), len(held))

    @classmethod
    def from_pairs(
        cls,
        queries: np.ndarray,
        corpus: np.ndarray,
        shape: tuple[int, int],
        gains: np.ndarray | None = None,
    ) -> Relevance:
        """Row ``corpus[i]`` answers query ``queries[i]``; a query may have several answers, or none.

        Args:
            queries: ``(P,)`` query numbers.
            corpus: ``(P,)`` row numbers. A pair may come twice; the larger gain counts.
            shape: how many queries and rows there are.
            gains: ``(P,)`` how relevant, at least 0; 0 is not relevant. All 1 unless given.

        Raises:
            DataError: lengths differ, or numbers are out of range.

        Example:
            >>> import numpy as np
            >>> from unalike.evaluation import Relevance
            >>> Relevance.from_pairs(np.array([0, 0]), np.array([4, 2]), shape=(2, 5)).of(0).tolist()
            [2, 4]
        """
        asked, rows = (np.asarray(side, dtype=np.int64) for side in (queries, corpus))
        weights = np.ones(len(rows)) if gains is None else np.asarray(gains, dtype=np.float64)
        check_lengths(queries=asked, corpus_rows=rows, gains=weights)
        for name, values, most in (("queries", asked, shape[0]), ("corpus rows", rows, shape[1])):
            if len(values) and not (values.min() >= 0 and values.max() < most):
                raise DataError(f"{name} reach from {values.min()} to {values.max()}; expected 0 to {most - 1}")
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise DataError("gains hold negative numbers, NaN or infinity; expected finite numbers from 0")
        order = np.lexsort((-weights, rows, asked))
        asked, rows, weights = asked[order], rows[order], weights[order]
        first = np.ones(len(rows), dtype=bool)
        first[1:] = (asked[1:] != asked[:-1]) | (rows[1:] != rows[:-1])
        first &= weights > 0
        asked, rows, weights = asked[first], rows[first], weights[first]
        offsets = np.searchsorted(asked, np.arange(shape[0] + 1))
        return cls(np.arange(shape[0]), offsets, rows, weights, shape[1])

    @classmethod
    def from_shared(cls, queries: np.ndarray, corpus: np.ndarray) -> Relevance:
        """Rows that share a code with a query answer it, whichever of its things that is.

        Args:
            queries: ``(Q, K)`` integers: what each query is about, -1 for nothing (`unalike.data.Sameness.table`).
            corpus: ``(N, L)``: what each row holds.

        Example:
            >>> import numpy as np
            >>> from unalike.evaluation import Relevance
            >>> asked, held = np.array([[1, 7], [2, -1]]), np.array([[1, 9], [5, 7], [2, 9]])
            >>> Relevance.from_shared(asked, held).of(0).tolist()
            [0, 1]
        """
        order = np.argsort(corpus, axis=None, kind="stable")
        codes, asked = corpus.reshape(-1)[order], queries.reshape(-1)
        first, last = (np.searchsorted(codes, asked, side) for side in ("left", "right"))
        counts = np.where(asked >= 0, last - first, 0)
        place = np.repeat(np.arange(len(asked)), counts)
        within = np.arange(len(place)) - (np.cumsum(counts) - counts)[place]
        rows = order[first[place] + within] // corpus.shape[1]
        return cls.from_pairs(place // queries.shape[1], rows, (len(queries), len(corpus)))

    def of(self, query: int) -> np.ndarray:
        """The rows that answer one query, rising."""
        group = self.group[query]
        if group < 0:
            return self.members[:0]
        return self.members[self.offsets[group] : self.offsets[group + 1]]

    def pairs(self, start: int, stop: int, *, exclude_self: bool = False) -> tuple[np.ndarray, ...]:
        """All pairs of some queries: query numbers counted from ``start``, rows of the corpus, gains.

        Args:
            start: first query.
            stop: query after the last.
            exclude_self: leave out row i for query i.
        """
        group = self.group[start:stop]
        counts = np.where(group >= 0, np.diff(self.offsets)[np.maximum(group, 0)] if len(self.offsets) > 1 else 0, 0)
        queries = np.repeat(np.arange(len(group)), counts)
        within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
        places = self.offsets[group[queries]] + within
        rows, gains = self.members[places], self.gains[places]
        if exclude_self:
            other = rows != queries + start
            queries, rows, gains = queries[other], rows[other], gains[other]
        return queries, rows, gains
