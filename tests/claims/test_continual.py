"""Tasks one after the other: what is left of the first task after the second is read from the end of each stage."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from unalike import systems, training
from unalike.checks import grounds, works
from unalike.claims import Ground, Job, measured, run_trial
from unalike.claims.trial import raw_vectors
from unalike.records import Bed, Claim, Measure, Paper, needs

BED = Bed(set="digits", rows=400)
ENCODER = {"array": {"name": "mlp", "hidden": 32, "depth": 1, "width": 16}}
TASKS = (range(5), range(5, 10))


@dataclass(frozen=True, kw_only=True)
class Settings:
    tasks: int = 2


def build(settings: Settings, task: training.Task) -> training.Learner:
    """A classifier that is taught five digits, and then the five others."""
    encoder = task.encoders["array"]
    head = nn.Linear(encoder.width, 10)

    def rows_of(digits, inputs, batch, seed):
        return training.AmongRows(np.flatnonzero(np.isin(inputs.labels, digits)), batch, seed)

    def loss(seen):
        rows, labels = seen
        return nn.functional.cross_entropy(head(encoder(rows).vector), labels)

    def views(batch, generator):
        return encoder.plain(batch.role("array")), batch.labels

    stage = partial(training.Stage, share=1, views=views, loss=loss)
    stages = tuple(stage(order=partial(rows_of, digits)) for digits in TASKS[: settings.tasks])
    return training.Learner(modules={"encoder": encoder, "head": head}, encoders={"array": encoder}, stages=stages)


def of_task(trial, number):
    """kNN accuracy among the digits of a task."""
    sides = {}
    for name in ("reference", "scored"):
        side = getattr(trial, name)
        codes = side.labels()
        sides[name] = replace(side, classes={"label": np.where(np.isin(codes, TASKS[number]), codes, -1)})
    return measured("knn", replace(trial, **sides))


@needs("stages")
def first_task_after_second(trial):
    return of_task(trial.after[1], 0)


@needs("stages")
def forgotten(trial):
    return of_task(trial.after[0], 0) - of_task(trial.after[-1], 0)


PAPER = Paper(slug="taught", title="T", authors="A", year=2024, modality="table", roles=("array",), labels=True)
FOUND = SimpleNamespace(slug="taught", paper=PAPER, settings=Settings, build=build)
OPTIONS = {"steps": 60, "batch_size": 32, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def ground():
    return Ground.of(BED, grounds.opened(BED), ENCODER)


def trial(ground, after=True, settings=None, **options):
    return run_trial(ground, FOUND, settings=settings or {}, options=OPTIONS | options, seed=0, test=None, after=after)


def test_each_stage_is_kept_as_it_ended(ground):
    whole = trial(ground)
    assert len(whole.after) == 2
    first, second = whole.after
    for side in ("reference", "scored"):
        np.testing.assert_array_equal(getattr(second, side).vectors(), getattr(whole, side).vectors())
    # The first stage alone, in as many steps, is the same training.
    alone = trial(ground, settings={"tasks": 1}, steps=30)
    np.testing.assert_array_equal(first.scored.vectors(), alone.scored.vectors())
    np.testing.assert_array_equal(first.reference.vectors(), alone.reference.vectors())
    assert first.learner is None
    assert first.scored.rows.tolist() == whole.scored.rows.tolist()
    assert not np.array_equal(first.scored.vectors(), second.scored.vectors())
    # Looking on changes nothing.
    unseen = trial(ground, after=False)
    assert unseen.after == ()
    state = whole.learner.module.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in unseen.learner.module.state_dict().items())


def test_floors_and_controls_have_stages_too(ground):
    untrained = trial(ground, learning_rate=0.0)
    assert len(untrained.after) == 2
    np.testing.assert_array_equal(untrained.after[0].scored.vectors(), untrained.scored.vectors())
    assert forgotten(untrained) == 0.0
    raw = {side: {"array": raw_vectors(ground, getattr(untrained, side), "array")} for side in ("reference", "scored")}
    assert first_task_after_second(untrained.with_vectors(**raw)) > 0.9
    control = untrained.shuffled()
    np.testing.assert_array_equal(control.after[1].scored.labels(), control.scored.labels())
    assert not np.array_equal(control.scored.labels(), untrained.scored.labels())


def test_a_claim_is_measured_after_a_task_if_a_metric_asks_for_it(ground, monkeypatch):
    find = systems.find
    monkeypatch.setattr(systems, "find", lambda slug, kind=None: own if slug == "taught" else find(slug, kind=kind))
    claim = Claim(
        sentence="It forgets.",
        bed=BED,
        encoder=ENCODER,
        training=OPTIONS,
        measures=(
            Measure(name="first task after the second", metric=first_task_after_second, against=0.5),
            Measure(name="forgotten", metric=forgotten, against=0.0, mechanism=True),
        ),
    )
    own = SimpleNamespace(**vars(FOUND), claim=claim)
    seen = []
    work = works.LearnerWork("taught", claim, watch=seen.append)
    outcome = work(Job(stage="score", arm="system", seed=0, metrics=(0, 1), floors=True))
    assert outcome.reads == 1
    [found] = seen
    assert outcome.values["0"] == of_task(found, 0)
    assert outcome.values["1"] == of_task(found.after[0], 0) - of_task(found, 0)
    assert 0.5 < outcome.values["0"] < of_task(found.after[0], 0)
    assert outcome.floors["0"].keys() == outcome.floors["1"].keys() == {"untrained encoder", "raw features"}
    assert outcome.floors["1"] == {"untrained encoder": 0.0, "raw features": 0.0}
    plain = dataclasses.replace(claim, measures=(Measure(name="kNN", metric="knn", against=0.1),))
    works.LearnerWork("taught", plain, watch=seen.append)(Job(stage="score", arm="system", seed=0, metrics=(0,)))
    assert seen[-1].after == ()
