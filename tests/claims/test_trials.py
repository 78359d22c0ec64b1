"""Real trials on digits: both arms start alike, permuted classes fall to the floor, nothing is found in nothing."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from unalike import systems, training
from unalike.checks import grounds, starts, works
from unalike.claims import METRICS, Ground, Job, Sealed, judge, run_trial
from unalike.claims.floors import floor_of
from unalike.claims.metrics import found_again, measured
from unalike.claims.trial import raw_vectors
from unalike.errors import DataError, SettingsError
from unalike.records import Arm, Bed, Claim, Measure, needs, needs_of

BED = Bed(set="digits", size=16, rows=300)
ENCODER = {"image": {"name": "grid", "widths": (8, 16), "width": 16}}


@pytest.fixture(scope="module")
def ground():
    return Ground.of(BED, grounds.opened(BED), ENCODER)


def trial(ground, slug="simclr", seed=0, test=None, **options):
    found = systems.find(slug)
    return run_trial(
        ground,
        found,
        settings={},
        options={"steps": 6, "batch_size": 32} | options,
        seed=seed,
        test=test,
        look="gentle",
    )


def test_same_seed_same_trial_and_another_seed_another(ground):
    first, again, other = trial(ground), trial(ground), trial(ground, seed=1)
    assert np.array_equal(first.scored.vectors(), again.scored.vectors())
    assert not np.array_equal(first.scored.vectors(), other.scored.vectors())


def test_arms_of_a_seed_start_from_the_same_encoder_and_see_the_same_views(ground):
    ours, theirs = (trial(ground, slug, learning_rate=0.0) for slug in ("dcl", "simclr"))
    assert np.array_equal(ours.scored.vectors(), theirs.scored.vectors())
    for one, two in zip(
        ours.learner.module.state_dict().values(), theirs.learner.module.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two)
    (mine,), (yours,) = ours.looks(8), theirs.looks(8)
    assert all(torch.equal(one, two) for one, two in zip(mine, yours, strict=True))


def test_validation_is_scored_while_choosing_and_test_once_at_the_end(ground):
    sealed = Sealed(ground.test)
    assert trial(ground).scored.rows.tolist() == ground.validation.tolist()
    assert trial(ground, test=sealed).scored.rows.tolist() == ground.test.tolist()
    with pytest.raises(DataError, match="second time"):
        trial(ground, test=sealed)


def test_permuted_classes_bring_each_metric_to_its_floor(ground):
    trained = trial(ground, steps=40)
    control = trained.shuffled()
    for name, metric in METRICS.items():
        if metric.chance is None:
            continue
        chance, value, real = metric.chance(control, None), measured(name, control), measured(name, trained)
        # Four deviations of a share of this many rows; agreement of clusters scatters less.
        noise = 4 * np.sqrt(max(chance, 0.1) * (1 - chance) / len(control.scored))
        assert abs(value - chance) < noise, f"{name}: {value} with permuted classes, chance is {chance}"
        assert real > chance + noise, f"{name}: {real} does not stand out from {chance}"


def test_nothing_is_found_between_a_system_and_itself(ground):
    """Other seeds on both sides: 95% of the verdicts must be open."""
    scores = np.array([measured("knn", trial(ground, seed=seed, steps=4)) for seed in range(30)])
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(scores)[:10] for _ in range(400)]
    verdicts = [judge(ten[:5] - ten[5:]).verdict for ten in drawn]
    assert 0.90 <= verdicts.count("open") / 400 <= 0.99
    assert np.ptp(scores) > 0


def test_a_changed_look_finds_its_original(ground):
    assert found_again(trial(ground)) > 0.1 > 10 / len(ground.validation)


def claim_of(*measures: Measure) -> Claim:
    return Claim(
        sentence="It works.",
        baseline="simclr",
        bed=BED,
        encoder=ENCODER,
        training={"steps": 3, "batch_size": 32},
        measures=measures,
    )


def test_work_reports_costs_floors_and_one_reading():
    claim = claim_of(Measure(name="kNN", metric="knn"), Measure(name="rank", metric="effective_rank"))
    work = works.LearnerWork("dcl", claim)
    outcome = work(Job(stage="score", arm="system", seed=0, metrics=(0, 1), floors=True))
    assert outcome.reads == 1
    assert outcome.seconds > 0
    assert outcome.memory > 50
    assert set(outcome.floors["0"]) == {"raw features", "untrained encoder", "shuffled", "chance"}
    assert set(outcome.floors["1"]) == {"raw features", "untrained encoder"}
    assert sum(outcome.curves["same"]) == pytest.approx(1, abs=1e-3)
    assert outcome.settings["system"] == "dcl"
    tuned = work(Job(stage="tune", arm="baseline", seed=10_000, chosen={"learning_rate": 0.01}))
    assert tuned.reads == 0
    assert tuned.choice is not None
    with pytest.raises(SettingsError, match="no setting for"):
        work(Job(stage="tune", arm="baseline", seed=0, chosen={"colour": 1}))


def nearest_is_alike(trial):
    """Share of the scored rows whose nearest other row has their class: a function of vectors and classes."""
    scores = trial.scored.vectors() @ trial.scored.vectors().T
    np.fill_diagonal(scores, -np.inf)
    return float((trial.scored.labels() == trial.scored.labels()[scores.argmax(1)]).mean())


@needs("learner")
def by_the_learner(trial):
    """The same, asking the learner for the vectors."""
    role = next(iter(trial.scored.spaces))
    vectors = training.embed(trial.learner, "image", trial.scored.inputs.prepared[role], np.arange(len(trial.scored)))
    return nearest_is_alike(trial.with_vectors(trial.reference.spaces, {role: vectors}))


@needs("training")
def last_loss(trial):
    return trial.log[-1]["loss"]


@needs("training")
def loss_of_a_look(trial):
    return float(len(list(trial.looks(8))))


def no_number(trial):
    return float("nan")


def test_a_function_has_the_floors_that_mean_something():
    functions = (nearest_is_alike, by_the_learner, last_loss, loss_of_a_look, no_number)
    claim = claim_of(*(Measure(name=each.__name__, metric=each) for each in functions))
    work = works.LearnerWork("dcl", claim)
    job = Job(stage="score", arm="system", seed=0, metrics=(0, 1, 2, 3), floors=True)
    outcome = work(job)
    assert outcome.reads == 1
    assert outcome.floors.keys() == {"0", "1", "2", "3"}
    assert outcome.floors["0"].keys() == {"raw features", "untrained encoder"}
    assert outcome.floors["1"].keys() == {"untrained encoder"}
    assert outcome.floors["2"] == outcome.floors["3"] == {}

    # The same by hand.
    ground = grounds.ground_of(claim.bed, claim)
    options = {"steps": 3, "batch_size": 32, "learning_rate": 0.0}
    bare = run_trial(ground, systems.find("dcl"), settings={}, options=options, seed=0, test=Sealed(ground.test))
    assert (
        outcome.floors["0"]["untrained encoder"] == outcome.floors["1"]["untrained encoder"] == nearest_is_alike(bare)
    )
    role = next(iter(bare.scored.spaces))
    pixels = {role: raw_vectors(ground, bare.scored, role)}
    assert outcome.floors["0"]["raw features"] == nearest_is_alike(bare.with_vectors(bare.reference.spaces, pixels))

    # Values and floors do not depend on each other, and the baseline's floors are nobody's.
    alone = work(dataclasses.replace(job, floors=False))
    assert dict(alone.values) == dict(outcome.values)
    assert work(dataclasses.replace(job, arm="baseline", metrics=(0,))).floors == {}
    assert floor_of(no_number, bare) is None


def test_a_metric_that_asks_for_what_it_has_not_declared_is_told_what_to_write(ground):
    bare = trial(ground, learning_rate=0.0)
    vectors = bare.with_vectors(bare.reference.spaces, bare.scored.spaces)
    with pytest.raises(SettingsError, match=r'fails on vectors without a learner.*@needs\("learner"\)'):
        floor_of(lambda trial: trial.learner.modules, vectors)
    with pytest.raises(SettingsError, match="fails on a learner that was not trained"):
        floor_of(lambda trial: trial.log[-1], bare)
    assert floor_of(by_the_learner, vectors) is None
    assert floor_of(last_loss, bare) is None
    with pytest.raises(TypeError, match="learner, training, stages; given: luck"):
        needs("luck")
    assert needs_of(partial(by_the_learner)) == {"learner"}


def test_pretrained_starts_are_made_once_and_shared():
    from unalike.records import Start

    claim = Claim(
        sentence="It works.",
        bed=BED,
        encoder=ENCODER,
        training={"steps": 2, "batch_size": 32, "learning_rate": 0.0},
        start=Start(training={"steps": 3, "batch_size": 32}),
        arms={"baseline": Arm(system="simclr")},
        measures=(Measure(name="kNN", metric="knn"),),
    )
    first = starts.pretrained(claim, 0)
    again = starts.pretrained(claim, 0)
    assert all(torch.equal(first["image"][name], again["image"][name]) for name in first["image"])
    other = starts.pretrained(claim, 1)
    assert not all(torch.equal(first["image"][name], other["image"][name]) for name in first["image"])
    assert starts.pretrained(dataclasses.replace(claim, start=None), 0) is None
