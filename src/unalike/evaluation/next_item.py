"""What comes next? The place of the item that was really chosen among all items, and two rules that learn nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from unalike.errors import DataError
from unalike.evaluation.ranking import Ranks

Histories: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Events of some rows, one after the other: row numbers, and items."""

_QUERIES_AT_ONCE = 512


@dataclass(frozen=True)
class NextItems:
    """Rows that each ask for their next item, among all items of the catalogue.

    An item that a row holds already is no candidate for it, unless users choose items again. The item that was really
    chosen is always one.

    Args:
        targets: int64 ``(Q,)``, the item that was chosen next; below 0 where it is none of the catalogue: a miss.
        items: size of the catalogue.
        history: gives the events of some rows, numbered from 0 within these.
        returning: whether users choose items again.
    """

    targets: np.ndarray
    items: int
    history: Callable[[np.ndarray], Histories]
    returning: bool = False

    def ranks(self, scores: Callable[[np.ndarray], np.ndarray]) -> Ranks:
        """The rank of each row's next item, 1 for the best; of equal scores the lower item number ranks first.

        Args:
            scores: gives the scores ``(B, items)`` of some rows.

        Raises:
            DataError: there is no row, or scores are not finite.

        Example:
            >>> import numpy as np
            >>> from unalike.evaluation import NextItems, ndcg, recall_at_k
            >>> asked = NextItems(np.array([2]), 4, lambda rows: (np.array([0]), np.array([3])))
            >>> ranks = asked.ranks(lambda rows: np.array([[0.1, 0.5, 0.4, 0.9]]))
            >>> ranks.ranks.tolist(), float(recall_at_k(ranks, 1).mean()), round(float(ndcg(ranks, 10).mean()), 3)
            ([2], 0.0, 0.631)
        """
        if not len(self.targets):
            raise DataError("no row asks for a next item; expected at least one")
        found = [
            self._ranks(rows, scores(rows))
            for start in range(0, len(self.targets), _QUERIES_AT_ONCE)
            for rows in [np.arange(start, min(start + _QUERIES_AT_ONCE, len(self.targets)))]
        ]
        count = len(self.targets)
        return Ranks(np.arange(count), np.arange(count + 1), np.concatenate(found), np.ones(count), self.items)

    def _ranks(self, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
        values = torch.as_tensor(scores).clone()
        if values.shape != (len(rows), self.items) or not torch.isfinite(values).all():
            raise DataError(
                f"scores {tuple(values.shape)} of {len(rows)} rows; expected finite numbers, one for each of "
                f"{self.items} items"
            )
        known = self.targets[rows] >= 0
        own = torch.from_numpy(np.where(known, self.targets[rows], 0))
        mine = values.gather(1, own[:, None])
        if not self.returning:
            owner, seen = self.history(rows)
            values[torch.from_numpy(owner), torch.from_numpy(seen)] = -torch.inf
            values.scatter_(1, own[:, None], mine)
        before = torch.arange(self.items) < own[:, None]
        above = (values > mine).sum(1) + ((values == mine) & before).sum(1)
        # A new item can be nobody's answer: it stands behind all others.
        return np.where(known, above.numpy() + 1, self.items + 1)


def most_popular(learnt: Histories, items: int) -> Callable[[np.ndarray], np.ndarray]:
    """The rule that gives everybody what was chosen most often.

    Args:
        learnt: the events to count.
        items: size of the catalogue.

    Returns:
        Scores ``(B, items)`` of some rows, for `NextItems.ranks`.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import most_popular
        >>> most_popular((np.array([0, 1]), np.array([2, 2])), 3)(np.arange(1)).tolist()
        [[0.0, 0.0, 2.0]]
    """
    counts = np.bincount(learnt[1], minlength=items).astype(np.float64)
    return lambda rows: np.tile(counts, (len(rows), 1))


def item_knn(
    learnt: Histories, items: int, history: Callable[[np.ndarray], Histories], *, k: int = 100
) -> Callable[[np.ndarray], np.ndarray]:
    """The rule that gives what was chosen by those who chose the same: item-based nearest neighbours.

    An item's score is the sum of its cosines with the items of the row, of which each has ``k`` neighbours; the vector
    of an item says which rows hold it (Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", 2004).

    Args:
        learnt: the events to learn from.
        items: size of the catalogue.
        history: gives the events of some rows, as in `NextItems`.
        k: neighbours of an item.

    Returns:
        Scores ``(B, items)`` of some rows, for `NextItems.ranks`.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import item_knn
        >>> learnt = np.array([0, 0, 1]), np.array([0, 1, 2])
        >>> item_knn(learnt, 3, lambda rows: (np.array([0]), np.array([0])))(np.arange(1)).round(3).tolist()
        [[0.0, 1.0, 0.0]]
    """
    from scipy import sparse
    from sklearn.preprocessing import normalize

    def held(events: Histories, rows: int) -> sparse.csr_matrix:
        matrix = sparse.csr_matrix((np.ones(len(events[0])), events), shape=(rows, items))
        matrix.data[:] = 1  # events of one row and item were added up
        return matrix

    owners = held(learnt, int(learnt[0].max(initial=-1)) + 1)
    columns = normalize(owners, axis=0)
    near = sparse.lil_matrix((items, items))
    alike = (columns.T @ columns).tocsr()
    alike.setdiag(0)
    for item in range(items):
        part = slice(alike.indptr[item], alike.indptr[item + 1])
        values, which = alike.data[part], alike.indices[part]
        best = np.argsort(-values, kind="stable")[:k]
        near[item, which[best]] = values[best]
    neighbours = near.tocsr()
    return lambda rows: (held(history(rows), len(rows)) @ neighbours).toarray()
