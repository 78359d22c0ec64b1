"""Stages follow one another as they say, and a run that was cut anywhere in them ends with the same bits."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from towers import Plain, Tower

from unalike.errors import SettingsError, TrainingError
from unalike.pairing import Clusters
from unalike.records import Recipe
from unalike.training import (
    CollapseWatch,
    DistinctClusters,
    Inputs,
    Interrupted,
    Learner,
    Listener,
    SameCluster,
    ShuffledOrder,
    Stage,
    Training,
    embed_inputs,
    evaluating,
    train,
)
from unalike.training.stages import spans

ROWS = 40


def make_inputs() -> Inputs:
    return Inputs({"array": Plain(torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1)))})


def settings(**options) -> Training:
    return Training(**{"batch_size": 8, "steps": 20, "device": "cpu"} | options).resolved(Recipe(), ROWS)


def views(batch, generator):
    rows = batch.role("array")
    return batch.index, [rows + 0.1 * torch.randn(rows.shape, generator=generator) for _ in range(2)]


def halves(vectors: torch.Tensor) -> torch.Tensor:
    """Two clusters of equal size, by the first coordinate."""
    codes = torch.zeros(len(vectors), dtype=torch.int64)
    codes[vectors[:, 0].argsort()[len(vectors) // 2 :]] = 1
    return codes


def make_learner(calls: list | None = None) -> Learner:
    """Three stages: a first encoder; a fresh one on batches of the first one's clusters; a head on the frozen second.

    Clusters are made in ``begin`` and, in the second stage, made finer before every epoch.
    """
    calls = [] if calls is None else calls
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second, head = Tower(), Tower(), nn.Linear(4, 2)
    clusters = Clusters(ROWS)

    def attract(tower):
        def loss(seen):
            one, two = (tower(view).vector for view in seen[1])
            return ((one - two) ** 2).mean() + ((one.std(0) - 1) ** 2).mean()

        return loss

    def fresh(inputs):
        calls.append("fresh")
        clusters.set(halves(embed_inputs(inputs, "array", first)))
        for module in second.net:
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def finer(epoch, inputs):
        calls.append(("epoch", epoch))
        noise = torch.rand(ROWS)  # seeded by the loop
        clusters.set(halves(embed_inputs(inputs, "array", second) + 0.1 * noise[:, None]))

    def classify(seen):
        index, (one, _) = seen
        return nn.functional.cross_entropy(head(second(one).vector), clusters.get(index))

    return Learner(
        modules={"first": first, "second": second, "head": head, "clusters": clusters},
        encoders={"array": second},
        stages=(
            Stage(share=1, views=views, loss=attract(first), trains=("first",)),
            Stage(
                share=2,
                views=views,
                loss=attract(second),
                order=lambda inputs, batch, seed: SameCluster(clusters.codes, batch, seed),
                begin=fresh,
                before_epoch=finer,
                after_step=lambda step: calls.append(step),
                trains=("second",),
            ),
            Stage(share=1, views=views, loss=classify, trains=("head",)),
        ),
    )


def bits(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.module.state_dict().items()}


def run(folder: Path, training: Training, stops: tuple[int, ...] = ()) -> Learner:
    folder.mkdir()
    for stop in stops:

        def interrupt(step: int, total: int, row: dict, stop: int = stop) -> None:
            if step == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted, match=f"step {stop} of 20"):
            train(
                make_learner(),
                make_inputs(),
                training,
                folder=folder,
                resume=True,
                listener=Listener(on_step=interrupt),
            )
    learner = make_learner()
    train(learner, make_inputs(), training, folder=folder, resume=True)
    return learner


# 20 steps are 5, 10 and 5; the second stage has epochs of five steps.
@pytest.mark.parametrize("options", [{}, {"average": 0.9}], ids=["plain", "average"])
@pytest.mark.parametrize("stops", [(3,), (5,), (7, 10), (13,), (15,), (18,), (2, 5, 9, 15, 16, 20)], ids=str)
def test_resumed_in_any_stage_ends_with_the_same_bits(tmp_path: Path, stops: tuple[int, ...], options: dict) -> None:
    training = settings(**options)
    whole = run(tmp_path / "whole", training)
    cut = run(tmp_path / "cut", training, stops)
    expected, found = bits(whole), bits(cut)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "cut/metrics.jsonl").read_text()


def test_stages_move_their_modules_and_call_their_hooks_in_order(tmp_path: Path) -> None:
    calls: list = []
    learner = make_learner(calls)
    before = bits(learner)
    seen = {}

    def look(step: int, total: int, row: dict) -> None:
        if step in (5, 15):
            seen[step] = bits(learner), {name: module.training for name, module in learner.modules.items()}

    train(learner, make_inputs(), settings(weight_decay=0.0), folder=tmp_path, listener=Listener(on_step=look))

    def same(one: dict, two: dict) -> set[str]:
        return {part for part in learner.modules if all(torch.equal(one[n], two[n]) for n in one if n.startswith(part))}

    # Modules that a stage does not train keep even the statistics of their normalisation.
    assert same(before, seen[5][0]) == {"second", "head", "clusters"}
    assert same(seen[5][0], seen[15][0]) == {"first", "head"}
    assert same(seen[15][0], bits(learner)) == {"first", "second", "clusters"}
    assert seen[5][1] == {"first": True, "second": False, "head": False, "clusters": False}
    assert calls == ["fresh", ("epoch", 1), *range(5, 10), ("epoch", 2), *range(10, 15)]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    rates = [row["learning_rate"] for row in rows]
    assert rates[0] == rates[15]
    assert rates[14] < rates[15] / 2


def test_the_optimizer_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from unalike.training import group

    made = []
    original = group.make_optimizer
    monkeypatch.setattr(group, "make_optimizer", lambda *given: made.append(original(*given)) or made[-1])
    train(make_learner(), make_inputs(), settings())
    counts = [{int(entry["step"]) for entry in optimizer.state.values()} for optimizer in made]
    assert counts == [{5}, {10}, {5}]


def test_the_average_of_the_weights_leaves_codes_whole() -> None:
    learner = make_learner()
    seen = []
    listener = Listener(on_step=lambda step, total, row: seen.append(learner.module["clusters"].codes.clone()))
    codes = torch.arange(ROWS) * 7919
    begin = lambda inputs: learner.module["clusters"].set(codes)  # noqa: E731
    stages = [replace(stage, begin=begin, before_epoch=None, order=None) for stage in learner.stages[:2]]
    learner.stages = tuple(stages)
    train(learner, make_inputs(), settings(average=0.9), listener=listener)
    assert all(torch.equal(each, codes) for each in seen)
    assert torch.equal(learner.module["clusters"].codes, codes)


@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=6), st.integers(1, 200), st.lists(st.integers(1, 9), min_size=6)
)
def test_shares_of_the_steps(shares: list[float], total: int, lengths: list[int]) -> None:
    stages = [
        (Stage(share=share, views=views, loss=lambda seen: seen), ShuffledOrder(length * 2, 2, 0))
        for share, length in zip(shares, lengths, strict=False)
    ]
    if total < len(stages):
        with pytest.raises(SettingsError, match="at least one step a stage"):
            spans(stages, total)
        return
    found = spans(stages, total)
    assert [span.start for span in found] == [0, *(span.stop for span in found[:-1])]
    assert found[-1].stop == total
    assert all(span.steps >= 1 for span in found)
    for one, two in pairwise(found):
        assert two.first_epoch == one.first_epoch + -(-one.steps // len(one.order))
    if total * min(shares) / sum(shares) >= 2:  # no stage had to be widened
        assert all(
            abs(s.steps - total * share / sum(shares)) <= 1 + 1e-6 for s, share in zip(found, shares, strict=True)
        )


def test_an_order_of_the_learners_own_is_used_unless_the_caller_has_one() -> None:
    codes = torch.arange(ROWS) % 10
    seen: list[list[int]] = []

    def look(batch, generator):
        seen.append(batch.rows.tolist())
        return views(batch, generator)

    def learner() -> Learner:
        tower = Tower()
        return Learner(
            modules={"tower": tower},
            encoders={"array": tower},
            views=look,
            loss=lambda pair: tower(pair[1][0]).vector.pow(2).mean(),
            order=lambda inputs, batch, seed: DistinctClusters(codes, batch, seed),
        )

    train(learner(), make_inputs(), settings(steps=7))
    expected = [rows.tolist() for epoch in (0, 1) for rows in DistinctClusters(codes, 8, 0).epoch(epoch)]
    assert seen == expected[:7]
    seen.clear()
    train(learner(), make_inputs(), settings(steps=3), order=ShuffledOrder(ROWS, 8, 4))
    assert seen == [rows.tolist() for rows in ShuffledOrder(ROWS, 8, 4).epoch(0)][:3]


class Short(ShuffledOrder):
    def epoch(self, number: int):
        yield from list(super().epoch(number))[:-1]


def test_an_order_that_breaks_its_promise_is_named() -> None:
    with pytest.raises(TrainingError, match="an order of 5 batches gave 4 in epoch 0"):
        train(make_learner(), make_inputs(), settings(), order=Short(ROWS, 8, 0))


def test_what_a_learner_cannot_be_made_of() -> None:
    tower = Tower()
    parts = {"modules": {"tower": tower}, "encoders": {"array": tower}}
    stage = Stage(share=1, views=views, loss=lambda seen: seen)
    for wrong in (
        {},
        {"views": views},
        {"views": views, "loss": len, "updates": len},
        {"stages": (stage,), "loss": len},
    ):
        with pytest.raises(TypeError):
            Learner(**parts, **wrong)
    with pytest.raises(TypeError, match="trains head; the modules are tower"):
        Learner(**parts, stages=(Stage(share=1, views=views, loss=len, trains=("head",)),))
    with pytest.raises(TypeError, match="share"):
        Stage(share=0, views=views, loss=len)


def test_teachers_keep_their_mode_in_a_stage_that_names_what_it_trains() -> None:
    tower, teacher, rest = Tower(), Tower(), Tower()
    stage = Stage(share=1, views=views, loss=len, trains=("tower",))
    learner = Learner(
        modules={"tower": tower, "teacher": teacher, "rest": rest},
        encoders={"array": tower},
        stages=(stage,),
        frozen=("teacher",),
    )
    learner.enter(stage)
    assert (tower.training, teacher.training, rest.training) == (True, True, False)
    assert learner.moved_by(stage) == list(tower.parameters())


def test_embed_inputs_is_plain_evaluation_of_every_row() -> None:
    inputs, tower, head = make_inputs(), Tower(), nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    tower.net[1].running_mean.fill_(0.3)
    tower.train()
    tower.net[3].eval()  # a part in another mode than the whole
    head.train()
    state = {name: value.clone() for name, value in tower.state_dict().items()}
    random = torch.get_rng_state()
    found = embed_inputs(inputs, "array", tower, head, torch.tanh, batch=7)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(state[name], value) for name, value in tower.state_dict().items())
    assert (tower.training, tower.net[1].training, tower.net[3].training, head[1].training) == (True, True, False, True)
    tower.eval()
    head.eval()
    expected = torch.tanh(head(tower(inputs.prepared["array"].values).vector))
    assert not found.requires_grad
    torch.testing.assert_close(found, expected.detach())
    some = Inputs(inputs.prepared, present={"array": np.arange(ROWS) % 2 == 0})
    vectors = embed_inputs(some, "array", tower)
    assert not vectors[1::2].any()
    assert vectors[::2].any(dim=1).all()


def test_modes_come_back_after_an_error_and_after_the_watch() -> None:
    tower = Tower()
    tower.net[1].eval()
    with pytest.raises(ZeroDivisionError), evaluating(tower):
        assert not tower.net[3].training
        raise ZeroDivisionError
    assert tower.training
    assert not tower.net[1].training
    learner = Learner(modules={"tower": tower}, encoders={"array": tower}, views=views, loss=len)
    CollapseWatch({"array": torch.randn(8, 3)}).measure(learner)
    assert tower.training
    assert not tower.net[1].training


def test_a_stage_ends_once_after_its_last_step_and_what_it_made_is_resumed(tmp_path: Path) -> None:
    """The second stage follows a copy that was made when the first one ended, with noise of the loop's seed."""

    def build(calls: list) -> Learner:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            tower, teacher = Tower(), Tower()

        def copied(inputs):
            calls.append(("end", [p.detach().clone() for p in tower.parameters()]))
            teacher.load_state_dict(tower.state_dict())
            teacher.net[0].weight.data.add_(0.01 * torch.rand(8, 3))

        def learn(seen):
            return (tower(seen[1][0]).vector ** 2).mean()

        def follow(seen):
            return ((tower(seen[1][0]).vector - teacher(seen[1][1]).vector.detach()) ** 2).mean()

        after = lambda step: calls.append(step)  # noqa: E731
        return Learner(
            modules={"tower": tower, "teacher": teacher},
            encoders={"array": tower},
            frozen=("teacher",),
            stages=(
                Stage(share=1, views=views, loss=learn, trains=("tower",), end=copied, after_step=after),
                Stage(share=1, views=views, loss=follow, trains=("tower",), end=lambda inputs: calls.append("last")),
            ),
        )

    stages: list[int] = []
    calls: list = []
    whole = build(calls)
    train(whole, make_inputs(), settings(average=0.9), listener=Listener(on_stage=stages.append))
    assert stages == [0, 1]
    assert [call if isinstance(call, (int, str)) else call[0] for call in calls] == [*range(10), "end", "last"]
    for stop in (10, 11):
        folder, again = tmp_path / str(stop), []
        folder.mkdir()

        def interrupt(step: int, total: int, row: dict, stop: int = stop) -> None:
            if step == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted):
            train(build([]), make_inputs(), settings(average=0.9), folder=folder, listener=Listener(on_step=interrupt))
        cut = build(again)
        train(cut, make_inputs(), settings(average=0.9), folder=folder, resume=True)
        assert again == ["last"]  # the first stage had ended, and its end is not called again
        assert all(torch.equal(value, bits(cut)[name]) for name, value in bits(whole).items())


def test_a_stage_takes_the_part_of_the_learning_rates_course_that_it_names() -> None:
    def rates(*courses: tuple[float, float]) -> list[float]:
        tower, found = Tower(), []
        stages = tuple(
            Stage(share=1, views=views, loss=lambda seen: (tower(seen[1][0]).vector ** 2).mean(), course=course)
            for course in courses
        )
        learner = Learner(modules={"tower": tower}, encoders={"array": tower}, stages=stages)
        listener = Listener(on_step=lambda step, total, row: found.append(row["learning_rate"]))
        train(learner, make_inputs(), settings(warmup=0.1), listener=listener)
        return found

    assert rates((0.0, 0.5), (0.5, 1.0)) == rates((0.0, 1.0))
    anew = rates((0.0, 1.0), (0.0, 1.0))
    assert anew[:10] == anew[10:] != rates((0.0, 1.0))[:10]
    with pytest.raises(TypeError, match=r"part of the learning rate's course, 0 to 1; given: \(0.5, 0.5\)"):
        Stage(share=1, views=views, loss=len, course=(0.5, 0.5))
