"""How unlike a thing is to what was learned from, and from where on that is an alarm."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import matrix
from unalike.search.blocks import Vectors


def novelty(reference: Vectors, vectors: Vectors) -> np.ndarray:
    """Distance of each vector from the direction in which the reference vectors lie together.

    ``(1 - cosine with the mean of the unit vectors) / 2``: 0 for what lies at their centre, 1 for the opposite. One
    product a row, however many reference vectors there are.

    Args:
        reference: ``(N, D)``, what is known.
        vectors: ``(Q, D)``, what is asked about.

    Raises:
        DataError: no matrix, numbers that are not finite, other widths, or reference vectors that cancel out.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import novelty
        >>> novelty(np.array([[1.0, 0.1], [1.0, -0.1]]), np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])).tolist()
        [0.0, 0.5, 1.0]
    """
    known, asked = matrix(reference, "reference", unit=True), matrix(vectors, "vectors", unit=True)
    if known.shape[1] != asked.shape[1]:
        raise DataError(f"got reference vectors of {known.shape[1]} and vectors of {asked.shape[1]} numbers")
    centre = known.double().mean(0)
    length = float(centre.norm()) if len(known) else 0.0
    if length < 1e-6:
        raise DataError("the reference vectors have no direction in common; nothing can be far from it")
    found: np.ndarray = ((1 - asked.double() @ (centre / length)) / 2).numpy().round(12)
    return found


def alarm_threshold(scores: np.ndarray, false_alarms: float) -> float:
    """The score above which at most a share of harmless things would give an alarm.

    Args:
        scores: ``(N,)`` of harmless things that were not learned from.
        false_alarms: the share, in [0, 1).

    Raises:
        DataError: no scores, or not all finite. SettingsError: a share outside of [0, 1).

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import alarm_threshold
        >>> scores = np.arange(100.0)
        >>> threshold = alarm_threshold(scores, 0.05)
        >>> threshold, int((scores > threshold).sum())
        (94.0, 5)
    """
    values = np.sort(np.asarray(scores, np.float64).ravel())
    if not len(values) or not np.isfinite(values).all():
        raise DataError(f"got {len(values)} scores, none or not all finite")
    if not 0 <= false_alarms < 1:
        raise SettingsError(f"false_alarms={false_alarms}; expected a share of at least 0 and below 1")
    allowed = int(np.floor(false_alarms * len(values) + 1e-9))
    return float(values[len(values) - 1 - allowed])
