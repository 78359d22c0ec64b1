"""Federated rounds: averages are what they must be by hand, and a training that was stopped ends with the same bits."""

from __future__ import annotations

import copy
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from towers import Plain

from unalike.encoders import Encoded, Encoder
from unalike.errors import DataError, SettingsError
from unalike.records import Recipe
from unalike.training import (
    Averaging,
    Client,
    Exchange,
    Inputs,
    Interrupted,
    Learner,
    Listener,
    Sent,
    Stage,
    Training,
    federated,
    train,
)

ROWS = 8
VALUES = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1))
TARGETS = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(2))


class Linear(Encoder):
    kind, width = "array", 2

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 2)

    def prepare(self, column, **options):
        raise AssertionError("prepared by the test")

    def forward(self, inputs: torch.Tensor) -> Encoded:
        return Encoded(self.net(inputs))

    def config(self) -> dict:
        return {}


def inputs(owners, values: torch.Tensor = VALUES) -> Inputs:
    return Inputs({"array": Plain(values)}, extra={"client": np.array(owners)})


def views(batch, generator):
    return batch.index, batch.role("array")


def error_of(tower):
    return lambda seen: ((tower(seen[1]).vector - TARGETS[seen[0]]) ** 2).sum(1).mean()


def fresh() -> Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Linear()


def alone() -> Learner:
    tower = fresh()
    return Learner(modules={"server": tower}, encoders={"array": tower}, views=views, loss=error_of(tower))


def together(clients: int, count: int, *, exchange=None, **options) -> Learner:
    """A server and clients with a copy each, which they keep."""
    server = fresh()
    towers = [copy.deepcopy(server) for _ in range(clients)]
    locals_ = {f"client{number}": tower for number, tower in enumerate(towers)}
    averaging = Averaging({"tower": server}, [{"tower": tower} for tower in towers])
    stages = federated(
        [Client(views=views, loss=error_of(tower), trains=(name,)) for name, tower in locals_.items()],
        averaging,
        count,
        **options,
    )
    return Learner(
        modules={"server": server, **locals_, "exchange": averaging}, encoders={"array": server}, stages=stages
    )


def settings(steps: int, batch: int = ROWS, **options) -> Training:
    chosen = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.0, "warmup": 0.0, "device": "cpu"} | options
    return Training(steps=steps, batch_size=batch, **chosen).resolved(Recipe(), ROWS)


def server(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.modules["server"].state_dict().items()}


