"""What claims about series are measured by beside the metrics with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unalike import encoders, evaluation, training
from unalike.records import needs

if TYPE_CHECKING:
    from unalike.claims.trial import Trial


@needs("learner")
def forecast_error(trial: Trial) -> float:
    """Mean squared error of the next third of each scored series, in variances of the training rows.

    Forecast from every step between the first and the second third, by a ridge regression on the token of the last
    step before it, as TS2Vec and AutoTCL do; see `unalike.evaluation.rolling_forecast`.

    Raises:
        DataError: values are missing, or series are of different length.
    """
    import torch

    assert trial.learner is not None
    encoder = trial.learner.encoders["series"].eval()

    def last(past: Any) -> Any:
        with torch.inference_mode():
            return encoder(past).tokens[:, -1]

    learnt, asked = _standardised(trial)
    return evaluation.rolling_forecast(last, learnt, asked, learnt.shape[2] // 3).mse


@needs("learner")
def kept_over_left_out(trial: Trial) -> float:
    """Accuracy on what an augmenter's gates keep less that on what they leave out, both raw and of the same energy."""
    import torch

    assert trial.learner is not None
    gates, sides = trial.learner.modules["augmenter"], []
    for series in _standardised(trial):
        with torch.no_grad(), training.evaluating(gates):
            share = gates(series)[1][:, None]
        sides.append([encoders.unit((series.nan_to_num() * w).flatten(1)).numpy() for w in (share, 1 - share)])
    learnt, truth = trial.reference.labels(), trial.scored.labels()
    kept, rest = (evaluation.svm_probe(ours, learnt, asked, truth).value for ours, asked in zip(*sides, strict=True))
    return kept - rest


def _standardised(trial: Trial) -> list[Any]:
    """The training rows and the scored ones, float32 ``(N, channels, steps)`` each, as their encoder reads them."""
    assert trial.learner is not None
    plain, both = trial.learner.encoders["series"].plain, (trial.reference, trial.scored)
    return [plain(side.inputs.prepared["series"].take(np.arange(len(side)))) for side in both]
