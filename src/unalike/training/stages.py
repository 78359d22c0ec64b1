"""Parts of a training that follow one another, and which steps belong to which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unalike.errors import SettingsError, TrainingError
from unalike.training.batch import Batch, Inputs
from unalike.training.optimizers import learning_rate
from unalike.training.order import Order, ShuffledOrder, stream_seed
from unalike.training.settings import Training

Update = tuple[Tensor, Iterable[nn.Parameter]]
"""A loss and the parameters that it may move."""

MakeOrder = Callable[[Inputs, int, int], Order]
"""Makes the order of batches from the training rows, the batch size and the seed."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of a training that has several: its own views, loss, batches, and modules that it moves.

    The optimiser starts anew with each stage, and so does the course of the learning rate unless ``course`` says where.

    Args:
        share: of all steps, relative to the other stages' shares.
        views: makes from a batch what the loss looks at; all randomness comes from the generator it is given.
        loss: the loss of the views; or
        updates: yields ``(loss, parameters)`` one after the other; the loop makes one optimiser step for each.
        order: makes the order of batches from the training rows, the batch size and the seed; shuffled epochs if None.
        begin: called once with the training rows when the stage begins, before its optimiser is made (clusters of
            the last stage's vectors, fresh weights). A resumed run does not call it again: what it computes must lie in
            parameters or buffers of the learner's modules, and be written there in place.
        end: called once with the training rows when the stage ends, after its last step; for what it computes the same
            holds (a copy of the model as the next stage's teacher, what a client sends to its server).
        before_epoch: called with the epoch number and the training rows before the epoch's first batch; for what it
            computes the same holds. Epochs are counted through all stages.
        after_step: called with the step number, counted through all stages, after each optimiser step.
        trains: names of the modules whose parameters the stage moves; all that are not frozen if None. The others
            are in evaluation mode while the stage lasts, but for frozen ones (teachers).
        course: from where to where it takes the course of the learning rate, all of it unless given: a second stage at
            ``(0.5, 1.0)`` goes on in the middle.

    Raises:
        TypeError: it has neither a loss nor updates, or both, or no positive share, or no part of the course.
    """

    share: float
    views: Callable[[Batch, torch.Generator], Any]
    loss: Callable[[Any], Tensor] | None = None
    updates: Callable[[Any], Iterator[Update]] | None = None
    order: MakeOrder | None = None
    begin: Callable[[Inputs], None] | None = None
    end: Callable[[Inputs], None] | None = None
    before_epoch: Callable[[int, Inputs], None] | None = None
    after_step: Callable[[int], None] | None = None
    trains: tuple[str, ...] | None = None
    course: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if (self.loss is None) == (self.updates is None):
            raise TypeError("a learner or stage has either a loss or updates, and not both")
        if not self.share > 0:
            raise TypeError(f"a stage's share of the steps is above 0; given: {self.share}")
        if not 0 <= self.course[0] < self.course[1] <= 1:
            raise TypeError(f"a stage takes a part of the learning rate's course, 0 to 1; given: {self.course}")


@dataclass(frozen=True)
class Span:
    """The steps ``start`` to ``stop`` (exclusive) that a stage takes, and the number of its first epoch."""

    number: int
    stage: Stage
    order: Order
    start: int
    stop: int
    first_epoch: int

    @property
    def steps(self) -> int:
        return self.stop - self.start

    def rate(self, step: int, training: Training) -> float:
        """The learning rate of one of its steps."""
        first, last = self.stage.course
        total = max(1, round(self.steps / (last - first)))
        return learning_rate(round(first * total) + step - self.start, total, training)

    def batches(self, step: int, inputs: Inputs, seed: int) -> Iterator[tuple[int, np.ndarray]]:
        """Epoch and rows of each step from ``step`` to the end of the stage; calls ``before_epoch`` between them.

        Raises:
            TrainingError: the order gave fewer batches than its length.
        """
        length = len(self.order)
        while step < self.stop:
            epoch, done = divmod(step - self.start, length)
            number = self.first_epoch + epoch
            # In the middle of an epoch its preparations came back with the checkpoint's buffers.
            if done == 0 and self.stage.before_epoch is not None:
                torch.manual_seed(stream_seed(seed, "dropout", 2**31 + number))
                self.stage.before_epoch(number, inputs)
            for rows in islice(self.order.epoch(number), done, length):
                if step == self.stop:
                    return
                yield number, rows
                step, done = step + 1, done + 1
            if done != length:
                raise TrainingError(f"an order of {length} batches gave {done} in epoch {number}")


def lay_out(
    stages: Sequence[Stage], inputs: Inputs, *, batch_size: int, seed: int, order: Order | None = None
) -> list[tuple[Stage, Order]]:
    """Each stage with its order of batches: the caller's ``order`` if there is one, else the stage's own."""

    def shuffled(inputs: Inputs, batch_size: int, seed: int) -> Order:
        return ShuffledOrder(len(inputs), batch_size, seed)

    return [(stage, order or (stage.order or shuffled)(inputs, batch_size, seed)) for stage in stages]


def check_steps(stages: int, total: int) -> None:
    """Raise `SettingsError` where there are fewer steps than stages."""
    if total < stages:
        raise SettingsError(f"{total} steps for {stages} stages: give at least one step a stage")


def spans(stages: Sequence[tuple[Stage, Order]], total: int) -> list[Span]:
    """Share ``total`` steps out among stages: each gets its share, rounded, and at least one step.

    Raises:
        SettingsError: there are fewer steps than stages.
    """
    check_steps(len(stages), total)
    shares = np.array([stage.share for stage, _ in stages])
    edges = np.round(total * np.cumsum(shares) / shares.sum()).astype(int)
    found: list[Span] = []
    start = first_epoch = 0
    for number, (stage, order) in enumerate(stages):
        left = len(stages) - number - 1
        stop = min(max(int(edges[number]), start + 1), total - left)
        found.append(Span(number, stage, order, start, stop, first_epoch))
        first_epoch += -(-(stop - start) // len(order))
        start = stop
    return found
