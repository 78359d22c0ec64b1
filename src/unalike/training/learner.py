"""What a system of the kind "learner" is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from unalike import views
from unalike.encoders import Encoder
from unalike.training.batch import Batch, Inputs
from unalike.training.serves import Capability, usual
from unalike.training.stages import MakeOrder, Stage
from unalike.training.stages import Update as Update

View = Callable[[Any, torch.Generator], Any]
"""Makes a random view of prepared inputs."""


class Looks(list[Any]):
    """What a loss is given of a batch, in order, and the codes of what its rows hold.

    Args:
        parts: views, codes, whatever the loss unpacks.
        same: int64 ``(B, K)``, as objectives take it: rows that share a code are not each other's negatives. None where
            every row is its own (`Batch.same`).

    Example:
        >>> from unalike.training import Looks
        >>> first, second = Looks(["one view", "another"], same=None)
        >>> second
        'another'
    """

    def __init__(self, parts: Iterable[Any], same: Tensor | None) -> None:
        super().__init__(parts)
        self.same = same


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
        codes: how many codes of what it holds a row has (`Inputs.same`), 0 where every row is its own.
        extra: by name how many codes there are of what else is known of each row (`Inputs.extra`): of clients, domains.
    """

    encoders: Mapping[str, Encoder]
    roles: Mapping[str, Sequence[str]]
    rows: int
    steps: int
    steps_per_epoch: int = 1
    view: Mapping[str, View] = field(default_factory=dict)
    classes: int = 0
    codes: int = 0
    extra: Mapping[str, int] = field(default_factory=dict)

    def queue(self, size: int) -> dict[str, int]:
        """The size of a queue of keys, and how many codes it keeps with each of them, as `unalike.pairing.Queue` asks.

        Where it is known what is the same, no queue is longer than an epoch.
        """
        return {"size": min(size, max(1, self.rows)) if self.codes else size, "codes": self.codes}

    def random_views(self, kind: str, *own: View) -> Callable[[Batch, torch.Generator], Looks]:
        """For each batch, one entry of ``kind`` a row, seen through each of the system's ``own`` views.

        Views that the user chose replace the system's. Crops of several sizes are `unalike.views.multi_crop`'s views.
        """
        groups = [(view, len(list(equal))) for view, equal in groupby(self.view.get(kind, view) for view in own)]

        def look(batch: Batch, generator: torch.Generator) -> Looks:
            [(entries, _)] = batch.choose(self.roles[kind], generator)
            seen = [seen for view, count in groups for seen in looks(view, entries, generator, count)]
            return Looks(seen, batch.same)

        return look


def looks(view: View, entries: Any, generator: torch.Generator, count: int) -> list[Any]:
    """``count`` looks of a batch through one view: more than two are made together, as one large batch.

    One or two are drawn one after the other, so that stored results of systems with two views can be made again.
    """
    if count > 2 and isinstance(view, views.View):
        return view.views(entries, generator, count=count)
    return [view(entries, generator) for _ in range(count)]


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
        order: makes the order of batches from the training rows, the batch size and the seed; shuffled epochs if None.
        before_epoch: called with the epoch number and the training rows before the epoch's first batch (clusters,
            graphs, mining). A run that is resumed within the epoch does not call it again: what it computes must lie
            in parameters or buffers of ``modules``, and be written there in place.
        after_step: called with the step number after each optimiser step (teacher, queue).
        stages: for a training in several parts, in place of views, loss, updates, order and the two hooks.
        frozen: names of modules whose parameters no optimiser moves (teachers).
        serves: what the trained system is used for; vectors, or rankings where it encodes clicks or labels, unless
            given.
        rates: by name of a module the factor of the learning rate of its parameters, where it is not 1.

    Raises:
        TypeError: neither or both of loss and updates, or stages beside what they replace, or an unknown module.
    """

    modules: Mapping[str, nn.Module]
    encoders: Mapping[str, Encoder]
    views: Callable[[Batch, torch.Generator], Any] | None = None
    loss: Callable[[Any], Tensor] | None = None
    updates: Callable[[Any], Iterator[Update]] | None = None
    project: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    order: MakeOrder | None = None
    before_epoch: Callable[[int, Inputs], None] | None = None
    after_step: Callable[[int], None] | None = None
    stages: tuple[Stage, ...] = ()
    frozen: tuple[str, ...] = ()
    serves: tuple[Capability, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.serves = self.serves or usual(self.encoders)
        own = (self.views, self.loss, self.updates, self.order, self.before_epoch, self.after_step)
        if self.stages and any(part is not None for part in own):
            raise TypeError("a learner with stages gives views, loss, updates, order and hooks in its stages")
        self.module = nn.ModuleDict(self.modules)
        for stage in self.phases:
            unknown = sorted(set(stage.trains or ()) - set(self.modules))
            if unknown:
                raise TypeError(f"a stage trains {', '.join(unknown)}; the modules are {', '.join(self.modules)}")
        if unknown := sorted(set(self.rates) - set(self.modules)):
            raise TypeError(f"rates for {', '.join(unknown)}; the modules are {', '.join(self.modules)}")
        for name in self.frozen:
            self.module[name].requires_grad_(False)

    @property
    def phases(self) -> tuple[Stage, ...]:
        """The stages; a learner without any has one, which is itself."""
        if self.stages:
            return self.stages
        if self.views is None:
            raise TypeError("a learner has views, or stages that have them")
        return (
            Stage(
                share=1.0,
                views=self.views,
                loss=self.loss,
                updates=self.updates,
                order=self.order,
                before_epoch=self.before_epoch,
                after_step=self.after_step,
            ),
        )

    def moved_by(self, stage: Stage) -> list[nn.Parameter]:
        """The parameters that a stage moves."""
        names = self.modules if stage.trains is None else stage.trains
        return [p for p in nn.ModuleDict({n: self.modules[n] for n in names}).parameters() if p.requires_grad]

    def enter(self, stage: Stage) -> None:
        """Put every module in the mode that it has in a stage."""
        self.module.train(stage.trains is None)
        for name in (*(stage.trains or ()), *self.frozen):
            self.modules[name].train()

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
