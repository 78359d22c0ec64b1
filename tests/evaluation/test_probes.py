"""Linear, ridge and few-shot probes against scikit-learn, and on what would trip them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from unalike.errors import DataError, SettingsError
from unalike.evaluation import few_shot, linear_probe, ridge_probe


def digits(seed=0, rows=600):
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(features))[:rows]
    half = rows // 2
    return features[order[:half]], labels[order[:half]], features[order[half:]], labels[order[half:]]


def test_linear_probe_equals_scikit_learn_by_hand():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, labels, test, truth = digits()
    probe = linear_probe(train, labels, test, truth, strengths=(0.001, 0.1, 10.0), max_iterations=2000)
    search = GridSearchCV(
        LogisticRegression(max_iter=5000, tol=1e-6),
        {"C": [0.001, 0.1, 10.0]},
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
    )
    reference = make_pipeline(StandardScaler(), search).fit(train, labels)
    assert probe.strength == search.best_params_["C"]
    assert (probe.predictions == reference.predict(test)).mean() > 0.99
    assert probe.value == pytest.approx(reference.score(test, truth), abs=0.01)
    assert probe.value == (probe.predictions == truth).mean()


def test_validation_chooses_the_strength():
    train, labels, test, truth = digits()
    strengths = (1e-6, 1e-4, 1e-2)
    for validation in ((test, truth), (train[:40], labels[:40]), (test[:60], np.roll(truth[:60], 1))):
        alone = {
            strength: linear_probe(train, labels, *validation, strengths=(strength,)).value for strength in strengths
        }
        chosen = linear_probe(train, labels, test, truth, strengths=strengths, validation=validation).strength
        assert chosen == max(strengths, key=lambda strength: (alone[strength], -strength))
    assert linear_probe(train, labels, test, truth, strengths=(0.3,)).strength == 0.3


def test_the_same_twice():
    train, labels, test, truth = digits(rows=200)
    first, again = (linear_probe(train, labels, test, truth, seed=3) for _ in range(2))
    assert (first.predictions == again.predictions).all() and first.strength == again.strength


def test_scale_does_not_matter_to_the_linear_probe():
    train, labels, test, truth = digits()
    scale = 10.0 ** np.random.default_rng(0).integers(-6, 7, train.shape[1])
    plain, scaled = (
        linear_probe(train * by, labels, test * by, truth, strengths=(0.1,)).predictions for by in (1.0, scale)
    )
    assert (plain == scaled).mean() > 0.99


def test_unlabelled_rows_and_classes_never_seen():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    vectors = np.eye(3)[labels] * 5 + rng.normal(size=(60, 3)) * 0.1
    hidden = labels.copy()
    hidden[:6] = -1
    assert linear_probe(vectors, hidden, vectors, labels).value == 1.0
    truth = labels.copy()
    truth[truth == 2] = 7
    assert linear_probe(vectors, labels, vectors, truth).value == pytest.approx(2 / 3)
    truth[truth == 7] = -1
    assert linear_probe(vectors, labels, vectors, truth).value == 1.0


def test_collapsed_vectors_give_the_commonest_class_without_a_warning():
    labels = np.array([0] * 6 + [1] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probe = linear_probe(np.full((9, 4), 0.1), labels, np.full((9, 4), 0.1), labels)
    assert (probe.predictions == 0).all() and probe.value == pytest.approx(2 / 3)


def test_classes_of_one_row():
    vectors = np.eye(4) * 3
    probe = linear_probe(vectors, [0, 1, 2, 3], vectors, [0, 1, 2, 3], strengths=(0.1, 1.0, 10.0))
    assert probe.value == 1.0 and probe.strength == 1.0
    labels = np.array([0] * 9 + [1] * 9 + [2])
    vectors = np.eye(3)[labels] * 3
    assert linear_probe(vectors, labels, vectors[:18], labels[:18]).value == 1.0


def test_linear_probe_refuses():
    eye = np.eye(4)
    with pytest.raises(DataError, match="fewer than two classes"):
        linear_probe(eye, [1, 1, 1, -1], eye, [1, 1, 1, 1])
    with pytest.raises(DataError, match="one and the same space"):
        linear_probe(eye, [0, 1, 0, 1], np.eye(3), [0, 1, 0])
    with pytest.raises(DataError, match="no test row has a label"):
        linear_probe(eye, [0, 1, 0, 1], eye, [-1] * 4)
    with pytest.raises(DataError, match="3 validation labels"):
        linear_probe(eye, [0, 1, 0, 1], eye, [0, 1, 0, 1], validation=(eye, [0, 1, 1]))
    with pytest.raises(SettingsError, match="positive"):
        linear_probe(eye, [0, 1, 0, 1], eye, [0, 1, 0, 1], strengths=(0.0,))


def test_ridge_probe_equals_scikit_learn_by_hand():
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(80, 30)) * 7, rng.normal(size=(40, 30)) * 7
    weights = rng.normal(size=(30, 2))
    targets, truth = train @ weights + 30 * rng.normal(size=(80, 2)), test @ weights
    probe = ridge_probe(train, targets, test, truth, strengths=(1.0, 30.0, 900.0))
    scaler = StandardScaler().fit(train)
    reference = RidgeCV(alphas=(1.0, 30.0, 900.0)).fit(scaler.transform(train), targets)
    assert probe.strength == reference.alpha_
    np.testing.assert_allclose(probe.predictions, reference.predict(scaler.transform(test)), rtol=1e-3, atol=1e-2)
    residual = ((truth - probe.predictions) ** 2).sum(axis=0) / ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    assert probe.value == pytest.approx(1 - residual.mean())


def test_ridge_probe_of_collapsed_vectors_is_at_the_mean():
    targets = np.arange(10.0)
    probe = ridge_probe(np.ones((10, 3)), targets, np.ones((10, 3)), targets)
    np.testing.assert_allclose(probe.predictions, 4.5)
    assert probe.value == pytest.approx(0)
    with pytest.raises(DataError, match="targets hold NaN"):
        ridge_probe(np.eye(2), [1.0, np.nan], np.eye(2), [1.0, 2.0])


def test_few_shot_equals_nearest_centroids():
    from sklearn.neighbors import NearestCentroid

    train, labels, test, truth = digits()
    train, test = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train, test))
    reached = few_shot(train, labels, test, truth, shots=1000, draws=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        centroids = NearestCentroid().fit(train, labels).centroids_
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    expected = ((test @ centroids.T).argmax(axis=1) == truth).mean()
    assert reached == pytest.approx([expected, expected], abs=0.005)
    one, five = (few_shot(train, labels, test, truth, shots=shots) for shots in (1, 5))
    assert len(one) == 20 and one.std() > 0
    assert 0.1 < one.mean() < five.mean() < expected
    assert (few_shot(train, labels, test, truth, rng=np.random.default_rng(0)) == five).all()


def test_few_shot_refuses():
    with pytest.raises(DataError, match="no training row has a label"):
        few_shot(np.eye(2), [-1, -1], np.eye(2), [0, 1])
    with pytest.raises(SettingsError, match="shots=0"):
        few_shot(np.eye(2), [0, 1], np.eye(2), [0, 1], shots=0)
