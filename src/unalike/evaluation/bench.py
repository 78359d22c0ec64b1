"""The vectors that are scored, the floors beside them, and what is known of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from unalike.errors import DataError
from unalike.evaluation.bootstrap import bootstrap_interval
from unalike.evaluation.inputs import Labels, label_codes
from unalike.evaluation.score import Score
from unalike.search.blocks import Vectors

Result: TypeAlias = float | np.ndarray
"""A number, or a value for each item whose mean is the number."""

MODEL = ""
"""The name of the model among its floors."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """What one encoder, or no encoder, makes of the data.

    Args:
        vectors: by role ``(N, D)``, a row for each row of the set that is scored; where a role is missing, anything
            may stand.
        train: by role ``(M, D)``, the rows that probes learn from.
        classes: ``(C, D)``, a vector for each class name, for zero-shot classification.
    """

    vectors: Mapping[str, Vectors]
    train: Mapping[str, Vectors] = field(default_factory=dict)
    classes: Vectors | None = None

    def widths(self, *roles: str) -> set[int]:
        """The lengths of some roles' vectors: one number where they share a space."""
        return {int(self.vectors[role].shape[1]) for role in roles}


@dataclass(frozen=True)
class Bench:
    """The model and the floors, side by side."""

    model: Space
    floors: Mapping[str, Space]

    def spaces(self) -> Iterator[tuple[str, Space]]:
        """The model, named `MODEL`, and each floor."""
        yield MODEL, self.model
        yield from self.floors.items()

    def having(self, *roles: str, train: bool = False, classes: bool = False) -> Iterator[tuple[str, Space]]:
        """The model and the floors that have what it takes.

        Args:
            roles: what a space must have, and have in one and the same width.
            train: whether it must have training vectors of them.
            classes: whether it must have class vectors of that width.
        """
        return ((name, space) for name, space in self.spaces() if _serves(space, roles, train, classes))

    def measure(
        self, metric: Callable[[Space], Mapping[str, Result]], *roles: str, train: bool = False, classes: bool = False
    ) -> dict[str, Mapping[str, Result]]:
        """A metric's results by name, of the model and of each floor that has what it takes; see `having`."""
        return {name: metric(space) for name, space in self.having(*roles, train=train, classes=classes)}


def _serves(space: Space, roles: tuple[str, ...], train: bool, classes: bool) -> bool:
    if not all(role in space.vectors and (not train or role in space.train) for role in roles):
        return False
    widths = space.widths(*roles)
    if classes:
        return space.classes is not None and widths == {space.classes.shape[1]}
    return len(widths) == 1


class Facts:
    """What is known of the rows, whatever encodes them; see `evaluate_vectors` for the arguments.

    Raises:
        DataError: no vectors, a role that the model has not, or lengths that differ.
    """

    def __init__(
        self,
        bench: Bench,
        labels: Labels | None,
        train_labels: Labels | None,
        items: Mapping[str, np.ndarray],
        present: Mapping[str, np.ndarray],
        train_present: Mapping[str, np.ndarray],
    ) -> None:
        if not bench.model.vectors:
            raise DataError("got no vectors; expected those of one role at least")
        self.items, self.present, self.train_present = items, present, train_present
        coded = label_codes(*[some for some in (labels, train_labels) if some is not None])
        self.labels = None if labels is None else coded[0]
        self.train_labels = None if train_labels is None else coded[-1]
        self.count = len(next(iter(bench.model.vectors.values())))
        learnt = len(next(iter(bench.model.train.values()), () if self.train_labels is None else self.train_labels))
        everything: list[tuple[int, str, Sized | None]] = [
            (self.count, "labels", self.labels),
            (learnt, "training labels", self.train_labels),
        ]
        for name, space in bench.spaces():
            of = f" of the floor {name}" if name else ""
            everything += [(self.count, f"vectors{of}, {role}", rows) for role, rows in space.vectors.items()]
            everything += [(learnt, f"training vectors{of}, {role}", rows) for role, rows in space.train.items()]
        for expected, what, facts in (
            (self.count, "items", items),
            (self.count, "present", present),
            (learnt, "train_present", train_present),
        ):
            unknown = set(facts) - set(bench.model.vectors)
            if unknown:
                known = ", ".join(bench.model.vectors)
                raise DataError(f"{what} name the roles {', '.join(sorted(unknown))}; expected of {known}")
            everything += [(expected, f"{what}, {role}", rows) for role, rows in facts.items()]
        wrong = [f"{len(rows)} for {what}" for n, what, rows in everything if rows is not None and len(rows) != n]
        if wrong:
            raise DataError(
                f"got a number of rows of {'; '.join(wrong)}; expected {self.count}, and {learnt} for training"
            )

    def rows(self, role: str) -> np.ndarray:
        """Bool ``(N,)``: which rows have the role."""
        return np.asarray(self.present.get(role, np.ones(self.count, dtype=bool)), dtype=bool)

    def train_rows(self, role: str) -> np.ndarray:
        """Which training rows have the role and a label, as numbers."""
        if self.train_labels is None:
            return np.empty(0, dtype=np.int64)
        known = self.train_labels >= 0
        return np.flatnonzero(known & np.asarray(self.train_present.get(role, known), dtype=bool))

    def item(self, role: str) -> np.ndarray:
        """``(N,)``: a number for each picture or text, the same for the same."""
        return np.asarray(self.items.get(role, np.arange(self.count)))


@dataclass(frozen=True)
class Reading:
    """How a metric is to be read.

    Args:
        text: a sentence, with ``{value}`` or ``{percent}`` where the number goes.
        ends: what chance gives, or a fixed end of the scale.
        higher_is_better: which way is good.
    """

    text: str
    ends: Mapping[str, float] = field(default_factory=dict)
    higher_is_better: bool = True


def make_scores(
    role: str, results: Mapping[str, Mapping[str, Result]], readings: Mapping[str, Reading], n: int
) -> list[Score]:
    """A score for each metric that has a reading and was measured.

    Args:
        role: one role, or several with a sign between them.
        results: of the model and the floors, from `Bench.measure`.
        readings: by metric.
        n: items that were looked at.
    """
    scores = []
    for metric, reading in readings.items():
        if metric not in results.get(MODEL, {}):
            continue
        result = results[MODEL][metric]
        value = float(np.mean(result))
        floors = {name: float(np.mean(found[metric])) for name, found in results.items() if name != MODEL}
        text = reading.text.replace("{value}", f"{value:.2f}").replace("{percent}", f"{100 * value:.0f}%")
        interval = bootstrap_interval(result) if isinstance(result, np.ndarray) else None
        scores.append(
            Score(f"{metric}/{role}", value, {**reading.ends, **floors}, n, reading.higher_is_better, text, interval)
        )
    return scores


def take(vectors: Vectors, rows: np.ndarray) -> Vectors:
    """The rows asked for, without a copy where that is all of them."""
    if len(rows) == len(vectors) and (rows == np.arange(len(rows))).all():
        return vectors
    return vectors[rows] if isinstance(vectors, np.ndarray) else vectors[rows.tolist()]
