"""Verdicts against scipy, and at the nominal rate where there is nothing to find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unalike.claims import judge
from unalike.errors import DataError


@pytest.mark.parametrize("seed", range(20))
def test_interval_is_that_of_the_paired_t_test(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.3, 1, 6), rng.normal(0, 1, 6)
    theirs = stats.ttest_rel(first, second).confidence_interval(0.95)
    ours = judge(first - second)
    assert ours.interval == pytest.approx((theirs.low, theirs.high))
    assert (ours.verdict == "open") == (theirs.low <= 0 <= theirs.high)


def test_sides_and_margins():
    differences = np.array([0.04, 0.05, 0.06, 0.05, 0.05])
    assert judge(differences).verdict == "holds"
    assert judge(-differences).verdict == "fails"
    assert judge(differences, better="lower").verdict == "fails"
    assert judge(-differences, better="lower").verdict == "holds"
    assert judge(differences, margin=0.1).verdict == "fails"
    assert judge(differences, margin=0.05).verdict == "open"
    # A loss that is allowed: the drop of 0.05 is no more than 0.1.
    assert judge(-differences, margin=-0.1).verdict == "holds"
    assert judge(differences, better="lower", margin=-0.1).verdict == "holds"
    assert judge(differences, better="lower", margin=-0.01).verdict == "fails"


def test_equal_differences_are_certain_and_none_are_open():
    assert judge([0.0, 0.0, 0.0]).verdict == "open"
    assert judge([1e-7, 1e-7, 1e-7]).verdict == "holds"
    assert judge([0.25, 0.25]).verdict == "open"


def test_nothing_to_find_is_open_at_the_nominal_rate():
    rng = np.random.default_rng(0)
    open_ones = sum(judge(rng.normal(0, 1, 5)).verdict == "open" for _ in range(1000))
    # Binomial(1000, 0.95): four deviations are 28.
    assert abs(open_ones - 950) < 28


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, float("nan")]])
def test_too_little_to_judge(differences):
    with pytest.raises(DataError, match="at least two, all finite"):
        judge(differences)
