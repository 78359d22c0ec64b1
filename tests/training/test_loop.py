"""The loop does what its docstring says, and a run that was cut in pieces ends with the same bits."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from towers import Plain, Tower

from unalike.errors import RunError, TrainingError
from unalike.records import Recipe
from unalike.training import (
    Checkpoints,
    CollapseWatch,
    Inputs,
    Interrupted,
    Learner,
    Listener,
    ShuffledOrder,
    Task,
    Training,
    load_tensors,
    make_optimizer,
    save_tensors,
    train,
)
from unalike.training.checkpoint import load_optimizer, optimizer_tensors

ROWS = 40


def make_learner(loss=None, **options) -> Learner:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = Tower()

    def views(batch, generator):
        rows = batch.role("array")
        return [rows + 0.1 * torch.randn(rows.shape, generator=generator) for _ in range(2)]

    def attract(pair):
        first, second = (tower(view).vector for view in pair)
        return ((first - second) ** 2).mean() + ((first.std(0) - 1) ** 2).mean()

    return Learner(modules={"tower": tower}, encoders={"array": tower}, views=views, loss=loss or attract, **options)


def make_inputs() -> Inputs:
    return Inputs({"array": Plain(torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1)))})


def settings(**options) -> Training:
    return Training(**{"batch_size": 8, "steps": 12, "device": "cpu"} | options).resolved(Recipe(), ROWS)


def bits(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.module.state_dict().items()}


@pytest.mark.parametrize(
    "options", [{}, {"average": 0.9}, {"optimizer": "lars"}, {"optimizer": "sgd", "clip_norm": 0.1}]
)
def test_resumed_run_ends_with_the_same_bits(tmp_path: Path, options: dict) -> None:
    training = settings(**options)
    whole = make_learner()
    (tmp_path / "whole").mkdir()
    train(whole, make_inputs(), training, folder=tmp_path / "whole")

    (tmp_path / "cut").mkdir()
    for stop in (3, 7):

        def interrupt(step: int, total: int, row: dict, stop: int = stop) -> None:
            if step == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted, match=f"step {stop} of 12"):
            train(
                make_learner(),
                make_inputs(),
                training,
                folder=tmp_path / "cut",
                resume=True,
                listener=Listener(on_step=interrupt),
            )
    cut = make_learner()
    train(cut, make_inputs(), training, folder=tmp_path / "cut", resume=True)

    expected, found = bits(whole), bits(cut)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "cut/metrics.jsonl").read_text()


def test_a_signal_while_the_last_step_is_saved_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Checkpoints.save

    def saved_then_asked(self, *args) -> None:
        save(self, *args)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", saved_then_asked)
        with pytest.raises(Interrupted, match="step 12 of 12"):
            train(make_learner(), make_inputs(), settings(), folder=tmp_path)
    whole, resumed = make_learner(), make_learner()
    train(whole, make_inputs(), settings())
    train(resumed, make_inputs(), settings(), folder=tmp_path, resume=True)
    expected, found = bits(whole), bits(resumed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(make_learner(), make_inputs(), settings())
    assert torch.equal(torch.rand(3), expected)


def test_seed_decides_the_result() -> None:
    results = []
    for seed in (0, 0, 1):
        learner = make_learner()
        train(learner, make_inputs(), settings(seed=seed))
        results.append(bits(learner)["tower.net.0.weight"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_loss_that_is_not_finite_stops_and_names_the_rows(tmp_path: Path) -> None:
    count = 0

    def loss(pair):
        nonlocal count
        count += 1
        value = (learner.module["tower"](pair[0]).vector ** 2).mean()
        return value * (math.nan if count == 4 else 1.0)

    learner = make_learner(loss)
    expected = next(iter(ShuffledOrder(ROWS, 8, 0).epoch(0)))
    with pytest.raises(TrainingError, match=r"became nan at step 3 \(epoch 0, training rows \d+"):
        train(learner, make_inputs(), settings(), folder=tmp_path)
    assert len(expected) == 8
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_updates_move_only_the_parameters_they_name() -> None:
    learner = make_learner()
    tower = learner.module["tower"]
    first, last = tower.net[0], tower.net[-1]

    def updates(pair):
        yield (tower(pair[0]).vector ** 2).mean(), [last.weight]

    learner = Learner(modules={"tower": tower}, encoders={"array": tower}, views=learner.views, updates=updates)
    before = first.weight.clone(), last.weight.clone()
    train(learner, make_inputs(), settings(weight_decay=0.0))
    assert torch.equal(first.weight, before[0])
    assert not torch.equal(last.weight, before[1])


def test_hooks_are_called_once_an_epoch_and_once_a_step(tmp_path: Path) -> None:
    epochs, steps = [], []
    learner = make_learner(
        before_epoch=lambda epoch, inputs: epochs.append((epoch, len(inputs))), after_step=steps.append
    )
    train(learner, make_inputs(), settings(steps=None, epochs=3))
    assert epochs == [(0, ROWS), (1, ROWS), (2, ROWS)]
    assert steps == list(range(15))


def test_frozen_modules_get_no_gradient() -> None:
    learner = make_learner(frozen=("tower",))
    assert learner.parameters == []


def test_average_follows_its_formula() -> None:
    seen = []
    learner = make_learner(after_step=lambda step: seen.append(bits(learner)["tower.net.0.weight"]))
    train(learner, make_inputs(), settings(steps=4, average=0.7))
    expected = seen[0]
    for weight in seen[1:]:
        expected = 0.7 * expected + 0.3 * weight
    assert torch.allclose(bits(learner)["tower.net.0.weight"], expected, atol=1e-6)


def test_damaged_checkpoint_is_named_and_the_one_before_serves(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        checkpoints.save(step, {"weights": {"w": torch.full((4,), float(step))}})
    assert checkpoints.steps() == [2, 3]
    newest = tmp_path / "000000003" / "weights.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(bytes(content))
    found = checkpoints.load()
    assert found is not None
    assert found.step == 2
    assert torch.equal(found.tensors["weights"]["w"], torch.full((4,), 2.0))
    (tmp_path / "000000002" / "state.json").write_text("{")
    with pytest.raises(RunError, match=r"weights.safetensors was changed"):
        checkpoints.load()


def test_a_checkpoint_that_was_being_written_is_ignored(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"weights": {"w": torch.ones(1)}})
    (tmp_path / ".000000002.part").mkdir()
    (tmp_path / ".000000002.part" / "weights.safetensors").write_bytes(b"half")
    found = checkpoints.load()
    assert found is not None
    assert found.step == 1


def test_safetensors_only(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(RunError, match="is damaged"):
        load_tensors(tmp_path / "x.safetensors")


def test_watch_warns_of_collapse_within_its_interval(tmp_path: Path) -> None:
    def loss(pair):
        return (learner.module["tower"](pair[0]).vector - 1.0).pow(2).mean()

    learner = make_learner(loss)
    notes: list[str] = []
    outcome = train(
        learner,
        make_inputs(),
        settings(steps=150, learning_rate=0.05),
        folder=tmp_path,
        watch=CollapseWatch({"array": make_inputs().prepared["array"].take(np.arange(ROWS))}),
        watch_every=10,
        listener=Listener(on_note=notes.append),
    )
    assert len(notes) == 1
    assert "collapsing" in notes[0]
    assert "Lower the learning rate" in notes[0]
    assert len(outcome.notes) == 1
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    watched = [row for row in rows if "rank.array" in row]
    assert [row["step"] for row in watched] == list(range(10, 160, 10))


def test_healthy_training_gives_no_warning() -> None:
    notes: list[str] = []
    inputs = make_inputs()
    train(
        make_learner(),
        inputs,
        settings(steps=60),
        watch=CollapseWatch({"array": inputs.prepared["array"].take(np.arange(ROWS))}),
        watch_every=10,
        listener=Listener(on_note=notes.append),
    )
    assert notes == []


def test_task_lets_the_user_replace_the_views() -> None:
    tower = Tower()
    task = Task(encoders={"array": tower}, roles={"array": ("array",)}, rows=ROWS, steps=1)
    own = task.random_views("array", lambda rows, generator: rows, lambda rows, generator: rows + 1)
    batch = make_inputs().batch(np.arange(4))
    first, second = own(batch, torch.Generator())
    assert torch.equal(first + 1, second)
    chosen = replace(task, view={"array": lambda rows, generator: rows * 0})
    assert all(
        float(view.abs().sum()) == 0 for view in chosen.random_views("array", *[None] * 2)(batch, torch.Generator())
    )  # type: ignore[list-item]


def test_resumed_optimizer_keeps_the_memory_order_of_its_parameters(tmp_path: Path) -> None:
    """Fused AdamW reads raw memory: a state in another order than its parameter would move the wrong weights."""

    def step(conv: nn.Conv2d, optimizer: torch.optim.Optimizer, seed: int) -> None:
        pictures = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        conv(pictures.to(memory_format=torch.channels_last)).pow(2).mean().backward()
        optimizer.step()

    def fresh() -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return conv, make_optimizer(conv.parameters(), settings())

    whole, optimizer = fresh()
    step(whole, optimizer, 1)
    save_tensors(tmp_path / "o.safetensors", optimizer_tensors(optimizer))
    weights = {name: value.clone() for name, value in whole.state_dict().items()}
    step(whole, optimizer, 2)

    again, other = fresh()
    again.load_state_dict(weights)
    load_optimizer(other, load_tensors(tmp_path / "o.safetensors"))
    step(again, other, 2)
    assert torch.equal(whole.weight, again.weight)
