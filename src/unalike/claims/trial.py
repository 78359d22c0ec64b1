"""One arm, one seed: train, then hand the metrics what they may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from unalike import evaluation, training, views
from unalike.claims.ground import Ground, Sealed
from unalike.data import LabelColumn
from unalike.data.roles import kind_of
from unalike.encoders import Prepared
from unalike.errors import DataError
from unalike.records import Recipe
from unalike.settings import read_dataclass
from unalike.training import Inputs, Learner


@dataclass(frozen=True)
class Side:
    """Some rows in the eyes of a model: vectors by role, and the classes that metrics compare them with.

    Args:
        rows: row numbers in the collection.
        spaces: by role ``(N, D)`` vectors of unit length.
        classes: by label role int64 ``(N,)``, -1 where unknown.
        label: the label role that is read where none is named.
        inputs: the prepared rows, as training gets them.
    """

    rows: np.ndarray
    spaces: Mapping[str, np.ndarray]
    classes: Mapping[str, np.ndarray]
    label: str
    inputs: Inputs

    def __len__(self) -> int:
        return len(self.rows)

    def vectors(self, role: str | None = None) -> np.ndarray:
        """``(N, D)`` of one role, by default the first."""
        return self.spaces[next(iter(self.spaces)) if role is None else role]

    def labels(self, role: str | None = None) -> np.ndarray:
        """Int64 ``(N,)`` classes of one label role, by default the claim's."""
        name = self.label if role is None else role if role.startswith("label") else f"label:{role}"
        if name not in self.classes:
            raise DataError(f"there is no label role {name!r}; there are: {', '.join(self.classes) or 'none'}")
        return self.classes[name]

    def targets(self, role: str) -> np.ndarray:
        """Float ``(N, F)`` numbers of an array role."""
        return self.inputs.prepared[role].take(np.arange(len(self))).numpy()


@dataclass
class Trial:
    """A trained arm at one seed, as metrics see it.

    Args:
        arm: its name.
        seed: of weights, order and views.
        learner: the trained learner; None for a floor, which has vectors and nothing else.
        reference: the training rows, which probes learn from.
        scored: the rows that are scored: of validation while settings are chosen, of test once at the end.
        log: the rows of training metrics (``step``, ``loss``, ...).
        settings: the system's resolved settings.
        steps: optimiser steps made.
        after: by stage the same rows by the vectors that they had when that stage of the training ended, for a metric
            that needs them (`unalike.records.needs`): what is forgotten of a first task after a second.
        scratch: for metrics that share a costly intermediate result.
    """

    arm: str
    seed: int
    learner: Learner | None
    reference: Side
    scored: Side
    log: Sequence[Mapping[str, float]] = ()
    settings: Any = None
    steps: int = 0
    after: tuple[Trial, ...] = ()
    scratch: dict[str, Any] = field(default_factory=dict)

    def looks(self, size: int, count: int = 1, *, scored: bool = False) -> Iterator[Any]:
        """What the learner's loss would see of ``count`` random batches of ``size`` rows, seeded by the trial.

        Of the training rows, or with ``scored`` of the scored ones; of a learner with stages, as its last one does.
        """
        assert self.learner is not None
        inputs = (self.scored if scored else self.reference).inputs
        look = self.learner.phases[-1].views
        rng = np.random.default_rng(self.seed)
        for number in range(count):
            rows = rng.choice(len(inputs), min(size, len(inputs)), replace=False)
            yield look(inputs.batch(rows), training.step_generator(self.seed, 2**30 + number))

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """By role the vectors of the first scored rows."""
        return {role: vectors[:count] for role, vectors in self.scored.spaces.items()}

    @cached_property
    def pair_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Cosines of the scored rows' vectors: of pairs of one class, and of pairs of two."""
        labels, vectors = self.scored.labels(), self.scored.vectors()
        rows = np.flatnonzero(labels >= 0)[:1500]
        scores = vectors[rows] @ vectors[rows].T
        upper = np.triu(np.ones(scores.shape, bool), 1)
        same = labels[rows][:, None] == labels[rows][None, :]
        return scores[upper & same], scores[upper & ~same]

    def with_vectors(self, reference: Mapping[str, np.ndarray], scored: Mapping[str, np.ndarray]) -> Trial:
        """The same rows through other vectors: a floor."""
        return replace(
            self,
            learner=None,
            reference=replace(self.reference, spaces=reference),
            scored=replace(self.scored, spaces=scored),
            after=tuple(each.with_vectors(reference, scored) for each in self.after),
            scratch={},
        )

    def shuffled(self) -> Trial:
        """The control: the classes of training and scored rows permuted, so that every metric of them must fall to
        its floor."""
        rng = np.random.default_rng(self.seed)
        learnt, asked = (rng.permutation(len(side)) for side in (self.reference, self.scored))

        def permuted(side: Side, order: np.ndarray) -> Side:
            return replace(side, classes={role: codes[order] for role, codes in side.classes.items()})

        return replace(
            self,
            reference=permuted(self.reference, learnt),
            scored=permuted(self.scored, asked),
            after=tuple(each.shuffled() for each in self.after),
            scratch={},
        )


def resolve(found: Any, arm_settings: Mapping[str, Any]) -> Any:
    """A system's settings with an arm's in place of the defaults."""
    return read_dataclass(found.settings, dict(arm_settings), f"settings of {found.slug}")


