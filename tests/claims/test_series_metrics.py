"""Metrics of claims about series, on trials made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unalike import claims, evaluation
from unalike.claims.trial import Side, Trial
from unalike.encoders import PackedSeries


class LastSteps(nn.Module):
    """Tokens are the series' own steps; it notes how many it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[int] = []

    def plain(self, inputs: Tensor) -> Tensor:
        return inputs / 2

    def forward(self, inputs: Tensor) -> Any:
        self.shown.append(inputs.shape[2])
        return SimpleNamespace(tokens=inputs.transpose(1, 2))


class FirstHalf(nn.Module):
    """An augmenter that keeps the first half of the steps."""

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        share = (torch.arange(inputs.shape[2]) < inputs.shape[2] // 2).float().expand(len(inputs), -1)
        return inputs, share


def trial_of(values: np.ndarray, labels: np.ndarray, cut: int) -> Trial:
    def side(rows: slice) -> Side:
        packed = SimpleNamespace(prepared={"series": PackedSeries(values[rows])})
        numbers = np.arange(len(values))[rows]
        return Side(numbers, {}, {"label": labels[rows]}, "label", inputs=packed)  # type: ignore[arg-type]

    learner: Any = SimpleNamespace(encoders={"series": LastSteps()}, modules={"augmenter": FirstHalf()})
    return Trial(arm="system", seed=0, learner=learner, reference=side(slice(cut)), scored=side(slice(cut, None)))


def test_a_forecast_is_made_from_what_was_before_alone() -> None:
    walks = np.random.default_rng(0).normal(size=(40, 1, 12)).cumsum(2).astype(np.float32)
    trial = trial_of(walks, np.zeros(40, np.int64), 30)
    found = claims.forecast_error(trial)
    assert trial.learner is not None
    assert sorted(set(trial.learner.encoders["series"].shown)) == [4, 5, 6, 7, 8]  # type: ignore[attr-defined]
    halved = walks / 2
    expected = evaluation.rolling_forecast(lambda past: past[:, :, -1], halved[:30], halved[30:], 4)
    assert found == pytest.approx(expected.mse, rel=1e-5)


def test_what_is_kept_tells_the_classes_and_what_is_left_out_does_not() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 40)
    values = rng.normal(size=(80, 1, 8)).astype(np.float32)
    values[:, 0, :4] += np.where(labels, 2, -2)[:, None]
    assert claims.kept_over_left_out(trial_of(values, labels, 40)) > 0.3
    assert claims.kept_over_left_out(trial_of(values[:, :, ::-1].copy(), labels, 40)) < -0.3
