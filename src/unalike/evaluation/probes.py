"""Probes: what a simple model learns from frozen vectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import Labels, check_lengths, label_codes, matrix, mean_and_deviation
from unalike.evaluation.neighbours import accuracy
from unalike.search.blocks import Vectors

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True)
class Probe:
    """What a probe came to.

    value: accuracy or R^2 on the test rows; predictions: ``(Q,)`` codes or ``(Q, T)`` targets, a row each test row;
    strength: the regularisation that validation chose (``C`` of a classifier, ``alpha`` of a ridge).
    """

    value: float
    predictions: np.ndarray
    strength: float


def linear_probe(
    train: Vectors,
    train_labels: Labels,
    test: Vectors,
    test_labels: Labels,
    *,
    validation: tuple[Vectors, Labels] | None = None,
    strengths: Sequence[float] = (0.001, 0.01, 0.1, 1.0),
    folds: int = 3,
    seed: int = 0,
    max_iterations: int = 500,
) -> Probe:
    """Accuracy of a logistic regression on frozen vectors.

    scikit-learn's L-BFGS solver on features standardised with the training rows' mean and deviation. The strength
    of regularisation is chosen on ``validation``, or by stratified cross-validation of the training rows (the middle
    one where no two classes have two rows); the test rows are looked at once.

    Args:
        train: ``(N, D)``.
        train_labels: a class for each; rows without one (-1 or None) are left out.
        test: ``(Q, D)``.
        test_labels: a class for each; rows without one are not scored. A class that no training row has is wrong.
        validation: vectors and labels to choose the strength on. Give it where rows of the training set belong
            together (one font, one photograph), so that cross-validation would flatter.
        strengths: values of scikit-learn's ``C`` to choose from; one value is taken as it is.
        folds: of the cross-validation; fewer where the rarest class has fewer rows.
        seed: of the folds.
        max_iterations: of the solver.

    Raises:
        DataError: lengths differ, vectors are not finite, fewer than two classes, or no test label.
        SettingsError: no strength, or one that is not above zero.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import linear_probe
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(40) % 2
        >>> vectors = rng.normal(size=(40, 4)) + 3 * labels[:, None]
        >>> linear_probe(vectors[:20], labels[:20], vectors[20:], labels[20:]).value
        1.0
    """
    if not strengths or min(strengths) <= 0 or folds < 2:
        raise SettingsError(f"got strengths {strengths} and folds {folds}; expected positive numbers and 2 or more")
    given = [train_labels, test_labels] + ([validation[1]] if validation else [])
    codes, truth, *rest = label_codes(*given)
    features, asked = _arrays(train=train, test=test)
    check_lengths(training_vectors=features, training_labels=codes)
    check_lengths(test_vectors=asked, test_labels=truth)
    features, codes = features[codes >= 0], codes[codes >= 0]
    if len(np.unique(codes)) < 2:
        raise DataError("the training rows have fewer than two classes; a probe needs two to tell apart")
    mean, scale = mean_and_deviation(features)
    features, asked = (features - mean) / scale, (asked - mean) / scale
    if validation is not None:
        (held,) = _arrays(validation=validation[0])
        check_lengths(validation_vectors=held, validation_labels=rest[0])
        splits = [(features, codes, (held - mean) / scale, rest[0])]
    else:
        splits = _folds(features, codes, folds, seed)
    strength = _choose(splits, strengths, max_iterations)
    predictions = next(_path(features, codes, [strength], max_iterations)).predict(asked)
    return Probe(accuracy(predictions, truth), predictions, strength)


def ridge_probe(
    train: Vectors,
    train_targets: np.ndarray,
    test: Vectors,
    test_targets: np.ndarray,
    *,
    strengths: Sequence[float] = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0),
) -> Probe:
    """R^2 of a ridge regression on frozen vectors, the mean over targets.

    Features are standardised with the training rows; the strength is chosen by the closed form of leave-one-out
    cross-validation on the training rows alone.

    Args:
        train: ``(N, D)``.
        train_targets: ``(N,)`` or ``(N, T)`` numbers.
        test: ``(Q, D)``.
        test_targets: ``(Q,)`` or ``(Q, T)``. A target that does not vary over the test rows scores 1 if it is met
            exactly and 0 otherwise.
        strengths: penalties to choose from.

    Raises:
        DataError: lengths differ, or something is not finite.
        SettingsError: no strength, or one that is not above zero.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import ridge_probe
        >>> vectors = np.random.default_rng(0).normal(size=(60, 3))
        >>> targets = vectors @ [1.0, -2.0, 0.5]
        >>> round(ridge_probe(vectors[:40], targets[:40], vectors[40:], targets[40:]).value, 3)
        1.0
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score

    if not strengths or min(strengths) <= 0:
        raise SettingsError(f"got strengths {strengths}; expected positive numbers")
    features, asked = _arrays(train=train, test=test)
    learnt, truth = (np.asarray(targets, dtype=np.float64) for targets in (train_targets, test_targets))
    check_lengths(training_vectors=features, training_targets=learnt)
    check_lengths(test_vectors=asked, test_targets=truth)
    if not (np.isfinite(learnt).all() and np.isfinite(truth).all()):
        raise DataError("the targets hold NaN or infinity; expected finite numbers, leave out rows without a target")
    mean, scale = mean_and_deviation(features)
    model = RidgeCV(alphas=strengths).fit(((features - mean) / scale).astype(np.float64), learnt)
    predictions = model.predict(((asked - mean) / scale).astype(np.float64))
    return Probe(float(r2_score(truth, predictions)), predictions, float(model.alpha_))


