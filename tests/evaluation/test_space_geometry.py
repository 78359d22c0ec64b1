"""The shape of a space against plain double loops in float64, and at its fixed ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.evaluation import (
    alignment,
    changed_by_words,
    cross_uniformity,
    effective_rank,
    even_uniformity,
    explained_dimensions,
    geometry,
    hubness,
    modality_gap,
    modality_separability,
    scatter_ratio,
    tolerance,
    uniformity,
)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(90, 7)) + 0.4


def test_alignment_and_gap_equal_loops(rows):
    one, other = unit(rows[:40]), unit(rows[40:80])
    squares = [sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for x, y in zip(one, other, strict=True)]
    assert alignment(rows[:40] * 3, rows[40:80]) == pytest.approx(np.mean(squares), rel=1e-5)
    assert alignment(rows[:40], rows[40:80], power=1) == pytest.approx(np.mean(np.sqrt(squares)), rel=1e-5)
    gap = np.sqrt(sum((one.mean(axis=0) - other.mean(axis=0)) ** 2))
    assert modality_gap(rows[:40], rows[40:80]) == pytest.approx(gap, rel=1e-5)
    assert modality_gap(rows, rows[:40]) > 0
    assert alignment(rows, rows) == 0 and modality_gap(rows, rows) == 0


def test_alignment_keeps_the_digits_of_pairs_that_nearly_meet():
    one = np.array([[1.0, 0.0]])
    other = np.array([[1.0, 1e-5]])
    assert alignment(one, other) == pytest.approx(1e-10, rel=1e-3)


@pytest.mark.parametrize("strip", [1, 13, 2048])
def test_uniformity_equals_loops(rows, strip, monkeypatch):
    monkeypatch.setattr(geometry, "ROWS_AT_ONCE", strip)
    x = unit(rows)
    for scale in (2.0, 0.5):
        potentials = [
            np.exp(-scale * ((x[i] - x[j]) ** 2).sum()) for i in range(len(x)) for j in range(len(x)) if i != j
        ]
        assert uniformity(rows, scale=scale) == pytest.approx(np.log(np.mean(potentials)), abs=1e-6)


def test_uniformity_of_a_sample_is_near_and_repeats(rows):
    many = np.random.default_rng(1).normal(size=(4000, 7))
    whole, part = uniformity(many), uniformity(many, sample=1000)
    assert part == uniformity(many, sample=1000) != whole
    assert part == pytest.approx(whole, abs=0.05)
    assert part != uniformity(many, sample=1000, rng=np.random.default_rng(5))


@pytest.mark.parametrize("width", [2, 3, 16, 128, 1024])
def test_even_uniformity_is_what_random_directions_reach(width):
    rng = np.random.default_rng(0)
    assert uniformity(rng.normal(size=(6000, width))) == pytest.approx(even_uniformity(width), abs=0.02)


def test_ends_of_uniformity():
    assert uniformity(np.full((50, 9), 0.3)) == pytest.approx(0, abs=1e-6)
    assert uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-8)
    assert np.isfinite(uniformity(np.zeros((3, 2))))
    with pytest.raises(DataError, match="one vector"):
        uniformity(np.ones((1, 3)))
    with pytest.raises(SettingsError, match="scale=0"):
        uniformity(np.ones((2, 3)), scale=0)


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(1, 40),
    width=st.integers(1, 40),
    rank=st.integers(1, 40),
    center=st.booleans(),
    strip=st.sampled_from([3, 2048]),
    seed=st.integers(0, 999),
)
def test_effective_rank_equals_singular_values(count, width, rank, center, strip, seed):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(count, rank)) @ rng.normal(size=(rank, width)) + rng.normal(size=width)).astype(np.float32)
    y = x.astype(np.float64) - (x.astype(np.float64).mean(axis=0) if center else 0)
    values = np.linalg.svd(y, compute_uv=False)
    values = values[values > 1e-5 * np.abs(x).max()]
    shares = values / values.sum()
    expected = np.exp(-(shares * np.log(shares)).sum()) if len(values) else 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "ROWS_AT_ONCE", strip)
        assert effective_rank(x, center=center) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("count", [2, 10, 100, 3000])
def test_a_collapsed_space_has_rank_one_whatever_its_size(count):
    rng = np.random.default_rng(0)
    point = unit(rng.normal(size=(1, 64))).astype(np.float32)
    collapsed = np.repeat(point, count, axis=0)
    assert effective_rank(collapsed) == pytest.approx(1, abs=1e-6)
    assert effective_rank(collapsed, center=True) == 0
    # The same to float32's last digits, as an encoder gives it.
    nearly = collapsed + rng.normal(size=collapsed.shape).astype(np.float32) * 3e-8
    assert effective_rank(nearly) == pytest.approx(1, abs=1e-3)
    assert effective_rank(nearly, center=True) == 0


def test_ends_of_the_effective_rank():
    assert effective_rank(np.zeros((9, 4))) == 0
    assert effective_rank(7 * np.eye(12)) == pytest.approx(12)
    assert effective_rank(torch.eye(12)[:5]) == pytest.approx(5)
    assert effective_rank(np.array([[2.0, 0, 0], [0, 1, 0]])) == pytest.approx(3 / 4 ** (1 / 3))
    spread = np.random.default_rng(0).normal(size=(20_000, 32))
    assert 31.9 < effective_rank(spread) <= 32


def test_separability_is_half_for_one_cloud_and_one_for_two():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 800, 6))
    assert modality_separability(one, other) == pytest.approx(0.5, abs=0.06)
    assert modality_separability(one, one) == 0.5
    # Two clouds of one centre that still lie apart along an axis, as signs of the first number.
    shifted = np.concatenate([other[:, :5], np.abs(other[:, 5:]) + 2], axis=1)
    assert modality_separability(one, shifted) > 0.9
    assert modality_separability(np.ones((8, 3)), np.ones((8, 3))) == 0.5
    with pytest.raises(DataError, match="four or more"):
        modality_separability(one[:3], other[:3])


def test_pairs_stay_in_one_half():
    # Each pair has a place of its own: only a classifier that saw the partner of a pair could name the side.
    rng = np.random.default_rng(0)
    base = 5 * rng.normal(size=(300, 400))
    sides = np.where(rng.random(300) < 0.5, 1.0, -1.0)[:, None] * rng.normal(size=(300, 400))
    assert modality_separability(base + sides, base - sides) < 0.65


def test_hubness_equals_counting(rows):
    from scipy.stats import skew

    x = unit(rows)
    scores = x @ x.T
    np.fill_diagonal(scores, -9)
    counts = np.zeros(len(x))
    for row in scores:
        for place in np.argsort(-row)[:10]:
            counts[place] += 1
    assert hubness(rows) == pytest.approx(skew(counts))
    counts = np.zeros(50)
    for row in x[50:] @ x[:50].T:
        for place in np.argsort(-row)[:3]:
            counts[place] += 1
    assert hubness(rows[:50], rows[50:], k=3) == pytest.approx(skew(counts))


def test_ends_of_hubness(rows):
    assert hubness(np.eye(6), k=99) == 0
    assert np.isfinite(hubness(np.ones((500, 3))))
    assert hubness(np.ones((500, 3))) > 5
    assert hubness(rows, sample=30) == hubness(rows, sample=30)
    with pytest.raises(DataError, match="at least two"):
        hubness(np.ones((1, 3)))


def test_tolerance_equals_loops(rows):
    labels = np.random.default_rng(0).integers(-1, 5, 90)
    labels[0] = 77
    x = unit(rows)
    cosines = [
        x[i] @ x[j] for i in range(90) for j in range(90) if i != j and labels[i] == labels[j] and labels[i] >= 0
    ]
    assert tolerance(rows, labels) == pytest.approx(np.mean(cosines), abs=1e-6)
    with pytest.raises(DataError, match="none of 90 classes has two rows"):
        tolerance(rows, np.arange(90))


def test_scatter_ratio_equals_loops(rows):
    labels = np.random.default_rng(0).integers(-1, 5, 90)
    x, known = unit(rows)[labels >= 0], labels[labels >= 0]
    centre, within, between = x.mean(axis=0), 0.0, 0.0
    for label in range(5):
        own = x[known == label]
        within += sum(((row - own.mean(axis=0)) ** 2).sum() for row in own)
        between += len(own) * ((own.mean(axis=0) - centre) ** 2).sum()
    assert scatter_ratio(rows * 3, labels) == pytest.approx(within / between, rel=1e-5)
    with pytest.raises(DataError, match="the means of 1 classes are one point"):
        scatter_ratio(rows, [0] * 90)


@pytest.mark.parametrize(
    "measure",
    [uniformity, effective_rank, hubness, lambda x: alignment(x, x), lambda x: tolerance(x, [0] * len(x))],
)
def test_nan_is_refused_everywhere(measure):
    with pytest.raises(DataError, match="NaN"):
        measure(np.array([[1.0, 2.0], [np.nan, 1.0], [3.0, 1.0]]))


def test_spaces_must_fit():
    with pytest.raises(DataError, match="3 and 2 dimensions"):
        modality_gap(np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(DataError, match="4 first, 5 second"):
        alignment(np.ones((4, 3)), np.ones((5, 3)))


@pytest.mark.parametrize("rows", [2, 7, 40])
def test_uniformity_across_two_modalities_is_that_of_loops(rows: int) -> None:
    rng = np.random.default_rng(rows)
    one, other = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in rng.normal(size=(2, rows, 5)))
    pairs = [np.exp(-2 * ((one[i] - other[j]) ** 2).sum()) for i in range(rows) for j in range(rows) if i != j]
    assert cross_uniformity(one, other) == pytest.approx(np.log(np.mean(pairs)), abs=1e-5)


def test_opposite_clouds_are_further_apart_than_one_that_is_spread_evenly() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(300, 8)) + 5 * np.eye(8)[0]
    spread = rng.normal(size=(2, 300, 8))
    assert cross_uniformity(cloud, -cloud) < cross_uniformity(*spread) < cross_uniformity(cloud, cloud)


def test_explained_dimensions_are_those_of_the_spectrum() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(60, 6)))[0]
    axes = np.linalg.qr(axes - axes.mean(0))[0]  # centred columns of length one
    turned = np.linalg.qr(rng.normal(size=(10, 10)))[0][:6]
    cloud = (axes * np.sqrt([50, 30, 15, 4, 0.9, 0.1])) @ turned + 7.0
    for share, expected in ((0.49, 1), (0.79, 2), (0.94, 3), (0.985, 4), (0.998, 5), (0.99999, 6)):
        assert explained_dimensions(cloud, share=share) == expected
    assert explained_dimensions(np.full((9, 4), 0.1, np.float32)) == 0


def test_changed_by_words_finds_what_the_sum_is_nearest_to() -> None:
    rng = np.random.default_rng(1)
    pictures = rng.normal(size=(20, 6))
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    words = rng.normal(size=(2, 15, 6))
    words /= np.linalg.norm(words, axis=2, keepdims=True)
    sources, targets = rng.integers(0, 10, 15), rng.integers(10, 20, 15)
    expected = []
    for n in range(15):
        query = pictures[sources[n]] + words[1, n] - words[0, n]
        nearest = max((j for j in range(20) if j != sources[n]), key=lambda j, q=query: pictures[j] @ q)
        expected.append(nearest == targets[n])
    found = changed_by_words(pictures, sources, targets, words[0], words[1])
    assert found.tolist() == expected
    with pytest.raises(DataError, match="from one of 3 pictures to another"):
        changed_by_words(np.eye(3), np.array([1]), np.array([1]), np.eye(3)[:1], np.eye(3)[:1])
