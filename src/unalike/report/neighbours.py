"""Who is near whom: samples that keep pairs together, exact neighbours, and which of them are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unalike.report.inputs import Item

_ROUNDING = 1e-6  # scores of equal vectors differ by this much, depending on where they stand in a product
_BLOCK = 512  # queries at a time, so that the scores of 5,000 items take 10 MB


def sample(items: Sequence[Item], limit: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of at most ``limit`` items, ascending; items of one instance come together or not at all.

    Drawn one by one, a small sample of pairs would hold hardly a pair.

    Example:
        >>> pairs = [Item(id=str(row), instance=str(row // 2)) for row in range(100)]
        >>> rows = sample(pairs, 10, np.random.default_rng(0))
        >>> len(rows), bool((rows[::2] + 1 == rows[1::2]).all())
        (10, True)
    """
    if len(items) <= limit:
        return np.arange(len(items))
    codes = codes_of([item.instance for item in items])
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(alone.sum())
    order = generator.permutation(int(codes.max()) + 1)
    counts = np.bincount(codes)[order]
    kept = order[np.cumsum(counts) <= limit]
    if not len(kept):  # one instance is larger than the whole sample
        return np.sort(generator.choice(np.flatnonzero(codes == order[0]), limit, replace=False))
    return np.flatnonzero(np.isin(codes, kept))


