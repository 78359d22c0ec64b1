"""Repetition against counts by hand, isotropy against all pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from unalike.errors import DataError, SettingsError
from unalike.evaluation import diversity, isotropy, repetition


def test_repetition_counts_what_stood_before() -> None:
    # abab: bigrams ab ba ab; cdc: cd dc. One of five came again.
    assert repetition(["abab", "cdc"], 2) == pytest.approx(1 / 5)
    assert repetition([[1, 2, 3, 4]], 1) == 0
    assert repetition([[7] * 10], 3) == pytest.approx(7 / 8)
    # Pooled, not averaged: a text that is too short has no say.
    assert repetition([[7] * 10, [1]], 3) == pytest.approx(7 / 8)


def test_diversity_is_the_product() -> None:
    generator = np.random.default_rng(0)
    texts = [generator.integers(0, 4, 30).tolist() for _ in range(5)]
    expected = np.prod([1 - repetition(texts, n) for n in (2, 3, 4)])
    assert diversity(iter(texts)) == pytest.approx(expected)
    assert 0 < diversity(texts) < 1


def test_isotropy_is_the_mean_over_all_pairs_of_one_text() -> None:
    generator = np.random.default_rng(1)
    texts = [generator.normal(size=(count, 6)) + 0.5 for count in (1, 4, 9, 2)]
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b) for text in texts for a, b in itertools.permutations(text, 2)
    ]
    assert isotropy(texts) == pytest.approx(1 - np.mean(cosines), abs=1e-6)
    assert isotropy(torch.from_numpy(text) for text in texts) == pytest.approx(1 - np.mean(cosines), abs=1e-6)


def test_a_common_direction_takes_isotropy_away() -> None:
    states = np.random.default_rng(2).normal(size=(40, 16))
    values = [isotropy([states + shift]) for shift in (0, 1, 4, 16)]
    assert values[0] == pytest.approx(1, abs=0.05)
    assert sorted(values, reverse=True) == values
    assert values[-1] < 0.01


def test_mistakes_are_explained() -> None:
    with pytest.raises(DataError, match="no text has two tokens"):
        isotropy([np.ones((1, 3))])
    with pytest.raises(DataError, match="dimensions"):
        isotropy([np.ones((2, 3)), np.ones((2, 4))])
    with pytest.raises(DataError, match="text 1"):
        isotropy([np.eye(2), np.full((2, 2), np.nan)])
    with pytest.raises(DataError, match="no text is 3 tokens long"):
        repetition(["ab"], 3)
    with pytest.raises(SettingsError, match="n=0"):
        repetition(["ab"], 0)
