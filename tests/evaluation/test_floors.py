"""Raw features, and a metric beside its floors."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from unalike.errors import DataError, SettingsError
from unalike.evaluation import (
    knn_accuracy,
    pixel_vectors,
    retrieval,
    standard_vectors,
    text_vectors,
    uniformity,
    with_floors,
)


def pictures(count, seed=0):
    rng = np.random.default_rng(seed)
    return [Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for _ in range(count)]


def test_pixels_equal_plain_arithmetic():
    images = pictures(7)
    pixels = np.array([np.asarray(image.resize((4, 4), Image.Resampling.BOX)).ravel() for image in images]) / 255
    expected = (pixels - pixels.mean(axis=0)) / pixels.std(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = pixel_vectors(images, size=4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_training_split_gives_mean_and_deviation():
    images = pictures(12)
    both = pixel_vectors(images, fit_on=images[:8])
    np.testing.assert_allclose(pixel_vectors(images[8:], fit_on=images[:8]), both[8:], atol=1e-6)
    assert np.abs(both - pixel_vectors(images)).max() > 0.01


def test_missing_pictures_are_rows_of_zeros_and_change_nothing():
    images = pictures(6)
    found = pixel_vectors([None, *images, None], size=4)
    assert (found[[0, -1]] == 0).all()
    np.testing.assert_allclose(found[1:-1], pixel_vectors(images, size=4), atol=1e-6)
    with pytest.raises(DataError, match="all of 2 pictures are missing"):
        pixel_vectors([None, None])
    with pytest.raises(DataError, match="no pictures"):
        pixel_vectors([])
    with pytest.raises(SettingsError, match="size=0"):
        pixel_vectors(images, size=0)


def test_real_digits_are_told_apart_by_their_pixels():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    shown = [Image.fromarray((image.reshape(8, 8) * 15).astype(np.uint8)) for image in images[:500]]
    assert knn_accuracy(pixel_vectors(shown[:300]), labels[:300], pixel_vectors(shown[300:]), labels[300:500]) > 0.8


def test_texts_find_their_paraphrase():
    texts = ["a red bicycle by the wall", "two cats asleep", "stormy sea at night", "bread and butter"]
    others = ["the red bicycles", "a sleeping cat", "night, sea and storm", "buttered bread"]
    found = retrieval(text_vectors(others, fit_on=texts), text_vectors(texts), measures=["recall@1"])
    assert found.mean("recall@1") == 1
    lengths = np.linalg.norm(text_vectors([*texts, None, ""]), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 0, 0], atol=1e-5)
    assert text_vectors(texts, dimensions=64).shape == (4, 64)
    with pytest.raises(DataError, match="no texts"):
        text_vectors([])
    with pytest.raises(SettingsError, match="dimensions=0"):
        text_vectors(texts, dimensions=0)


def test_a_feature_that_does_not_vary_says_nothing():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(30, 2)) * [1e6, 1e-3], np.full((30, 1), 0.1)], axis=1)
    found = standard_vectors(features)
    assert (found[:, 2] == 0).all()
    assert 0.3 < np.abs(found[:, 1]).mean() / np.abs(found[:, 0]).mean() < 3
    assert (standard_vectors(np.ones((4, 2))) == 0).all()


def test_with_floors():
    spaces = {"one point": np.ones((9, 4)), "even": np.random.default_rng(0).normal(size=(9, 4))}
    value, floors = with_floors(uniformity, np.eye(4), spaces)
    assert value == uniformity(np.eye(4))
    assert floors == {name: uniformity(space) for name, space in spaces.items()}


def test_of_many_texts_the_leading_directions_find_them_too(monkeypatch):
    monkeypatch.setattr("unalike.evaluation.floors._MANY_TEXTS", 150)
    monkeypatch.setattr("unalike.evaluation.floors._DIRECTIONS", 64)
    colours, things, places = ["red", "blue", "green", "white"], ["bicycle", "cat", "stormy sea"], ["wall", "night"]
    texts = [f"{c} {t} by the {p} {n}" for c in colours for t in things for p in places for n in range(10)]
    found = text_vectors([*texts, None])
    assert found.shape == (len(texts) + 1, 64)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1] * len(texts) + [0], atol=1e-5)
    asked = text_vectors([text.replace("by the", "at a") for text in texts], fit_on=[*texts, None])
    assert retrieval(asked, found[:-1], measures=["recall@10"]).mean("recall@10") > 0.8
