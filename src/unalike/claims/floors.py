"""What a metric that is a function reaches without learning: the same function on a trial whose learner never learned.

Whether a floor means anything, the function itself tells: one that asks for what training left behind, its log or what
its loss saw, has none; one that asks for the learner has none of raw features, which come without one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

from unalike.claims.searches import Searching
from unalike.claims.trial import Trial


class AsksForTraining(Exception):
    """A metric asked a floor for what only a trained learner has."""


class Untold:
    """Stands where a floor has nothing: whoever looks at it learns that there is no such floor."""

    def __getattribute__(self, name: str) -> NoReturn:
        # Its class too: isinstance looks there.
        raise AsksForTraining(name)

    def __len__(self) -> int:
        raise AsksForTraining("len")

    def __iter__(self) -> Iterator[Any]:
        raise AsksForTraining("iter")

    def __getitem__(self, place: Any) -> NoReturn:
        raise AsksForTraining("item")


@dataclass
class Floor(Trial):
    """A trial without training, as far as metrics may look at it."""

    def looks(self, size: int, count: int = 1, *, scored: bool = False) -> Iterator[Any]:
        raise AsksForTraining("looks")


def floor_of(metric: Callable[[Any], float], trial: Trial | Searching) -> float | None:
    """What a metric gives of a trial that never learned; None where that means nothing.

    Args:
        metric: a function of the trial.
        trial: with an untrained learner, or with vectors alone.
    """
    nothing: Any = Untold()
    bare: Any = replace(trial, log=nothing, scratch={})
    if isinstance(trial, Trial):
        told = {each.name: getattr(bare, each.name) for each in fields(Trial)}
        bare = Floor(**told | ({"learner": nothing} if trial.learner is None else {}))
    try:
        value = float(metric(bare))
    except AsksForTraining:
        return None
    # Such as a rank correlation with temperatures that are all alike before training.
    return value if math.isfinite(value) else None


def floors_of(metric: Callable[[Trial], float], untrained: Trial, raw: Sequence[Trial] = ()) -> dict[str, float]:
    """The floors of a metric, by name.

    Args:
        metric: a function of the trial.
        untrained: the arm before training.
        raw: the same rows through raw features, if these are one space.
    """
    found = {"untrained encoder": floor_of(metric, untrained)}
    for each in raw:
        found["raw features"] = floor_of(metric, each)
    return {name: value for name, value in found.items() if value is not None}
