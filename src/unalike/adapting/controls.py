"""What adapters are compared with: class names alone, and a probe that is trained."""

from __future__ import annotations

import numpy as np

from unalike.adapting.adapter import Adapter, Learnt, unit
from unalike.adapting.gaussian import class_means

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
WEIGHTS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)


def zero_shot() -> Adapter:
    """The class whose name is most alike; nothing is learnt from the labelled rows.

    Example:
        >>> zero_shot().fit(np.eye(2), np.array([1, 0]), texts=np.eye(2)).predict(np.eye(2)).tolist()
        [0, 1]
    """
    return Adapter(
        learn=lambda looks, labels, classes: {"classes": np.zeros(classes)},
        score=lambda learnt, vectors: np.zeros((len(vectors), len(learnt["classes"]))),
    )


def nearest_mean() -> Adapter:
    """The class whose mean vector is most alike.

    Example:
        >>> nearest_mean().fit(np.eye(2), np.array([1, 0])).predict(np.eye(2)).tolist()
        [1, 0]
    """

    def learn(looks: np.ndarray, labels: np.ndarray, classes: int) -> Learnt:
        means = class_means(looks.reshape(-1, looks.shape[2]), np.tile(labels, len(looks)), classes)
        return {"means": means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)}

    return Adapter(learn=learn, score=lambda learnt, vectors: vectors @ learnt["means"].T)


def linear_probe(*, text_scale: float = 100.0, looks: int = 1) -> Adapter:
    """Logistic regression on the mean look at each row, its scores added to those of the class names with a weight.

    scikit-learn's, of four strengths (``C``); strength and weight are chosen together.

    Example:
        >>> linear_probe().fit(np.eye(3), np.array([0, 1, 2])).predict(np.eye(3)).tolist()
        [0, 1, 2]
    """

    def learn(seen: np.ndarray, labels: np.ndarray, classes: int) -> Learnt:
        from sklearn.linear_model import LogisticRegression

        samples = unit(seen.mean(0))
        weights, biases = [], []
        model = LogisticRegression(max_iter=500, warm_start=True)
        for strength in STRENGTHS:
            model.set_params(C=strength).fit(samples, labels)
            # Of two classes there is one row of weights, for the second.
            both = len(model.coef_) == 1
            weights.append(np.concatenate([-model.coef_, model.coef_]) / 2 if both else model.coef_)
            biases.append(np.concatenate([-model.intercept_, model.intercept_]) / 2 if both else model.intercept_)
        return {"weights": np.stack(weights), "biases": np.stack(biases)}

    def score(learnt: Learnt, vectors: np.ndarray, strength: float, weight: float) -> np.ndarray:
        number = STRENGTHS.index(strength)
        return weight * (vectors @ learnt["weights"][number].T + learnt["biases"][number])

    return Adapter(
        learn=learn,
        score=score,
        grid={"strength": STRENGTHS, "weight": WEIGHTS},
        usual={"strength": 10.0, "weight": 1.0},
        text_scale=text_scale,
        looks=looks,
    )
