"""Measurements while a learner trains: which weights they keep, when they end it, and that a resume repeats them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from test_loop import bits, make_inputs, make_learner, settings
from test_rates import signal_now

from unalike.training import Interrupted, Learner, Listener, Validation, train


def scripted(values: list[float], spread: float = 0.0) -> tuple[list[dict], object]:
    """A measure that gives one value after the other, with the weights that it met each time."""
    met: list[dict] = []

    def measure(learner: Learner) -> np.ndarray:
        met.append(bits(learner))
        assert not learner.module.training
        # The rows differ, and those of the start differ otherwise, so that a difference has an error.
        sign = -1 if len(met) == 1 else 1
        return values[len(met) - 1] + sign * spread * np.array([-1.0, 1.0, -1.0, 1.0])

    return met, measure


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def kept_of(values: list[float], spread: float = 0.0, **options):
    met, measure = scripted(values, spread)
    learner = make_learner()
    validation = Validation("recall", measure, times=len(values) - 1, **options)
    outcome = train(learner, make_inputs(), settings(), validation=validation)
    return learner, met, outcome


def test_the_best_weights_are_kept_and_told() -> None:
    learner, met, outcome = kept_of([0.5, 0.6, 0.8, 0.7])
    assert same(bits(learner), met[2]) and not same(met[2], met[3])
    assert (outcome.kept.step, outcome.kept.start, outcome.kept.kept, outcome.kept.last) == (8, 0.5, 0.8, 0.7)
    assert outcome.notes[-1].startswith("kept the weights of step 8 of 12: recall of 4 rows held out of training rose")


def test_a_training_that_harms_returns_the_start_and_says_so() -> None:
    learner, met, outcome = kept_of([0.5, 0.4, 0.3])
    assert same(bits(learner), met[0]) and not same(met[0], met[2])
    assert outcome.kept.step == 0 and outcome.notes[-1].startswith("kept the model as it was before training")
    assert "0.500 at the start and 0.300 after" in outcome.notes[-1]


def test_what_is_better_by_less_than_its_error_is_not_taken_for_better() -> None:
    assert kept_of([0.50, 0.51, 0.51], spread=0.2)[2].kept.step == 0
    assert kept_of([0.50, 0.90, 0.51], spread=0.2)[2].kept.step == 6


def test_the_last_weights_are_kept_where_that_is_asked_for() -> None:
    learner, met, outcome = kept_of([0.5, 0.4, 0.3], keep="last")
    assert same(bits(learner), met[2])
    assert outcome.kept.step == 12 and "fell from 0.500 to 0.300" in outcome.notes[-1]


def test_patience_ends_the_training() -> None:
    learner, met, outcome = kept_of([0.5, 0.6, 0.4, 0.4, 0.9, 0.9, 0.9], patience=2)
    assert len(met) == 4 and same(bits(learner), met[1])
    assert "ended after step 6 of 12" in outcome.notes[0]


def test_measuring_changes_nothing_of_the_training() -> None:
    plain = make_learner()
    train(plain, make_inputs(), settings())
    measured, _, _ = kept_of([0.5, 0.4, 0.6, 0.7], keep="last")
    assert same(bits(plain), bits(measured))


@pytest.mark.parametrize(("stop", "patience"), [(1, 0), (8, 0), (5, 2)])
def test_a_resumed_training_measures_and_keeps_the_same(tmp_path: Path, stop: int, patience: int) -> None:
    def validation() -> Validation:
        weight = "tower.net.0.weight"

        # A number of the weights themselves: best in the middle, so that best and last differ.
        def measure(learner: Learner) -> np.ndarray:
            moved = learner.module.state_dict()[weight].double() - start[weight].double()
            return 1 - (moved.abs().flatten().numpy() * 1e3 - 1.5) ** 2

        return Validation("distance", measure, times=12, patience=patience)

    start = bits(make_learner())
    whole = make_learner()
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    first = train(whole, make_inputs(), settings(), folder=tmp_path / "whole", validation=validation())

    def interrupt(step: int, total: int, row: dict) -> None:
        if step == stop:
            signal_now()

    if first.kept.step + (patience or 12) > stop:
        with pytest.raises(Interrupted):
            train(
                make_learner(),
                make_inputs(),
                settings(),
                folder=tmp_path / "cut",
                validation=validation(),
                listener=Listener(on_step=interrupt),
            )
    cut = make_learner()
    second = train(cut, make_inputs(), settings(), folder=tmp_path / "cut", validation=validation(), resume=True)
    assert same(bits(whole), bits(cut))
    assert 0 < first.kept.step < 12 and second.kept == first.kept and second.notes == first.notes
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "cut/metrics.jsonl").read_text()
    rows = [json.loads(line) for line in (tmp_path / "cut/metrics.jsonl").read_text().splitlines()]
    assert rows[0]["step"] == 0 and all("validation.distance" in row for row in rows)