def run_trial(
    ground: Ground,
    found: Any,
    *,
    arm: str = "system",
    build: Callable[[Any, Any], Learner] | None = None,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    seed: int,
    test: Sealed | None,
    start: Mapping[str, Mapping[str, torch.Tensor]] | None = None,
    look: str = "paper",
    after: bool = False,
) -> Trial:
    """Train one arm at one seed.

    Everything that could favour an arm follows from the seed alone: initial weights of the encoders and, as far as
    the arms have the same heads, of these; the order of the rows; the random views.

    Args:
        ground: the data.
        found: the system (a record with ``paper``, ``settings``, ``build``).
        arm: what the trial is called.
        build: makes the learner in place of the system's own.
        settings: of the system.
        options: training settings; what they leave open is the same for every arm.
        seed: of the trial.
        test: the sealed test rows, opened here; None scores the validation rows.
        start: by kind the weights of pretrained encoders.
        look: name of the picture views that replace the system's own.
        after: whether the vectors at the end of each stage are kept.
    """
    kinds = list(dict.fromkeys(kind_of(role) for role in found.paper.roles))
    roles = ground.roles(kinds)
    weights = training.stream_seed(seed, "weights") % 2**31
    towers = {kind: ground.build(kind, roles[kind], weights + number) for number, kind in enumerate(kinds)}
    packed = {role: towers[kind].prepare(ground.collection[role]) for kind in kinds for role in roles[kind]}
    for kind, state in (start or {}).items():
        towers[kind].load_state_dict(state)
    extra = found.paper.extra
    inputs = training.inputs_of(ground.collection, packed, roles, ground.train, label=ground.bed.label, extra=extra)
    resolved = training.Training(**{"device": "cpu", "seed": seed, **options}).resolved(COMMON, len(inputs))
    chosen = resolve(found, settings)
    learner = training.assemble(
        partial(build or found.build, chosen),
        towers,
        roles,
        inputs,
        resolved,
        view=views.chosen(look, ground.bed.size),
        classes=class_count(ground),
    )
    scored = ground.validation if test is None else test.open()

    def seen() -> tuple[Side, Side]:
        with training.evaluating(learner.module):
            reference, asked = (side(ground, learner, roles, packed, rows, extra) for rows in (ground.train, scored))
        return reference, asked

    ended: list[tuple[Side, Side]] = []
    log = trained(learner, inputs, resolved, on_stage=lambda number: ended.append(seen()) if after else None)
    learner.module.eval()
    reference, asked = seen()
    trial = Trial(
        arm=arm,
        seed=seed,
        learner=learner,
        reference=reference,
        scored=asked,
        log=log,
        settings=chosen,
        steps=resolved.total_steps(len(inputs)),
    )
    if after:  # of what never learned, each stage ends as it began
        ended = ended or [(reference, asked)] * len(learner.phases)
        trial.after = tuple(trial.with_vectors(one.spaces, other.spaces) for one, other in ended)
    return trial


def class_count(ground: Ground) -> int:
    """How many classes the label of a ground has; 0 without."""
    label = ground.collection.columns.get(ground.bed.label)
    return len(label.names) if isinstance(label, LabelColumn) else 0


def trained(
    learner: Learner,
    inputs: Inputs,
    options: training.Training,
    on_stage: Callable[[int], None] = lambda number: None,
) -> list[Mapping[str, float]]:
    """Train a learner, unless the learning rate is zero; the rows of training metrics."""
    log: list[Mapping[str, float]] = []
    listener = training.Listener(on_step=lambda step, total, row: log.append(row), on_stage=on_stage)
    if options.learning_rate:
        training.train(learner, inputs, options, listener=listener)
    return log


COMMON = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=10)
"""What a claim leaves open: the same for every arm, whatever the systems' own recipes say."""


def side(
    ground: Ground,
    learner: Learner,
    roles: Mapping[str, Sequence[str]],
    packed: Mapping[str, Prepared],
    rows: np.ndarray,
    extra: Sequence[str] = (),
) -> Side:
    """Rows of the ground through a learner."""
    collection = ground.collection
    served = [role for kind in learner.encoders for role in roles[kind]]
    return Side(
        rows=rows,
        spaces={role: training.embed(learner, kind_of(role), packed[role], rows) for role in served},
        classes={role: collection[role].codes[rows] for role in collection.roles("label")},  # type: ignore[attr-defined]
        label=ground.bed.label,
        inputs=training.inputs_of(collection, packed, roles, rows, label=ground.bed.label, extra=extra),
    )


def floors(ground: Ground, trial: Trial, untrained: Trial) -> dict[str, Trial]:
    """What a trial must be compared with: raw features, the encoder before training, and permuted classes."""
    raw: dict[str, dict[str, np.ndarray]] = {"reference": {}, "scored": {}}
    for role in trial.reference.spaces:
        for name, rows in (("reference", trial.reference), ("scored", trial.scored)):
            raw[name][role] = raw_vectors(ground, rows, role)
    return {
        "raw features": trial.with_vectors(raw["reference"], raw["scored"]),
        "untrained encoder": trial.with_vectors(untrained.reference.spaces, untrained.scored.spaces),
        "shuffled": trial.shuffled(),
    }


def raw_vectors(ground: Ground, rows: Side, role: str) -> np.ndarray:
    """Vectors without a model: standardised pixels or numbers, weighted n-grams of texts."""
    prepared = rows.inputs.prepared[role].whole  # type: ignore[attr-defined]
    return evaluation.raw(ground.collection[role], prepared, rows.rows, fit_on=ground.train)
