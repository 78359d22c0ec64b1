"""Drawing few labelled rows of each class, and the table of what they are good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unalike.adapting.adapter import Adapter
from unalike.errors import DataError


def draw_shots(labels: np.ndarray, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers of ``shots`` rows of each class, in the order of the classes.

    Args:
        labels: ``(N,)`` integers; rows with -1 are of no class.
        shots: rows of each class.
        rng: draws them.

    Raises:
        DataError: a class has fewer rows.

    Example:
        >>> labels = np.array([0, 1, 0, 1, 1, -1])
        >>> labels[draw_shots(labels, 2, np.random.default_rng(0))].tolist()
        [0, 0, 1, 1]
    """
    drawn = []
    for code in np.unique(labels[labels >= 0]):
        rows = np.flatnonzero(labels == code)
        if len(rows) < shots:
            raise DataError(f"class {code} has {len(rows)} rows; expected {shots} at least to draw from")
        drawn.append(rng.choice(rows, shots, replace=False))
    return np.concatenate(drawn)


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """An adapter in a few-shot table.

    build: makes a fresh one; looks: ``(V, N, D)``, what it learns rows from; plain: ``(N, D)``, what it is asked about
    rows by; texts: ``(C, D)`` vectors of the class names, if it reads these.
    """

    build: Callable[[], Adapter]
    looks: np.ndarray
    plain: np.ndarray
    texts: np.ndarray | None = None


def few_shot_table(
    entrants: Mapping[str, Entrant],
    labels: np.ndarray,
    *,
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    draws: int = 5,
    seed: int = 0,
) -> dict[str, dict[int, np.ndarray]]:
    """Accuracy on the labelled rows that were not drawn, by entrant and number of shots.

    Every entrant gets the same draws. Where a class would have no row left to be asked about, that number of shots is
    left out. Every class counts alike, whatever it has left.

    Args:
        entrants: by name.
        labels: ``(N,)`` integers from 0 on.
        shots: rows of each class that are learnt from.
        draws: how often they are drawn.
        seed: of the draws.

    Returns:
        By entrant and shots the accuracies ``(draws,)``.
    """
    least = int(np.bincount(labels).min())
    found: dict[str, dict[int, np.ndarray]] = {name: {} for name in entrants}
    for count in (count for count in shots if count < least):
        rng = np.random.default_rng([seed, count])
        picks = [draw_shots(labels, count, rng) for _ in range(draws)]
        for name, each in entrants.items():
            reached = []
            for rows in picks:
                asked = np.setdiff1d(np.arange(len(labels)), rows)
                adapter = each.build().fit(each.looks[:, rows], labels[rows], texts=each.texts)
                reached.append(balanced_accuracy(adapter.predict(each.plain[asked]), labels[asked]))
            found[name][count] = np.array(reached)
    return found


def balanced_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes of the share of their rows that are predicted right.

    Example:
        >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
        0.75
    """
    right = predicted == labels
    return float(np.mean([right[labels == code].mean() for code in np.unique(labels)]))
