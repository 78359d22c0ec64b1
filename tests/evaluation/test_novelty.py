"""Distance from the centre, and thresholds, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from unalike.errors import DataError, SettingsError
from unalike.evaluation import alarm_threshold, novelty


def test_novelty_is_the_cosine_distance_from_the_mean_direction():
    rng = np.random.default_rng(0)
    known, asked = rng.normal(size=(50, 8)) + 1, rng.normal(size=(20, 8))
    centre = (known / np.linalg.norm(known, axis=1, keepdims=True)).mean(0)
    expected = (1 - asked @ centre / np.linalg.norm(asked, axis=1) / np.linalg.norm(centre)) / 2
    assert novelty(known, asked) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_at_most_the_share_lies_above_the_threshold(share):
    scores = np.random.default_rng(0).normal(size=333)
    above = (scores > alarm_threshold(scores, share)).sum()
    assert above == int(share * 333)


def test_what_cannot_be_judged():
    with pytest.raises(DataError, match="no direction in common"):
        novelty(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.ones((1, 2)))
    with pytest.raises(DataError, match="3 and vectors of 2"):
        novelty(np.ones((2, 3)), np.ones((1, 2)))
    with pytest.raises(DataError, match="no"):
        alarm_threshold(np.array([]), 0.1)
    with pytest.raises(SettingsError, match="false_alarms"):
        alarm_threshold(np.ones(3), 1.0)
