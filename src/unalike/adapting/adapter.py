"""What a system of the kind "adapter" is made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from unalike.errors import DataError, SettingsError

Learnt = Mapping[str, np.ndarray]
Learn = Callable[[np.ndarray, np.ndarray, int], Learnt]
Score = Callable[..., np.ndarray]
FOLDS = 4


@dataclass(kw_only=True)
class Adapter:
    """A classifier on frozen vectors, learnt without gradients from few labelled rows, composed of parts.

    Scores are ``text_scale`` times the cosines with the class names' vectors, where there are any, plus what was learnt
    from the rows.

    Args:
        learn: from unit vectors ``(V, N, D)`` (several looks at each row), labels ``(N,)`` and the number of classes,
            makes arrays: all that is kept.
        score: from these arrays and unit vectors ``(Q, D)``, and by name a value of everything in ``grid``, scores
            ``(Q, C)``.
        grid: what is chosen on rows that were not learnt from, by name the values to try.
        usual: the values where there are no such rows.
        text_scale: of the cosines with the class names.
        looks: how many random looks at each labelled picture the paper takes.
        learnt, texts, choice: what `fit` finds: the arrays, the class names' vectors ``(C, D)`` or None, the values.

    Example:
        >>> nearest = Adapter(
        ...     learn=lambda looks, labels, classes: {"keys": looks.mean(0)[labels.argsort()]},
        ...     score=lambda learnt, vectors, weight: weight * (vectors @ learnt["keys"].T),
        ...     grid={"weight": (1.0, 10.0)},
        ...     usual={"weight": 1.0},
        ... )
        >>> nearest.fit(np.eye(2), np.array([1, 0])).predict(np.array([[0.9, 0.1]])).tolist()
        [1]
    """

    learn: Learn
    score: Score
    grid: Mapping[str, Sequence[float]] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)
    text_scale: float = 100.0
    looks: int = 1
    learnt: Learnt = field(default_factory=dict)
    texts: np.ndarray | None = None
    choice: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if set(self.usual) != set(self.grid):
            raise SettingsError(f"got usual values of {', '.join(self.usual)} and a grid of {', '.join(self.grid)}")

    def fit(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        *,
        texts: np.ndarray | None = None,
        classes: int | None = None,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Adapter:
        """Learn from labelled vectors.

        Args:
            features: ``(N, D)``, or ``(V, N, D)`` for several looks at each row; brought to unit length here.
            labels: ``(N,)`` integers from 0 on, each class at least once.
            texts: ``(C, D)`` vectors of the class names.
            classes: how many there are; as many as there are texts or labels unless given.
            validation: vectors and labels on which ``grid`` is chosen; without it, labelled rows are held out in turns,
                where each class has two, and else the usual values are taken.

        Returns:
            This adapter.

        Raises:
            DataError: shapes do not fit, numbers are not finite, or a class has no labelled row.
        """
        looks, codes = unit(features), np.asarray(labels, np.int64)
        looks = looks[None] if looks.ndim == 2 else looks
        if looks.ndim != 3 or codes.shape != looks.shape[1:2] or len(codes) == 0:
            raise DataError(f"got vectors {np.shape(features)} and labels {codes.shape}; expected a label for each row")
        count = classes or (int(codes.max()) + 1 if texts is None else len(texts))
        held = np.bincount(codes[codes >= 0], minlength=count)
        if codes.min() < 0 or len(held) > count or not held.all():
            missing = ", ".join(map(str, np.flatnonzero(held[:count] == 0)))
            raise DataError(
                f"got labels from {codes.min()} to {codes.max()} for {count} classes, without a row of the classes "
                f"{missing or 'none'}; expected each class once at least"
            )
        self.texts = None if texts is None else unit(texts)
        if self.texts is not None and self.texts.shape != (count, looks.shape[2]):
            raise DataError(f"got vectors of class names {self.texts.shape}; expected {(count, looks.shape[2])}")
        points = [dict(zip(self.grid, point, strict=True)) for point in itertools.product(*self.grid.values())]
        self.choice = dict(self.usual)
        if len(points) > 1 and validation is not None:
            self.learnt = self.learn(looks, codes, count)
            right = [self._right(point, unit(validation[0]), np.asarray(validation[1])) for point in points]
            self.choice = self._best(points, right)
        elif len(points) > 1 and held.min() > 1:
            # Turns: the first row of each class, the second, ...
            turn = np.zeros(len(codes), np.int64)
            for code in range(count):
                turn[codes == code] = np.arange(held[code]) % min(FOLDS, held.min())
            sums = np.zeros(len(points))
            for number in range(turn.max() + 1):
                rest, out = turn != number, turn == number
                self.learnt = self.learn(looks[:, rest], codes[rest], count)
                asked = unit(looks[:, out].mean(0))
                sums += [self._right(point, asked, codes[out]) for point in points]
            self.choice = self._best(points, sums)
        self.learnt = self.learn(looks, codes, count)
        return self

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Scores ``(Q, C)`` of vectors ``(Q, D)``; their softmax is a probability for adapters of a likelihood only."""
        return self._scores(unit(features), self.choice)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The class ``(Q,)`` of each vector."""
        return self.scores(features).argmax(1)

    def _scores(self, vectors: np.ndarray, choice: Mapping[str, float]) -> np.ndarray:
        found = self.score(self.learnt, vectors, **choice)
        return found if self.texts is None else self.text_scale * (vectors @ self.texts.T) + found

    def _right(self, choice: Mapping[str, float], vectors: np.ndarray, codes: np.ndarray) -> int:
        return int((self._scores(vectors, choice).argmax(1) == codes).sum())

    def _best(self, points: Sequence[Mapping[str, float]], right: Sequence[float] | np.ndarray) -> Mapping[str, float]:
        """Of the points that are right most often the usual one, or else the first."""
        best = [point for point, value in zip(points, right, strict=True) if value == max(right)]
        return dict(self.usual) if dict(self.usual) in best else best[0]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of unit length, in float64.

    Raises:
        DataError: a number is not finite, or a vector is zero.
    """
    values = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise DataError("got vectors that are zero or not finite; leave out rows without an entry")
    return values / lengths
