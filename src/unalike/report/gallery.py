"""Real neighbours to look at: random queries with what they found, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unalike.report.inputs import Item
from unalike.report.neighbours import Direction, Found
from unalike.report.pictures import Thumbnails, data_uri
from unalike.report.wording import clean, number


@dataclass(frozen=True)
class Tile:
    """One item as a card: its picture if it has one, its words, and whether it was a right answer."""

    picture: str
    alt: str
    text: str
    label: str
    kind: str
    id: str
    score: str
    mark: Literal["right", "wrong", ""]


@dataclass(frozen=True)
class Row:
    """A query and what it found, nearest first."""

    query: Tile
    found: list[Tile]


@dataclass(frozen=True)
class Mistake:
    """A query, what came first instead of its match, the match, and the match's place."""

    query: Tile
    instead: Tile
    match: Tile
    rank: int


class Cards:
    """Makes cards of items; ``quality`` and ``words`` say how much of the page a card may take."""

    def __init__(self, items: Sequence[Item], thumbnails: Thumbnails, *, quality: int, words: int) -> None:
        self.items = items
        self.thumbnails = thumbnails
        self.quality = quality
        self.words = words
        self._addresses: dict[int, str] = {}

    def tile(self, row: int, *, score: float | None = None, right: bool | None = None) -> Tile:
        """The card of one item."""
        item = self.items[row]
        text = "" if item.text is None else clean(item.text, self.words)
        label = "" if item.label is None else clean(item.label, 60)
        name = clean(item.id, 120)
        return Tile(
            picture=self._address(row),
            alt=text or label or name,
            text=text,
            label=label,
            kind=clean(item.kind, 40),
            id=name,
            score="" if score is None else number(score),
            mark="" if right is None else "right" if right else "wrong",
        )

    def _address(self, row: int) -> str:
        if row not in self._addresses:
            picture = self.thumbnails[row]
            self._addresses[row] = "" if picture is None else data_uri(picture, quality=self.quality)
        return self._addresses[row]


def rows(
    direction: Direction, found: Found, cards: Cards, *, count: int, k: int, generator: np.random.Generator
) -> list[Row]:
    """Random queries with their ``k`` nearest; where answers are known, only queries that have one.

    Example:
        >>> from unalike.report.neighbours import directions, find
        >>> items = [Item(id=str(row), label="a") for row in range(4)]
        >>> search = directions(items)[0]
        >>> found = find(search, np.eye(4, dtype=np.float32), k=2)
        >>> cards = Cards(items, Thumbnails(items, 32), quality=70, words=80)
        >>> shown = rows(search, found, cards, count=2, k=2, generator=np.random.default_rng(0))
        >>> len(shown), shown[0].found[0].mark
        (2, 'right')
    """
    asking = np.arange(len(direction.queries)) if direction.by is None else np.flatnonzero(found.rank > 0)
    chosen = np.sort(generator.choice(asking, min(count, len(asking)), replace=False))
    shown = []
    for place in chosen:
        query = int(direction.queries[place])
        results = []
        for target, score in zip(found.nearest[place, :k], found.scores[place, :k], strict=True):
            right = None if direction.by is None else bool(direction.truth[target] == direction.truth[query])
            results.append(cards.tile(int(target), score=float(score), right=right))
        shown.append(Row(cards.tile(query), results))
    return shown


def mistakes(direction: Direction, found: Found, cards: Cards, *, count: int) -> list[Mistake]:
    """The worst wrong answers, worst first.

    Where each query has its own match, the queries whose match ranks last; where a label decides, the queries
    that are surest of a neighbour with another label. Of two that mistake each other, the first is shown.
    """
    truth = direction.truth
    wrong = np.flatnonzero((found.rank > 0) & (truth[found.nearest[:, 0]] != truth[direction.queries]))
    if direction.by == "instance":
        order = np.lexsort((-found.scores[wrong, 0], -found.rank[wrong]))
    else:
        order = np.argsort(-found.scores[wrong, 0], kind="stable")
    worst: list[Mistake] = []
    seen: set[frozenset[int]] = set()
    for place in wrong[order]:
        query, instead = int(direction.queries[place]), int(found.nearest[place, 0])
        if frozenset((query, instead)) in seen:
            continue
        seen.add(frozenset((query, instead)))
        worst.append(
            Mistake(
                query=cards.tile(query),
                instead=cards.tile(instead, score=float(found.scores[place, 0]), right=False),
                match=cards.tile(int(found.match[place]), score=float(found.match_score[place]), right=True),
                rank=int(found.rank[place]),
            )
        )
        if len(worst) == count:
            break
    return worst