def few_shot(
    train: Vectors,
    train_labels: Labels,
    test: Vectors,
    test_labels: Labels,
    *,
    shots: int = 5,
    draws: int = 20,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Accuracy of the nearest class mean when each class has a few labelled rows, once for each draw of them.

    The classifier is that of Snell et al., *Prototypical Networks for Few-shot Learning* (2017), by cosine.

    Args:
        train: ``(N, D)``, from which the labelled rows are drawn.
        train_labels: a class for each; rows without one are left out.
        test: ``(Q, D)``.
        test_labels: a class for each; rows without one are not scored.
        shots: labelled rows of a class; all it has where it has fewer.
        draws: how often to draw.
        rng: draws the rows; without it always the same ones.

    Returns:
        ``(draws,)`` accuracies; their mean is the score, their spread what the choice of rows does.

    Raises:
        DataError: as `knn_accuracy`.
        SettingsError: ``shots`` or ``draws`` below one.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import few_shot
        >>> vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
        >>> few_shot(vectors, [0, 0, 1, 1], vectors, [0, 0, 1, 1], shots=1, draws=3)
        array([1., 1., 1.])
    """
    if shots < 1 or draws < 1:
        raise SettingsError(f"got shots={shots}, draws={draws}; expected numbers of at least 1")
    codes, truth = label_codes(train_labels, test_labels)
    features = matrix(train, "train", unit=True).numpy()
    asked = matrix(test, "test", unit=True).numpy()
    check_lengths(training_vectors=features, training_labels=codes)
    classes = np.unique(codes[codes >= 0])
    if not len(classes):
        raise DataError("no training row has a label; expected some to draw from")
    rng = np.random.default_rng(0) if rng is None else rng
    members = [np.flatnonzero(codes == one) for one in classes]
    reached = np.empty(draws)
    for draw in range(draws):
        chosen = [rng.choice(rows, min(shots, len(rows)), replace=False) for rows in members]
        means = np.stack([features[rows].mean(axis=0) for rows in chosen])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        reached[draw] = accuracy(classes[(asked @ means.T).argmax(axis=1)], truth)
    return reached


_Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _arrays(**named: Vectors) -> list[np.ndarray]:
    """Finite float32 matrices of one and the same width."""
    arrays = {name: matrix(vectors, name).numpy() for name, vectors in named.items()}
    widths = {name: array.shape[1] for name, array in arrays.items()}
    if len(set(widths.values())) > 1:
        raise DataError(f"got vectors of the widths {widths}; expected one and the same space")
    return list(arrays.values())


def _folds(features: np.ndarray, codes: np.ndarray, folds: int, seed: int) -> list[_Split]:
    from sklearn.model_selection import StratifiedKFold

    # Classes of one row are in training or held out, never both: they say nothing about the strength.
    counts = np.unique(codes, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(counts[2][counts[1]] > 1)
    repeated = counts[2][counts[2] > 1]
    if len(repeated) < 2:
        return []
    cut = StratifiedKFold(min(folds, int(repeated.min())), shuffle=True, random_state=seed)
    return [
        (features[rows[fit]], codes[rows[fit]], features[rows[held]], codes[rows[held]])
        for fit, held in cut.split(rows, codes[rows])
    ]


def _choose(splits: Sequence[_Split], strengths: Sequence[float], max_iterations: int) -> float:
    """The strength that is right most often on what was held out; the stronger regularisation of equals."""
    ordered = sorted(strengths)
    if len(ordered) == 1 or not splits:
        return ordered[len(ordered) // 2]
    reached = np.zeros(len(ordered))
    for features, codes, held, truth in splits:
        models = _path(features, codes, ordered, max_iterations)
        reached += [accuracy(model.predict(held), truth) for model in models]
    return ordered[int(reached.argmax())]


def _path(
    features: np.ndarray, codes: np.ndarray, strengths: Sequence[float], max_iterations: int
) -> Iterator[LogisticRegression]:
    """One model, fitted with one strength after the other, each time from where it was."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=max_iterations, warm_start=True)
    for strength in strengths:
        with warnings.catch_warnings():
            # Stopped after so many iterations is a setting of the probe, the same for every arm.
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield model.set_params(C=strength).fit(features, codes)
