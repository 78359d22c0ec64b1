"""What a metric that is a function reaches without learning: the same function on a trial whose learner never learned.

Which floors mean something the metric declares (`unalike.records.needs`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from unalike.claims.metrics import metric_name
from unalike.claims.searches import Searching
from unalike.claims.trial import Trial
from unalike.errors import SettingsError
from unalike.records import needs_of


def floor_of(metric: Callable[[Any], float], trial: Trial | Searching) -> float | None:
    """What a metric gives of a trial that never learned; None where that is no number, or means nothing.

    Args:
        metric: a function of the trial.
        trial: with an untrained learner, or with vectors alone.

    Raises:
        SettingsError: the metric fails because it asks for what it has not declared.
    """
    wanted = needs_of(metric)
    bare = isinstance(trial, Trial) and trial.learner is None
    if "training" in wanted or (bare and "learner" in wanted):
        return None
    try:
        value = float(metric(replace(trial, log=(), scratch={})))
    except (AttributeError, AssertionError, IndexError, StopIteration, ValueError) as error:
        where = "vectors without a learner" if bare else "a learner that was not trained"
        raise SettingsError(
            f"the metric {metric_name(metric)} fails on {where}, which it is compared with ({error}). If it asks for "
            'the learner, or for what training leaves behind, declare it: @needs("learner"), @needs("training")'
        ) from error
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
