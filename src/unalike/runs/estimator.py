"""A scikit-learn transformer: learns vectors from rows of numbers without a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from unalike import encoders, systems, training
from unalike.data import ArrayColumn, Collection, find_same
from unalike.errors import SettingsError
from unalike.settings import read_dataclass
from unalike.training.settings import Training


class ContrastiveTransformer(TransformerMixin, BaseEstimator):
    """Learned vectors of rows of numbers, for use in scikit-learn pipelines.

    Args:
        system: slug of a system that learns from arrays.
        settings: the system's own settings, such as ``{"corruption": 0.3}``.
        width: length of the vectors.
        epochs: passes over the data; the system's recipe unless given.
        batch_size: rows a step; the system's recipe, or fewer for small data, unless given.
        learning_rate: peak learning rate; the system's recipe unless given.
        random_state: decides initial weights, data order and views.

    Attributes:
        encoder_: the trained encoder.
        n_features_in_: number of columns seen in `fit`.

    Raises:
        SettingsError: the system does not learn from arrays, or a setting is unknown or out of range.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from unalike import ContrastiveTransformer
        >>> rows = load_iris().data
        >>> ContrastiveTransformer(width=8, epochs=2, random_state=0).fit_transform(rows).shape
        (150, 8)
    """

    def __init__(
        self,
        system: str = "scarf",
        *,
        settings: Mapping[str, Any] | None = None,
        width: int = 64,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.system = system
        self.settings = settings
        self.width = width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows ``(N, F)`` of finite numbers; at least two. ``y`` is ignored."""
        rows = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        found = systems.find(self.system, kind="learner")
        assert found.recipe is not None, "every learner has a recipe"
        if found.paper.roles != ("array",):
            raise SettingsError(f"{self.system} learns from {', '.join(found.paper.roles)}, not from arrays")
        resolved = read_dataclass(found.settings, self.settings or {}, f"settings of {self.system}")
        options = {
            field.name: getattr(self, field.name)
            for field in fields(Training)
            if field.name in ("epochs", "batch_size", "learning_rate")
        }
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        settings = Training(**options, seed=seed, device="cpu").resolved(found.recipe, len(rows))
        column = ArrayColumn(rows.astype(np.float32))
        encoder = encoders.build_encoder("mlp", [column], width=self.width, seed=seed)
        same = find_same(Collection({"array": column}, name="rows")).table
        inputs = training.Inputs({"array": encoder.prepare(column)}, same=same)
        task = training.task_of({"array": encoder}, {"array": ("array",)}, inputs, settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            learner = found.build(resolved, task)
        training.train(learner, inputs, settings)
        # Vectors are made in float64, so that a row's vector does not depend on the rows beside it.
        self.encoder_ = encoder.eval().double().requires_grad_(False)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """L2-normalised vectors ``(N, width)`` of rows ``(N, F)``."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        with torch.no_grad():
            vectors = self.encoder_(torch.from_numpy(np.ascontiguousarray(rows))).vector
            return np.asarray(encoders.unit(vectors))

    @property
    def _n_features_out(self) -> int:
        return self.width
