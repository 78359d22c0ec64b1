"""From paired differences to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unalike.errors import DataError
from unalike.evaluation import bootstrap_interval

Verdict = Literal["holds", "fails", "open"]


@dataclass(frozen=True)
class Effect:
    """A mean difference over seeds.

    value: the mean; interval: its 95% interval by Student's t over the seeds; bootstrap: the percentile bootstrap's;
    verdict: ``holds`` if the t interval lies wholly on the claimed side of the margin, ``fails`` if wholly on the
    other, ``open`` if it covers the margin.
    """

    value: float
    interval: tuple[float, float]
    bootstrap: tuple[float, float]
    verdict: Verdict


def judge(
    differences: Sequence[float] | np.ndarray,
    *,
    better: Literal["higher", "lower"] = "higher",
    margin: float = 0.0,
    level: float = 0.95,
) -> Effect:
    """Judge paired differences, system minus baseline, one a seed.

    Few seeds make the percentile bootstrap too narrow, so the verdict is by Student's t; the bootstrap stands beside
    it. A difference that is the same for three seeds or more and not the margin (an exact identity) counts as certain;
    the same for two may be chance, and leaves the verdict open.

    Args:
        differences: ``(S,)``.
        better: the side on which the claim says that they lie.
        margin: what must be exceeded on that side; below zero, a loss that the claim allows.
        level: of the intervals.

    Raises:
        DataError: fewer than two differences, or not all finite.

    Example:
        >>> from unalike.claims import judge
        >>> judge([0.03, 0.05, 0.04, 0.06, 0.04]).verdict
        'holds'
        >>> judge([0.03, -0.05, 0.04, -0.06, 0.04]).verdict
        'open'
        >>> judge([0.03, 0.05, 0.04, 0.06, 0.04], better="lower").verdict
        'fails'
    """
    from scipy import stats

    values = np.asarray(differences, np.float64).ravel()
    if len(values) < 2 or not np.isfinite(values).all():
        raise DataError(f"got differences {values.tolist()}; a verdict needs at least two, all finite")
    mean = float(values.mean())
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))
    low, high = mean - half, mean + half
    sign, edge = (1.0, margin) if better == "higher" else (-1.0, -margin)
    ends = sorted((sign * (low - edge), sign * (high - edge)))
    verdict: Verdict = "holds" if ends[0] > 0 else "fails" if ends[1] < 0 else "open"
    if len(values) == 2 and half == 0:
        verdict = "open"
    return Effect(mean, (low, high), bootstrap_interval(values, level=level), verdict)
