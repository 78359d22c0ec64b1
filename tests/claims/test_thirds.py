"""Metrics of the frequent and the rare third of the classes, against the same rows read by hand."""

from __future__ import annotations

import numpy as np
import pytest

from unalike import claims, evaluation
from unalike.claims.trial import Side, Trial


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Three classes of 60, 20 and 8 training rows; of the two frequent ones the vectors tell, of the rare one less."""
    rng = np.random.default_rng(0)
    centres = np.array([[3, 0, 0, 0], [0, 3, 0, 0], [0.6, 1.2, 0, 0]], np.float32)

    def side(*counts: int) -> Side:
        labels = np.repeat([0, 1, 2], counts)
        vectors = centres[labels] + rng.normal(size=(len(labels), 4)).astype(np.float32)
        return Side(np.arange(len(labels)), {"image": vectors}, {"label": labels}, "label", inputs=None)  # type: ignore[arg-type]

    return Trial(arm="system", seed=0, learner=None, reference=side(60, 20, 8), scored=side(30, 30, 30))


def test_a_third_is_probed_by_what_learnt_from_all_classes(trial: Trial) -> None:
    from sklearn.linear_model import LogisticRegression

    learnt = trial.reference.vectors()
    mean, deviation = learnt.mean(0), learnt.std(0) + 1e-8
    model = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
    model.fit((learnt - mean) / deviation, trial.reference.labels())
    right = model.predict((trial.scored.vectors() - mean) / deviation) == trial.scored.labels()
    by_class = [float(right[trial.scored.labels() == number].mean()) for number in range(3)]
    assert 0.2 < by_class[2] < by_class[0]
    for third, number in (("head", 0), ("tail", 2)):
        metric = claims.METRICS[f"balanced_probe@{third}"]
        assert metric.value(trial, None) == pytest.approx(by_class[number])
        assert metric.chance is not None and metric.chance(trial, None) == pytest.approx(1 / 3)  # all can be named
    assert claims.METRICS["balanced_probe"].value(trial, None) == pytest.approx(np.mean(by_class))


def test_rank_of_the_head_is_that_of_its_training_rows(trial: Trial) -> None:
    found = claims.METRICS["effective_rank@head"].value(trial, None)
    assert found == pytest.approx(evaluation.effective_rank(trial.reference.vectors()[:60]))
