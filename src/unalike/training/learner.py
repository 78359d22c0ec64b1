"""What a system of the kind "learner" is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from unalike.encoders import Encoder
from unalike.training.batch import Batch

Update = tuple[Tensor, Iterable[nn.Parameter]]
"""A loss and the parameters that it may move."""

View = Callable[[Any, torch.Generator], Any]
"""Makes a random view of prepared inputs."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a system is built for: the encoders it gets, the data's shape, and the length of the training.

    Args:
        encoders: a fresh encoder for each kind of column that the system learns from.
        roles: the roles of each kind that the data have, in order: ``{"image": ("image:a", "image:b")}``.
        view: views that the user chose instead of the system's own, by kind.
        rows: rows to train on.
        steps: optimiser steps in all.
        steps_per_epoch: optimiser steps an epoch.
        classes: number of classes, 0 without labels.
    """

    encoders: Mapping[str, Encoder]
    roles: Mapping[str, Sequence[str]]
    rows: int
    steps: int
    steps_per_epoch: int = 1
    view: Mapping[str, View] = field(default_factory=dict)
    classes: int = 0

    def random_views(self, kind: str, *own: View) -> Callable[[Batch, torch.Generator], list[Any]]:
        """For each batch, one entry of ``kind`` a row, seen through each of the system's ``own`` views.

        Views that the user chose replace the system's.
        """

        def look(batch: Batch, generator: torch.Generator) -> list[Any]:
            [(entries, _)] = batch.choose(self.roles[kind], generator)
            return [self.view.get(kind, view)(entries, generator) for view in own]

        return look


@dataclass(kw_only=True)
class Learner:
    """A contrastive system, composed of parts.

    Args:
        modules: everything that a checkpoint must carry, by name: encoders, heads, teachers, queues, prototypes.
        encoders: the encoder that serves each kind of column when the trained model is used.
        views: makes from a batch what the loss looks at; all randomness comes from the generator it is given.
        loss: the loss of the views. Systems with several alternating steps give ``updates`` instead.
        updates: yields ``(loss, parameters)`` one after the other; the loop makes one optimiser step for each.
        project: maps an encoder's vector to the space that is compared at use, by kind; identity where absent.
        before_epoch: called with the epoch number before its first batch (clusters, graphs, mining).
        after_step: called with the step number after each optimiser step (teacher, queue).
        frozen: names of modules whose parameters no optimiser moves (teachers).
    """

    modules: Mapping[str, nn.Module]
    encoders: Mapping[str, Encoder]
    views: Callable[[Batch, torch.Generator], Any]
    loss: Callable[[Any], Tensor] | None = None
    updates: Callable[[Any], Iterator[Update]] | None = None
    project: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    before_epoch: Callable[[int], None] | None = None
    after_step: Callable[[int], None] | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.loss is None) == (self.updates is None):
            raise TypeError("a learner has either a loss or updates, and not both")
        self.module = nn.ModuleDict(self.modules)
        for name in self.frozen:
            self.module[name].requires_grad_(False)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters that training moves."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def embed(self, kind: str, inputs: Any) -> Tensor:
        """L2-normalised vectors ``(B, D)`` of plain inputs of one kind, as search and evaluation compare them."""
        encoder = self.encoders[kind]
        vector = encoder(encoder.plain(inputs)).vector.float()
        project = self.project.get(kind)
        return nn.functional.normalize(vector if project is None else project(vector), dim=-1)