def test_two_equal_clients_with_one_local_step_are_one_step_on_the_union():
    whole, parts = alone(), together(2, 1)
    before = server(parts)
    train(whole, inputs([0] * ROWS), settings(1))
    train(parts, inputs([0, 1] * (ROWS // 2)), settings(2, batch=ROWS // 2))
    for name, value in server(whole).items():
        assert not torch.equal(server(parts)[name], before[name])
        torch.testing.assert_close(server(parts)[name], value, rtol=1e-6, atol=1e-7)


def test_clients_count_by_their_rows_and_share_one_course_of_the_learning_rate():
    owners, count = [0, 0, 1, 0, 0, 0, 1, 0], 3
    learner, rates = together(2, count), []
    listener = Listener(on_step=lambda step, total, row: rates.append(row["learning_rate"]))
    train(learner, inputs(owners), settings(2 * 2 * count), listener=listener)
    # By hand: two local steps of gradient descent with momentum, which begins anew in every round.
    tower = fresh()
    expected = [value.detach().double() for value in tower.parameters()]
    course = [0.1 * 0.5 * (1 + np.cos(np.pi * step / (2 * count))) for step in range(2 * count)]
    for number in range(count):
        sums = [torch.zeros_like(value) for value in expected]
        for client, share in enumerate((0.75, 0.25)):
            rows = torch.tensor([row for row, owner in enumerate(owners) if owner == client])
            weight, bias = (value.clone().requires_grad_() for value in expected)
            moved = [torch.zeros_like(value) for value in (weight, bias)]
            for step in range(2):
                loss = ((VALUES[rows].double() @ weight.T + bias - TARGETS[rows]) ** 2).sum(1).mean()
                gradients = torch.autograd.grad(loss, (weight, bias))
                with torch.no_grad():
                    for value, past, gradient in zip((weight, bias), moved, gradients, strict=True):
                        past.mul_(0.9).add_(gradient)
                        value.sub_(past, alpha=course[2 * number + step])
            sums = [total + share * value.detach() for total, value in zip(sums, (weight, bias), strict=True)]
        expected = sums
    assert rates == pytest.approx([course[2 * n + s] for n in range(count) for _ in range(2) for s in range(2)])
    for value, wanted in zip(learner.modules["server"].parameters(), expected, strict=True):
        torch.testing.assert_close(value.detach().double(), wanted, rtol=1e-5, atol=1e-6)


def test_a_client_that_never_takes_part_changes_nothing():
    owners = [0, 1, 2, 0, 1, 2, 0, 1]
    other = VALUES.clone()
    other[[2, 5]] += 100.0

    def run(values):
        learner = together(3, 2, part=lambda number: (0, 1))
        train(learner, inputs(owners, values), settings(4))
        return learner

    first, second = run(VALUES), run(other)
    assert all(torch.equal(value, server(second)[name]) for name, value in server(first).items())
    untouched = fresh().state_dict()
    assert all(torch.equal(value, untouched[name]) for name, value in first.modules["client2"].state_dict().items())
    # It would have changed something, had it taken part.
    learner = together(3, 2)
    train(learner, inputs(owners), settings(6))
    assert not torch.equal(learner.modules["server"].net.weight, first.modules["server"].net.weight)


@pytest.mark.parametrize("stops", [(1,), (2,), (3, 4), (5, 8, 11)], ids=str)
def test_resumed_within_and_between_clients_ends_with_the_same_bits(tmp_path: Path, stops: tuple[int, ...]):
    """Two local steps for each of two clients, in three rounds; one of them also sends a tensor."""
    owners, training = [0, 1] * (ROWS // 2), settings(12, batch=2)

    class Both(Averaging):
        def __init__(self, *args):
            super().__init__(*args)
            self.sent = Sent(2, bias=(2,))

        def send(self, client, share, inputs):
            super().send(client, share, inputs)
            self.sent.put(client, bias=self.shared[1][client]["tower"].net.bias + torch.rand(2))  # seeded by the loop

    def build():
        tower = fresh()
        local = copy.deepcopy(tower)  # one for both: each begins from the server's
        exchange = Both({"tower": tower}, [{"tower": local}] * 2)
        client = Client(views=views, loss=error_of(local), trains=("local",))
        return Learner(
            modules={"server": tower, "local": local, "exchange": exchange},
            encoders={"array": tower},
            stages=federated([client] * 2, exchange, 3),
        )

    def run(folder: Path, stop: int | None = None) -> Learner:
        def interrupt(step, total, row):
            if step == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        folder.mkdir(exist_ok=True)
        learner = build()
        train(learner, inputs(owners), training, folder=folder, resume=True, listener=Listener(on_step=interrupt))
        return learner

    for stop in stops:
        with pytest.raises(Interrupted, match=f"step {stop} of 12"):
            run(tmp_path / "cut", stop)
    cut, whole = run(tmp_path / "cut"), run(tmp_path / "whole")
    expected = whole.module.state_dict()
    assert expected["exchange.sent.has"].all()
    assert all(torch.equal(value, expected[name]) for name, value in cut.module.state_dict().items())
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("cut", "whole")]
    assert lines[0] == lines[1]


def test_the_server_trains_before_and_after_its_clients():
    calls, tower = [], fresh()

    class Told(Exchange):
        def receive(self, client, inputs):
            calls.append(f"to {client}")

        def send(self, client, share, inputs):
            calls.append(f"from {client}: {share}")

        def merge(self, clients, inputs):
            calls.append(f"merge {clients}")

    def stage(name):
        return Stage(share=1, views=views, loss=error_of(tower), begin=lambda inputs: calls.append(name))

    stages = federated(
        [Client(views=views, loss=error_of(tower), trains=("server",))] * 3,
        exchange := Told(),
        2,
        part=lambda number: (number, 2, 2),
        before=stage("public"),
        after=stage("distil"),
    )
    learner = Learner(modules={"server": tower, "exchange": exchange}, encoders={"array": tower}, stages=stages)
    train(learner, inputs([0, 1, 2, 2, 2, 0, 1, 2]), settings(len(stages)))
    assert calls[:8] == [
        "public",
        "to 0",
        f"from 0: {1 / 3}",
        "to 2",
        f"from 2: {2 / 3}",
        "merge (0, 2)",
        "distil",
        "public",
    ]
    assert [stage.course for stage in stages] == [(0.0, 0.5)] * 4 + [(0.5, 1.0)] * 4


def test_rows_that_do_not_say_whose_they_are_are_an_error():
    with pytest.raises(DataError, match=r"the rows tell nothing and not their client.*extra=\('client',\)"):
        train(together(2, 1), Inputs({"array": Plain(VALUES)}), settings(2))
    for nobody in ((), (0, 2)):
        with pytest.raises(SettingsError, match="in round 1 some of the clients 0 to 1 take part; given: "):
            together(2, 2, part=lambda number, nobody=nobody: nobody if number else (0, 1))
    with pytest.raises(DataError, match="client 2 has no training rows"):
        train(together(3, 1), inputs([0, 1] * (ROWS // 2)), settings(3))
