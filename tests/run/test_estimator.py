"""The transformer is a scikit-learn transformer by scikit-learn's own checks."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from unalike import ContrastiveTransformer
from unalike.errors import SettingsError


@parametrize_with_checks([ContrastiveTransformer(width=8, epochs=2, random_state=0)])
def test_scikit_learn_checks(estimator, check) -> None:
    check(estimator)


def test_vectors_serve_a_pipeline() -> None:
    rows, labels = load_digits(return_X_y=True)
    pipeline = make_pipeline(
        ContrastiveTransformer(width=32, epochs=3, random_state=0), LogisticRegression(max_iter=500)
    )
    assert pipeline.fit(rows[:600], labels[:600]).score(rows[600:1000], labels[600:1000]) > 0.7


def test_same_seed_same_vectors_and_pickle() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 5))
    first, second = (ContrastiveTransformer(width=4, epochs=2, random_state=3).fit(rows) for _ in range(2))
    assert np.array_equal(first.transform(rows), second.transform(rows))
    assert np.array_equal(pickle.loads(pickle.dumps(first)).transform(rows), first.transform(rows))
    assert np.allclose(np.linalg.norm(first.transform(rows), axis=1), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"system": "simclr"}, "simclr learns from image, not from arrays"),
        ({"settings": {"corruptoin": 0.1}}, "corruptoin is unknown"),
        ({"batch_size": 500}, "batch_size=500 is larger than the 20 rows"),
    ],
)
def test_wrong_settings(options: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ContrastiveTransformer(**options).fit(np.zeros((20, 3)))