def codes_of(names: Sequence[str | None]) -> np.ndarray:
    """Int64 ``(N,)``: the same number for the same name, -1 where there is none.

    Example:
        >>> codes_of(["b", None, "a", "b"]).tolist()
        [0, -1, 1, 0]
    """
    known: dict[str, int] = {}
    return np.array([-1 if name is None else known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Float32 ``(N, D)`` rows of length one; rows of zeros stay zero."""
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


@dataclass(frozen=True)
class Direction:
    """A search of one kind by another: which rows ask, which are found, and which answers are right.

    ``truth`` is one number for each item; a target is right if it has the number of the query. It comes from
    instances where queries have one among the targets, else from labels, else there is none (all -1).
    """

    name: str
    queries: np.ndarray
    targets: np.ndarray
    truth: np.ndarray
    by: str | None


def directions(items: Sequence[Item]) -> list[Direction]:
    """The searches worth showing, across kinds first: text to picture, picture to text, then within a kind.

    Example:
        >>> both = [Item(id="0", kind="text", instance="cat"), Item(id="1", kind="image", instance="cat")]
        >>> [direction.name for direction in directions(both * 2)]
        ['text → image', 'image → text', 'text → text', 'image → image']
    """
    bases = np.array([item.base for item in items])
    names = list(dict.fromkeys(bases.tolist()))
    names.sort(key=lambda name: name != "text")
    across = [(asks, found) for asks in names for found in names if asks != found]
    instances = codes_of([item.instance for item in items])
    labels = codes_of([item.label for item in items])
    searches = []
    for asks, found in across + [(name, name) for name in names]:
        queries, targets = np.flatnonzero(bases == asks), np.flatnonzero(bases == found)
        if asks == found and len(queries) < 2:
            continue
        by, truth = None, np.full(len(items), -1)
        for kind, codes in (("instance", instances), ("label", labels)):
            if _has_answers(codes[queries], codes[targets], within=asks == found):
                by, truth = kind, codes
                break
        if asks == found or by is not None:
            name = f"{asks} → {found}"
            searches.append(Direction(name, queries, targets, truth, by))
    return searches


def _has_answers(asked: np.ndarray, offered: np.ndarray, *, within: bool) -> bool:
    offered = offered[offered >= 0]
    if within:
        return bool(len(offered)) and int(np.bincount(offered).max()) > 1
    return bool(np.isin(asked[asked >= 0], offered).any())


@dataclass(frozen=True)
class Found:
    """What each query of a direction found. Rows are of the items; Q queries, k results.

    Args:
        nearest: int ``(Q, k)``, the nearest targets, nearest first, never the query itself.
        scores: float32 ``(Q, k)``, their cosine similarities.
        match: int ``(Q,)``, the best right target, -1 where there is none.
        match_score: float32 ``(Q,)``, its similarity.
        rank: int ``(Q,)``, its place, counted from 1; of equal scores the wrong ones count as nearer, so that a
            collapsed space earns nothing. 0 where there is no right target.
    """

    nearest: np.ndarray
    scores: np.ndarray
    match: np.ndarray
    match_score: np.ndarray
    rank: np.ndarray


def find(direction: Direction, vectors: np.ndarray, k: int) -> Found:
    """The exact nearest targets of every query, and the place of the best right one.

    Args:
        direction: which rows ask and which are found.
        vectors: float32 ``(N, D)``, L2-normalised.
        k: results for each query; fewer where there are fewer targets.

    Example:
        >>> items = [Item(id=str(row), label="ab"[row // 2]) for row in range(4)]
        >>> vectors = normalised(np.array([[1, 0], [9, 1], [0, 1], [1, 9]]))
        >>> found = find(directions(items)[0], vectors, k=2)
        >>> found.nearest[:, 0].tolist(), found.rank.tolist()
        ([1, 0, 3, 2], [1, 1, 1, 1])
    """
    queries, targets = direction.queries, direction.targets
    base = vectors[targets]
    k = min(k, len(targets) - int(np.isin(queries, targets).any()))
    parts = []
    for start in range(0, len(queries), _BLOCK):
        rows = queries[start : start + _BLOCK]
        scores = vectors[rows] @ base.T
        scores[rows[:, None] == targets[None, :]] = -np.inf
        asked = direction.truth[rows][:, None]
        right = (asked == direction.truth[targets][None, :]) & (asked >= 0) & np.isfinite(scores)
        order = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        ordered = np.take_along_axis(scores, order, axis=1)
        order = np.take_along_axis(order, np.lexsort((order, -ordered), axis=1), axis=1)
        among = np.where(right, scores, -np.inf)
        best = among.argmax(axis=1)
        answered = right.any(axis=1)
        match_score = among.max(axis=1)
        ahead = ((scores >= match_score[:, None] - _ROUNDING) & ~right).sum(axis=1)
        parts.append(
            (
                targets[order],
                np.take_along_axis(scores, order, axis=1),
                np.where(answered, targets[best], -1),
                np.where(answered, match_score, np.nan),
                np.where(answered, 1 + ahead, 0),
            )
        )
    return Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def pair_scores(
    direction: Direction, vectors: np.ndarray, limit: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of true pairs and of random other pairs of a direction, at most ``limit`` of each.

    Each true pair is a random query with a random right target, not its best one.

    Example:
        >>> items = [Item(id=str(row), label="ab"[row // 2]) for row in range(4)]
        >>> vectors = normalised(np.array([[1, 0], [1, 0], [0, 1], [0, 1]]))
        >>> right, wrong = pair_scores(directions(items)[0], vectors, 8, np.random.default_rng(0))
        >>> right.min(), wrong.max()
        (np.float32(1.0), np.float32(0.0))
    """
    queries, targets, truth = direction.queries, direction.targets, direction.truth
    # Sorted by their number, the right targets of a query are one stretch: a random place in it is a random pair.
    ordered = targets[np.argsort(truth[targets], kind="stable")]
    numbers = truth[ordered]
    asking = generator.permutation(queries[truth[queries] >= 0])
    asking = asking[np.isin(truth[asking], numbers)][:limit]
    low = np.searchsorted(numbers, truth[asking], side="left")
    high = np.searchsorted(numbers, truth[asking], side="right")
    partner = ordered[low + (generator.random(len(asking)) * (high - low)).astype(np.int64)]
    # Where the query itself was drawn, the next one of its stretch takes its place, if there is another.
    itself = partner == asking
    place = np.searchsorted(numbers, truth[asking], side="left")
    size = high - low
    if itself.any():
        position = np.empty(int(ordered.max()) + 1, dtype=np.int64)
        position[ordered] = np.arange(len(ordered))
        following = place + (position[partner] - place + 1) % size
        partner = np.where(itself, ordered[following], partner)
    real = partner != asking
    right = np.einsum("nd,nd->n", vectors[asking[real]], vectors[partner[real]])
    one, other = generator.choice(queries, 2 * limit), generator.choice(targets, 2 * limit)
    wrong = (one != other) & (truth[one] >= 0) & (truth[other] >= 0) & (truth[one] != truth[other])
    one, other = one[wrong][:limit], other[wrong][:limit]
    return right, np.einsum("nd,nd->n", vectors[one], vectors[other])
