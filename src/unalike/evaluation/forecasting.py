"""What frozen vectors of series are good for: classes by a support vector machine, forecasts by a ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import Labels, check_lengths, label_codes, matrix, mean_and_deviation
from unalike.evaluation.neighbours import accuracy
from unalike.evaluation.probes import Probe
from unalike.search.blocks import Vectors


def svm_probe(
    train: Vectors,
    train_labels: Labels,
    test: Vectors,
    test_labels: Labels,
    *,
    strengths: Sequence[float] = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
    folds: int = 5,
    seed: int = 0,
) -> Probe:
    """Accuracy of a support vector machine with a Gaussian kernel on frozen vectors, as papers on series report it.

    The penalty is chosen by stratified folds of the training rows; where a class has one row, the strongest is taken.

    Args:
        train: ``(N, D)``.
        train_labels: a class for each; rows without one are left out.
        test: ``(Q, D)``.
        test_labels: a class for each; rows without one are not scored.
        strengths: inverse penalties (C) to choose from.
        folds: of the choice, at most as many as the smallest class has rows.
        seed: of the folds.

    Raises:
        DataError: lengths differ, or fewer than two classes. SettingsError: no strength above zero.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import svm_probe
        >>> vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
        >>> svm_probe(vectors, [0, 0, 1, 1], vectors, [0, 0, 1, 1]).value
        1.0
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    if not strengths or min(strengths) <= 0:
        raise SettingsError(f"got strengths {strengths}; expected positive numbers")
    codes, truth = label_codes(train_labels, test_labels)
    features, asked = matrix(train, "train").numpy(), matrix(test, "test").numpy()
    check_lengths(training_vectors=features, training_labels=codes)
    check_lengths(test_vectors=asked, test_labels=truth)
    features, codes = features[codes >= 0], codes[codes >= 0]
    counts = np.bincount(codes)
    counts = counts[counts > 0]
    if len(counts) < 2:
        raise DataError("the training rows have fewer than two classes; a probe needs two to tell apart")
    mean, scale = mean_and_deviation(features)
    features, asked = (features - mean) / scale, (asked - mean) / scale
    model, chosen = SVC(C=max(strengths)), max(strengths)
    if counts.min() > 1 and len(strengths) > 1:
        cut = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=seed)
        search = GridSearchCV(SVC(), {"C": sorted(strengths)}, cv=cut).fit(features, codes)
        model, chosen = search.best_estimator_, float(search.best_params_["C"])
    else:
        model.fit(features, codes)
    predictions = model.predict(asked)
    return Probe(accuracy(predictions, truth), predictions, chosen)


@dataclass(frozen=True)
class Forecast:
    """Predictions of the steps that follow.

    predictions: ``(Q, horizon, channels)``; mse, mae: against the truth, over all of them; naive_mse, naive_mae: of the
    last known value repeated; strength: the chosen penalty.
    """

    predictions: np.ndarray
    mse: float
    mae: float
    naive_mse: float
    naive_mae: float
    strength: float


def ridge_forecast(
    vectors: np.ndarray,
    series: np.ndarray,
    horizon: int,
    *,
    train: int,
    validation: int,
    strengths: Sequence[float] = (0.1, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
) -> Forecast:
    """Predict the next steps of one long series by a ridge regression on the vector of each step.

    As TS2Vec evaluates it: learnt on the first part of the series, the penalty chosen on the next by
    ``sqrt(MSE) + MAE``, scored on the rest; no target reaches over the end of its part.

    Args:
        vectors: ``(T, D)``: of each step, made of that step and those before it alone.
        series: ``(T, channels)``, standardised by its first part.
        horizon: steps to predict.
        train: steps of the first part.
        validation: steps of the second.
        strengths: penalties to choose from.

    Raises:
        DataError: lengths differ, numbers are missing, or a part is shorter than the horizon.
        SettingsError: no strength above zero, or no horizon.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import ridge_forecast
        >>> wave = np.sin(np.arange(200) / 5)[:, None]
        >>> past = np.concatenate([wave, np.cos(np.arange(200) / 5)[:, None]], axis=1)
        >>> found = ridge_forecast(past, wave, 3, train=100, validation=40, strengths=(1e-6,))
        >>> found.mse < 1e-6 < found.naive_mse
        True
    """
    from sklearn.linear_model import Ridge

    features, values = np.asarray(vectors, np.float64), np.asarray(series, np.float64)
    if features.ndim != 2 or values.ndim != 2 or len(features) != len(values):
        raise DataError(f"got vectors {features.shape}, series {values.shape}; expected (T, D) and (T, channels)")
    if not (np.isfinite(features).all() and np.isfinite(values).all()):
        raise DataError("the vectors or the series hold NaN or infinity; fill gaps first")
    if horizon < 1 or not strengths or min(strengths) <= 0:
        raise SettingsError(f"got horizon={horizon}, strengths={strengths}; expected at least 1, and positive numbers")
    edges = (0, train, train + validation, len(values))
    if min(np.diff(edges)) <= horizon:
        raise DataError(f"parts of {np.diff(edges).tolist()} steps for a horizon of {horizon}; expected longer ones")
    parts = []
    for start, stop in pairwise(edges):
        steps = np.arange(start, stop - horizon)
        futures = values[steps[:, None] + np.arange(1, horizon + 1)]
        parts.append((features[steps], futures, values[steps]))
    (learnt, targets, _), (held, wanted, _), (asked, truth, last) = parts
    mean, scale = mean_and_deviation(learnt)

    def predicted(strength: float, rows: np.ndarray) -> np.ndarray:
        model = Ridge(alpha=strength).fit((learnt - mean) / scale, targets.reshape(len(targets), -1))
        return np.asarray(model.predict((rows - mean) / scale).reshape(len(rows), horizon, -1))

    def cost(strength: float) -> float:
        error = predicted(strength, held) - wanted
        return float(np.sqrt((error**2).mean()) + np.abs(error).mean())

    best = min(strengths, key=cost)
    found = predicted(best, asked)
    error, naive = found - truth, last[:, None] - truth
    return Forecast(
        predictions=found,
        mse=float((error**2).mean()),
        mae=float(np.abs(error).mean()),
        naive_mse=float((naive**2).mean()),
        naive_mae=float(np.abs(naive).mean()),
        strength=float(best),
    )
