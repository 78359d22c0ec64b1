"""What a system of the kind "learner" is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from unalike.encoders import Encoder

Batch = Mapping[str, Any]
"""What the loader gives: ``index`` ``(B,)``, maybe ``label`` ``(B,)``, and for each role its prepared rows."""

Update = tuple[Tensor, Iterable[nn.Parameter]]
"""A loss and the parameters that it may move."""


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
        after_step: called after each optimiser step (teacher, queue).
        frozen: names of modules whose parameters no optimiser moves (teachers).
    """

    modules: Mapping[str, nn.Module]
    encoders: Mapping[str, Encoder]
    views: Callable[[Batch, torch.Generator], Any]
    loss: Callable[[Any], Tensor] | None = None
    updates: Callable[[Any], Iterator[Update]] | None = None
    project: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    before_epoch: Callable[[int], None] | None = None
    after_step: Callable[[], None] | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.loss is None) == (self.updates is None):
            raise TypeError("a learner has either a loss or updates, and not both")

    def embed(self, kind: str, inputs: Any) -> Tensor:
        """L2-normalised vectors ``(B, D)`` of plain inputs of one kind, as search and evaluation compare them."""
        encoder = self.encoders[kind]
        vector = encoder(encoder.plain(inputs)).vector
        project = self.project.get(kind)
        return nn.functional.normalize(vector if project is None else project(vector), dim=-1)
