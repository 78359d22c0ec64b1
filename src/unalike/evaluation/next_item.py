"""What comes next? The place of the item that was really chosen among all items, and two rules that learn nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from unalike.errors import DataError
from unalike.evaluation.bootstrap import bootstrap_interval
from unalike.evaluation.measures import ndcg, recall_at_k
from unalike.evaluation.ranking import Ranks
from unalike.evaluation.score import Score

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


def next_item_scores(
    asked: NextItems, scores: Callable[[np.ndarray], np.ndarray], learnt: Histories, *, k: int = 10
) -> list[Score]:
    """HR and NDCG over the whole catalogue, beside chance, the most popular items, and item-based neighbours.

    Args:
        asked: rows and their next items.
        scores: those of a model, ``(B, items)`` for some rows.
        learnt: the events that the two rules learn from.
        k: how far down the ranking counts; HR also for half and for twice as many.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import NextItems, next_item_scores
        >>> asked = NextItems(np.array([2]), 40, lambda rows: (np.array([0]), np.array([3])))
        >>> learnt = np.array([0, 0]), np.array([3, 2])
        >>> [str(each) for each in next_item_scores(asked, lambda rows: np.eye(40)[[2]], learnt)][1]
        'next item, HR@10 1.000 [1.000, 1.000] (n=1, chance 0.256, most popular 1.000, item neighbours 1.000)'
    """
    count = len(asked.targets)
    others = {
        "most popular": asked.ranks(most_popular(learnt, asked.items)),
        "item neighbours": asked.ranks(item_knn(learnt, asked.items, asked.history)),
    }
    ours = asked.ranks(scores)
    owner, seen = asked.history(np.arange(count))
    gone = np.unique(np.stack([owner, seen])[:, seen != asked.targets[owner]], axis=1)[0]
    left = asked.items - (0 if asked.returning else np.bincount(gone.astype(np.int64), minlength=count))
    candidates = np.broadcast_to(left, count)
    found = []
    for name, most in (("HR", max(1, k // 2)), ("HR", k), ("HR", 2 * k), ("NDCG", k)):
        measure = recall_at_k if name == "HR" else ndcg
        values = measure(ours, most)
        hits = np.minimum(most, candidates)
        gains = np.ones(most) if name == "HR" else 1 / np.log2(np.arange(2, most + 2))
        chance = float((np.cumsum(gains)[hits - 1] / candidates).mean())
        value = float(values.mean())
        found.append(
            Score(
                f"next item, {name}@{most}",
                value,
                {"chance": chance} | {rule: float(measure(ranks, most).mean()) for rule, ranks in others.items()},
                n=count,
                reading=f"{100 * value:.1f}% of the users chose an item that is among the first {most} of "
                f"{asked.items:,}."
                if name == "HR"
                else f"As HR@{most}, where a place further down counts for less.",
                interval=bootstrap_interval(values),
            )
        )
    return found
