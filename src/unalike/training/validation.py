"""Measurements while a learner trains, on rows that it does not learn from, and the weights that they choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from unalike.training.checkpoint import Checkpoint, load_module
from unalike.training.embedding import evaluating
from unalike.training.group import Group
from unalike.training.learner import Learner


@dataclass(frozen=True)
class Validation:
    """What is measured while a learner trains, how often, and what follows from it.

    Args:
        name: of the measure, for people; higher is better.
        measure: the learner, in evaluation mode, to one number a row, float64 ``(N,)``, always of the same rows. It
            draws no random numbers.
        times: how often in a training, the end included; the start is always measured too.
        keep: which weights the training ends with, ``"best"`` or ``"last"``. The first that are better than the start
            must be so by more than the standard error of the difference, which is taken row by row: without
            that the start is kept.
        patience: training ends after so many measurements without a better one; 0 for never.
    """

    name: str
    measure: Callable[[Learner], np.ndarray]
    times: int = 10
    keep: Literal["best", "last"] = "best"
    patience: int = 0


@dataclass(frozen=True)
class Kept:
    """Which weights a training ended with, and why.

    Args:
        measure: what was measured.
        rows: on how many rows.
        start: its mean before the first step.
        kept: its mean for the weights that were kept.
        last: its mean after the last step that was measured.
        step: after which the weights that were kept stood; 0 for the start.
        error: standard error of the difference of ``kept`` and ``start``, taken row by row.
    """

    measure: str
    rows: int
    start: float
    kept: float
    last: float
    step: int
    error: float

    def note(self, total: int) -> str:
        """What a user is told."""
        rows = f"{self.measure} of {self.rows} rows held out of training"
        if self.step == 0 and total:
            return (
                f"kept the model as it was before training: {rows} is {self.start:.3f} at the start and "
                f"{self.last:.3f} after training, and no measurement between was clearly better"
            )
        change = f"{rows} {'rose' if self.kept >= self.start else 'fell'} from {self.start:.3f} to {self.kept:.3f}"
        return (
            f"kept the weights of step {self.step} of {total}: {change} ({self.kept - self.start:+.3f}, standard "
            f"error {self.error:.3f})"
        )


class Keeper:
    """A validation in the course of one training: what was measured so far, and the best weights.

    Args:
        validation: what is measured.
        total: steps of the training.
        processes: those that train together.
    """

    def __init__(self, validation: Validation, total: int, processes: Group) -> None:
        self.validation, self.processes = validation, processes
        self.due = {max(1, round(total * number / validation.times)) for number in range(1, validation.times + 1)}
        self.start = self.best = self.last = np.zeros(0)
        self.step = self.waited = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def ended(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self.validation.patience <= self.waited

    @torch.no_grad()
    def measure(self, learner: Learner, step: int) -> float:
        """Measure the learner after a step and keep its weights if they are the best; the mean over the rows."""
        with evaluating(learner.module):
            self.last = np.asarray(self.validation.measure(learner), np.float64)
        if step == 0:
            self.start = self.last
        if step == 0 or self._is_better():
            self.best, self.step, self.waited = self.last, step, 0
            if self.validation.keep == "best":
                self.weights = {name: value.detach().clone() for name, value in learner.module.state_dict().items()}
        else:
            self.waited += 1
        return float(self.last.mean())

    def _is_better(self) -> bool:
        if self.step == 0:
            gain = self.last - self.start
            return bool(gain.mean() > standard_error(gain))
        return bool(self.last.mean() > self.best.mean())

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint carries."""
        found = {
            "start": torch.from_numpy(self.start),
            "best": torch.from_numpy(self.best),
            "last": torch.from_numpy(self.last),
            "counts": torch.tensor([self.step, self.waited]),
        }
        return {"validation": found} | ({"best": self.weights} if self.weights else {})

    def restore(self, found: Checkpoint, module: nn.Module) -> None:
        """Go on from a checkpoint; one that carries no measurements leaves all as it is."""
        kept = found.tensors["validation"]
        self.start, self.best, self.last = (kept[name].numpy() for name in ("start", "best", "last"))
        self.step, self.waited = kept["counts"].tolist()
        whole = found.tensors.get("best", {})
        placed: Mapping[str, Any] = self.processes.placed(whole, module.state_dict())
        self.weights = {name: value.clone() for name, value in placed.items()}

    def end(self, learner: Learner, step: int, folder: Path | None) -> Kept:
        """Put the weights that are kept into the learner, which made so many steps, and say which they are."""
        values = self.last
        if self.validation.keep == "best":
            load_module(learner.module, self.weights, folder or Path())
            step, values = self.step, self.best
        return Kept(
            measure=self.validation.name,
            rows=len(values),
            start=float(self.start.mean()),
            kept=float(values.mean()),
            last=float(self.last.mean()),
            step=step,
            error=standard_error(values - self.start),
        )


def standard_error(values: np.ndarray) -> float:
    """Of a mean.

    Example:
        >>> standard_error(np.array([0.0, 2.0]))
        1.0
    """
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("inf")
