"""Support vector machine and ridge heads against scikit-learn used directly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

from unalike.errors import DataError, SettingsError
from unalike.evaluation import ridge_forecast, rolling_forecast, svm_probe


def test_svm_probe_of_one_strength_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 5)) * 1.5
    labels = rng.integers(0, 3, 120)
    vectors = (centres[labels] + rng.normal(size=(120, 5))).astype(np.float32)
    found = svm_probe(vectors[:80], labels[:80], vectors[80:], labels[80:], strengths=(2.0,))
    mean, std = vectors[:80].mean(0), vectors[:80].std(0)
    model = SVC(C=2.0).fit((vectors[:80] - mean) / std, labels[:80])
    assert found.value == pytest.approx(model.score((vectors[80:] - mean) / std, labels[80:]))
    chosen = svm_probe(vectors[:80], labels[:80], vectors[80:], labels[80:])
    assert chosen.strength in (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
    assert svm_probe(vectors[:2], [0, 1], vectors[2:4], [0, 1]).strength == 1000.0, "one row a class: no folds"


def test_svm_probe_refuses() -> None:
    with pytest.raises(DataError, match="fewer than two classes"):
        svm_probe(np.ones((3, 2)), [0, 0, 0], np.ones((1, 2)), [0])
    with pytest.raises(SettingsError, match="strengths"):
        svm_probe(np.eye(2), [0, 1], np.eye(2), [0, 1], strengths=())


def test_ridge_forecast_by_hand() -> None:
    rng = np.random.default_rng(0)
    series = np.cumsum(rng.normal(size=(120, 2)), axis=0)
    vectors = np.concatenate([series, rng.normal(size=(120, 3))], axis=1)
    found = ridge_forecast(vectors, series, 4, train=60, validation=30, strengths=(1.0,))
    learn = np.arange(0, 56)
    mean, std = vectors[learn].mean(0), vectors[learn].std(0)
    targets = np.stack([series[t + 1 : t + 5].ravel() for t in learn])
    model = Ridge(alpha=1.0).fit((vectors[learn] - mean) / std, targets)
    ask = np.arange(90, 116)
    truth = np.stack([series[t + 1 : t + 5] for t in ask])
    expected = model.predict((vectors[ask] - mean) / std).reshape(-1, 4, 2)
    np.testing.assert_allclose(found.predictions, expected, rtol=1e-5, atol=1e-6)
    assert found.mse == pytest.approx(((expected - truth) ** 2).mean(), rel=1e-4)
    assert found.naive_mae == pytest.approx(np.abs(series[ask][:, None] - truth).mean())


def test_the_penalty_is_chosen_on_validation_alone() -> None:
    rng = np.random.default_rng(1)
    series, vectors = rng.normal(size=(150, 1)), rng.normal(size=(150, 20))
    weak_best = ridge_forecast(vectors, series, 2, train=70, validation=40)
    assert weak_best.strength == 1000, "of noise the strongest penalty predicts best"
    changed = series.copy()
    changed[115:] += 50
    assert ridge_forecast(vectors, changed, 2, train=70, validation=40).strength == weak_best.strength


def test_ridge_forecast_refuses() -> None:
    series, vectors = np.zeros((30, 1)), np.zeros((30, 2))
    with pytest.raises(DataError, match="parts of"):
        ridge_forecast(vectors, series, 10, train=15, validation=8)
    with pytest.raises(DataError, match="NaN"):
        ridge_forecast(vectors, series + np.nan, 2, train=15, validation=8)
    with pytest.raises(DataError, match="expected"):
        ridge_forecast(vectors[:5], series, 2, train=15, validation=8)
    with pytest.raises(SettingsError, match="horizon=0"):
        ridge_forecast(vectors, series, 0, train=15, validation=8)


def test_rolling_forecast_by_hand() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(12, 2, 9)), rng.normal(size=(5, 2, 9))
    seen: list[int] = []

    def encode(past: np.ndarray) -> np.ndarray:
        seen.append(past.shape[2])
        return np.column_stack([past.mean(2), past[:, :, -1]])

    found = rolling_forecast(encode, train, test, 3, first=4, strengths=(2.0,))
    assert seen == [4, 5, 6, 4, 5, 6], "the encoder is given what lies before the origin alone"
    features, futures = [], []
    for origin in (4, 5, 6):
        features += [[*series[:, :origin].mean(1), *series[:, origin - 1]] for series in train]
        futures += [series[:, origin : origin + 3].T.ravel() for series in train]
    x, y = np.array(features), np.array(futures)
    mean, std = x.mean(0), x.std(0)
    z = (x - mean) / std
    weights = np.linalg.solve(z.T @ z + 2.0 * np.eye(4), z.T @ (y - y.mean(0)))
    asked = [[*series[:, :origin].mean(1), *series[:, origin - 1]] for origin in (4, 5, 6) for series in test]
    expected = ((np.array(asked) - mean) / std) @ weights + y.mean(0)
    truth = np.array([series[:, origin : origin + 3].T.ravel() for origin in (4, 5, 6) for series in test])
    np.testing.assert_allclose(found.predictions.reshape(15, 6), expected, atol=1e-9)
    assert found.mse == pytest.approx(((expected - truth) ** 2).mean())
    last = np.array([np.tile(series[:, origin - 1], 3) for origin in (4, 5, 6) for series in test])
    assert found.naive_mse == pytest.approx(((last - truth) ** 2).mean())


def test_rolling_forecast_chooses_on_whole_series() -> None:
    # What tells a series from others tells its own future, and nothing of that of another.
    rng = np.random.default_rng(1)
    levels = np.repeat(rng.normal(size=(20, 1, 1)), 12, axis=2)
    names = {series[0, 0]: number for number, series in enumerate(levels)}
    codes = rng.normal(size=(len(names), len(names)))

    def name_of(past: np.ndarray) -> np.ndarray:
        return codes[[names[series[0, 0]] for series in past]]

    found = rolling_forecast(name_of, levels, levels[:3], 2, strengths=(0.1, 1e4))
    assert found.strength == 1e4


def test_rolling_forecast_refuses() -> None:
    waves = np.zeros((4, 1, 8))
    with pytest.raises(SettingsError, match="horizon=0"):
        rolling_forecast(lambda past: past[:, 0], waves, waves, 0)
    with pytest.raises(DataError, match="8 steps leave none"):
        rolling_forecast(lambda past: past[:, 0], waves, waves, 5)
    with pytest.raises(DataError, match="expected \\(N, channels, T\\)"):
        rolling_forecast(lambda past: past[:, 0], waves[:, 0], waves, 2)
    broken = waves.copy()
    broken[1, 0, 3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        rolling_forecast(lambda past: past[:, 0, -1:], broken, waves, 2)
