"""Studies on digits: what a run is given, what a measure takes from its table, and what a table must be."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from unalike import claims, systems
from unalike.checks import works
from unalike.claims import Job, Scale, Study, measured
from unalike.errors import DataError, SettingsError
from unalike.records import Arm, Bed, Claim, Measure, Paper


@dataclass(frozen=True, kw_only=True)
class Settings:
    learner: str = "simclr"
    broken: str = ""


def build(settings: Settings) -> Study:
    def run(experiment):
        if settings.broken:
            return {"empty": {}, "infinite": {"a": float("inf")}}[settings.broken]
        trials = [experiment.trained(settings.learner), experiment.trained("simclr", options={"steps": 40})]
        SEEN.append((experiment, trials))
        return {f"after {trial.steps} steps": measured("knn", trial) for trial in trials} | {
            "seed": float(experiment.seed)
        }

    def floors(experiment):
        bare = experiment.trained(settings.learner, options={"learning_rate": 0.0})
        return {"after 6 steps": {"untrained": measured("knn", bare)}}

    return Study(run=run, floors=floors)


SEEN: list = []
PAPER = Paper(slug="asked", title="T", authors="A", year=2024, modality="image", roles=("image",), kind="study")
CLAIM = Claim(
    sentence="More steps help.",
    bed=Bed(set="digits", size=16, rows=200),
    encoder={"image": {"name": "grid", "widths": (8, 16), "width": 16}},
    views="gentle",
    training={"steps": 6, "batch_size": 32},
    arms={"dcl": Arm(settings={"learner": "dcl"})},
    tune={"learning_rate": (1e-3, 1e-2)},
    measures=(
        Measure(name="short", metric="after 6 steps", against="dcl"),
        Measure(name="gain", metric=lambda table: table["after 40 steps"] - table["after 6 steps"], against=0.0),
    ),
)


@pytest.fixture
def work(monkeypatch):
    own = SimpleNamespace(slug="asked", paper=PAPER, claim=CLAIM, settings=Settings, build=build)
    find = systems.find
    monkeypatch.setattr(systems, "find", lambda slug, kind=None: own if slug == "asked" else find(slug, kind=kind))
    SEEN.clear()
    return works.StudyWork("asked", CLAIM)


def test_a_run_trains_on_the_data_of_the_claim_and_scores_the_test_rows_once(work):
    outcome = work(
        Job(stage="score", arm="system", seed=3, chosen={"learning_rate": 1e-3}, metrics=(0, 1), floors=True)
    )
    [(experiment, (short, long))] = SEEN
    assert outcome.reads == 1
    assert short.scored.rows.tolist() == long.scored.rows.tolist() == experiment.ground.test.tolist()
    assert len(short.reference) == 200
    assert (short.steps, long.steps) == (6, 40)
    assert outcome.table["seed"] == 3.0
    assert outcome.values["0"] == outcome.table["after 6 steps"] == measured("knn", short)
    assert outcome.values["1"] == outcome.table["after 40 steps"] - outcome.table["after 6 steps"]
    assert set(outcome.floors) == {"0"}
    assert outcome.floors["0"]["untrained"] != outcome.values["0"]
    assert outcome.settings["settings"] == {"learner": "simclr", "broken": ""}
    dcl = work(Job(stage="score", arm="dcl", seed=3, chosen={"learning_rate": 1e-3}, metrics=(0,)))
    assert dcl.table["after 6 steps"] != outcome.table["after 6 steps"]
    # The arms of a seed share what is alike in them.
    assert dcl.table["after 40 steps"] == outcome.table["after 40 steps"]


def test_settings_are_chosen_on_validation_rows(work):
    tuned = work(Job(stage="tune", arm="system", seed=0, chosen={"learning_rate": 1e-2}))
    [(experiment, (short, _))] = SEEN
    assert tuned.reads == 0
    assert short.scored.rows.tolist() == experiment.ground.validation.tolist()
    assert tuned.choice == measured("knn", short)
    lower = dataclasses.replace(CLAIM.measures[0], better="lower")
    turned = works.StudyWork("asked", dataclasses.replace(CLAIM, measures=(lower,)))
    assert turned(Job(stage="tune", arm="system", seed=0, chosen={"learning_rate": 1e-2})).choice == -tuned.choice
    chosen = works.StudyWork("asked", dataclasses.replace(CLAIM, choose="after 40 steps"))
    assert chosen(Job(stage="tune", arm="system", seed=0)).choice == measured("knn", SEEN[-1][1][1])


def test_a_miniature_has_fewer_rows_and_steps(work, tmp_path):
    scale = Scale(folder=tmp_path, rows=40, scored=30, steps=2)
    seen = []
    small = works.StudyWork("asked", scale.claim(CLAIM), scale, seen.append)
    small(Job(stage="score", arm="system", seed=0, metrics=()))
    [(_, (short, long))] = SEEN
    assert (len(short.reference), len(short.scored)) == (40, 30)
    assert (short.steps, long.steps) == (2, 2)
    vectors = seen[0].sample(5)
    assert len(vectors) == 2
    for (name, rows), trial in zip(vectors.items(), (short, long), strict=True):
        assert name.endswith("simclr image")
        np.testing.assert_array_equal(rows, trial.scored.vectors()[:5])


def test_what_is_wrong_is_said(work):
    wrong = dataclasses.replace(CLAIM, measures=(Measure(name="a", metric="loss", against=0.0),))
    with pytest.raises(SettingsError, match="no 'loss'; it has: after 6 steps, after 40 steps, seed"):
        works.StudyWork("asked", wrong)(Job(stage="score", arm="system", seed=0, metrics=(0,)))
    for broken, told in (("empty", "it is empty"), ("infinite", "a is not finite")):
        arms = dataclasses.replace(CLAIM, arms={"system": Arm(settings={"broken": broken})})
        with pytest.raises(SettingsError, match=told):
            works.StudyWork("asked", arms)(Job(stage="score", arm="system", seed=0))
    with pytest.raises(SettingsError, match="contrastive-search is no learner"):
        SEEN.clear()
        arms = dataclasses.replace(CLAIM, arms={"system": Arm(settings={"learner": "contrastive-search"})})
        works.StudyWork("asked", arms)(Job(stage="score", arm="system", seed=0))
    with pytest.raises(DataError, match="second time"):
        sealed = claims.Sealed([1])
        sealed.open(), sealed.open()


def test_a_row_keeps_the_whole_table_of_every_seed_and_is_read_back(work, tmp_path):
    row = claims.check(PAPER, CLAIM, work, code="c0de", versions={}, seeds=2, jobs=0)
    row = claims.read_row(row.save(tmp_path))
    assert {arm: set(table) for arm, table in row.tables.items()} == {
        name: {"after 6 steps", "after 40 steps", "seed"} for name in ("system", "dcl")
    }
    assert list(row.tables["dcl"]["seed"]) == [0.0, 1.0]
    [seed] = [found for name, arm, found in row.numbers if (name, arm) == ("seed", "dcl")]
    assert seed.value == 0.5
    assert seed.interval[0] < 0 < 1 < seed.interval[1]
    assert list(row.first.values["dcl"]) == list(row.tables["dcl"]["after 6 steps"])
