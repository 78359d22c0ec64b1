"""From encoders and training rows to a learner that is ready to be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from unalike.encoders import Encoder
from unalike.training.batch import Inputs
from unalike.training.learner import Learner, Task, View
from unalike.training.order import stream_seed
from unalike.training.settings import Training


def assemble(
    build: Callable[[Task], Learner],
    encoders: Mapping[str, Encoder],
    roles: Mapping[str, Sequence[str]],
    inputs: Inputs,
    training: Training,
    *,
    view: Mapping[str, View] | None = None,
    classes: int = 0,
) -> Learner:
    """A learner whose new weights follow from the seed alone.

    Args:
        build: makes the learner for a task: a system's ``build`` with its settings filled in.
        encoders: by kind, as the learner gets them.
        roles: by kind the roles that are learned from.
        inputs: the training rows.
        training: resolved settings.
        view: by kind the views that replace the system's own.
        classes: number of classes, 0 without labels.

    Example:
        >>> from functools import partial
        >>> import numpy as np
        >>> from unalike import encoders, systems, training
        >>> from unalike.data import ArrayColumn
        >>> column = ArrayColumn(np.eye(8, dtype=np.float32))
        >>> towers, scarf = {"array": encoders.build_encoder("mlp", [column])}, systems.find("scarf")
        >>> inputs = training.Inputs({"array": towers["array"].prepare(column)})
        >>> options = training.Training(steps=3).resolved(scarf.recipe, len(inputs))
        >>> build = partial(scarf.build, scarf.settings())
        >>> sorted(training.assemble(build, towers, {"array": ("array",)}, inputs, options).modules)
        ['encoder', 'projector']
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(training.seed, "weights", 1))
        return build(task_of(encoders, roles, inputs, training, view=view, classes=classes))


def task_of(
    encoders: Mapping[str, Encoder],
    roles: Mapping[str, Sequence[str]],
    inputs: Inputs,
    training: Training,
    *,
    view: Mapping[str, View] | None = None,
    classes: int = 0,
) -> Task:
    """What a system is told of the data when it is built; the arguments are those of `assemble`."""
    assert training.batch_size is not None
    return Task(
        encoders=encoders,
        roles=roles,
        rows=len(inputs),
        steps=max(1, training.total_steps(len(inputs))),
        steps_per_epoch=max(1, len(inputs) // training.batch_size),
        view=view or {},
        classes=classes,
        codes=0 if inputs.same is None else inputs.same.shape[1],
        extra=counts(inputs),
    )


def counts(inputs: Inputs) -> dict[str, int]:
    """By name how many codes there are of what else is known of each row; nothing of numbers that are no codes."""
    return {
        name: int(codes.max(initial=-1)) + 1
        for name, codes in inputs.extra.items()
        if np.issubdtype(codes.dtype, np.integer)
    }
