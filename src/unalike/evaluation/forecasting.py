"""What frozen vectors of series are good for: classes by a support vector machine, forecasts by a ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

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


def compared(found: np.ndarray, truth: np.ndarray, last: np.ndarray, strength: float) -> Forecast:
    """A forecast and its errors beside those of saying that all stays as it was ``last``."""
    error, naive = found - truth, last[:, None] - truth
    return Forecast(
        predictions=found,
        mse=float((error**2).mean()),
        mae=float(np.abs(error).mean()),
        naive_mse=float((naive**2).mean()),
        naive_mae=float(np.abs(naive).mean()),
        strength=strength,
    )


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
    return compared(found, truth, last, float(best))


def rolling_forecast(
    encode: Callable[[Any], Any],
    train: Any,
    test: Any,
    horizon: int,
    *,
    first: int | None = None,
    strengths: Sequence[float] = (0.1, 1, 10, 100, 1000),
    folds: int = 5,
) -> Forecast:
    """Predict the next steps of many short series, from every step on, by a ridge regression on a vector of the past.

    The encoder is given what lies before the origin of a forecast and nothing else. One regression serves all origins;
    its penalty is chosen on folds that keep the origins of a series together.

    Args:
        encode: from series ``(B, channels, t)`` of any length t to vectors ``(B, D)``, arrays or tensors.
        train: ``(N, channels, T)``, an array or a tensor: series that the regression is learnt from.
        test: ``(Q, channels, T)``: series that are forecast.
        horizon: steps to predict.
        first: steps before the first origin; as many as the horizon unless given.
        strengths: penalties to choose from.
        folds: of the choice, at most as many as there are training series.

    Returns:
        Predictions of ``Q * origins`` rows, the series of the first origin first.

    Raises:
        DataError: shapes differ, a value is missing, fewer than two training series, or series too short.
        SettingsError: no strength above zero, or no horizon or first step.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import rolling_forecast
        >>> waves = np.sin(np.arange(24) / 3 + np.arange(30)[:, None])[:, None]
        >>> found = rolling_forecast(lambda past: past[:, 0, -2:], waves[:20], waves[20:], 4, strengths=(1e-6,))
        >>> found.predictions.shape, found.mse < 1e-6 < found.naive_mse
        ((170, 4, 1), True)
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    start = horizon if first is None else first
    if min(horizon, start) < 1 or not strengths or min(strengths) <= 0:
        raise SettingsError(
            f"got horizon={horizon}, first={start}, strengths={strengths}; expected at least 1, and positive numbers"
        )
    shapes = [tuple(part.shape) for part in (train, test)]
    if (
        any(len(shape) != 3 for shape in shapes)
        or shapes[0][1:] != shapes[1][1:]
        or shapes[0][0] < 2
        or not shapes[1][0]
    ):
        raise DataError(f"got series of {shapes[0]} and {shapes[1]}; expected (N, channels, T) and (Q, channels, T)")
    origins = range(start, shapes[0][2] - horizon + 1)
    if not origins:
        raise DataError(f"series of {shapes[0][2]} steps leave none for {start} before and {horizon} after an origin")
    sides = []
    for part in (train, test):
        values = np.asarray(part, np.float64)
        if not np.isfinite(values).all():
            raise DataError("the series hold NaN or infinity; fill gaps and cut all to one length first")
        features = np.concatenate([np.asarray(encode(part[:, :, :origin]), np.float64) for origin in origins])
        futures = np.concatenate([values[:, :, origin : origin + horizon].transpose(0, 2, 1) for origin in origins])
        last = np.concatenate([values[:, :, origin - 1] for origin in origins])
        sides.append((features, futures, last))
    (learnt, targets, _), (asked, truth, last) = sides
    groups = np.tile(np.arange(shapes[0][0]), len(origins))
    cut = list(GroupKFold(min(folds, shapes[0][0])).split(learnt, groups=groups))
    ridge = RidgeCV(alphas=list(strengths), cv=cut, scoring="neg_mean_squared_error")
    model = make_pipeline(StandardScaler(), ridge).fit(learnt, targets.reshape(len(targets), -1))
    found = model.predict(asked).reshape(truth.shape)
    return compared(found, truth, last, float(ridge.alpha_))
