"""Parts with rates of their own: which parameter has which, and that the schedule and a resume keep them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_loop import bits, make_inputs, make_learner, settings
from torch import nn
from towers import Tower

from unalike.encoders import Encoded
from unalike.errors import SettingsError
from unalike.training import Interrupted, Learner, Listener, make_optimizer, rate_factors, train


class Layered(Tower):
    """A pretrained tower with an embedding, two numbered layers and a pooler."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Identity()
        self.embeddings = nn.Linear(3, 4)
        self.layer = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.pooler = nn.Linear(4, 4)
        self.pretrained = True

    def forward(self, inputs: torch.Tensor) -> Encoded:
        return Encoded(self.pooler(self.layer[1](self.layer[0](self.embeddings(inputs)))))


def learner_of(tower: Tower, **options) -> Learner:
    head = nn.Linear(4, 4)
    return Learner(
        modules={"tower": tower, "head": head},
        encoders={"array": tower},
        views=lambda batch, generator: batch.role("array"),
        loss=lambda rows: head(tower(rows).vector).square().mean(),
        **options,
    )


def test_pretrained_layers_move_more_slowly_the_deeper_they_lie() -> None:
    tower = Layered()
    learner = learner_of(tower)
    factors = rate_factors(learner, settings(learning_rate=1e-2, pretrained_rate=1e-3, layer_decay=0.5))
    assert factors[tower.pooler.weight] == pytest.approx(0.1)
    assert factors[tower.layer[1].weight] == pytest.approx(0.05)
    assert factors[tower.layer[0].bias] == pytest.approx(0.025)
    assert factors[tower.embeddings.weight] == pytest.approx(0.0125)
    assert learner.modules["head"].weight not in factors
    assert not rate_factors(learner, settings())  # nothing was asked for


def test_an_encoder_without_layers_refuses_their_decay() -> None:
    tower = Tower()
    tower.pretrained, tower.net = True, nn.Linear(3, 4)
    with pytest.raises(SettingsError, match="no numbered layers"):
        rate_factors(learner_of(tower), settings(layer_decay=0.5))


def test_a_system_names_the_rates_of_its_modules() -> None:
    learner = learner_of(Tower(), rates={"head": 10.0})
    groups = make_optimizer(learner.parameters, settings(learning_rate=0.1), rate_factors(learner, settings()))
    rates = {id(p): group["lr"] for group in groups.param_groups for p in group["params"]}
    assert rates[id(learner.modules["head"].weight)] == pytest.approx(1.0)
    assert rates[id(learner.modules["tower"].net[0].weight)] == pytest.approx(0.1)
    with pytest.raises(TypeError, match="rates for tail"):
        learner_of(Tower(), rates={"tail": 2.0})


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
def test_a_factor_of_zero_stands_still_and_one_of_a_tenth_takes_a_tenth_of_the_step(optimizer: str) -> None:
    def moved(rates: dict) -> dict[str, float]:
        learner = make_learner(rates=rates)
        before = bits(learner)
        rate = 10.0 if optimizer == "lars" else 1e-3  # whose steps are too small for float32 otherwise
        options = settings(steps=1, optimizer=optimizer, weight_decay=0.0, learning_rate=rate)
        train(learner, make_inputs(), options)
        after = bits(learner)
        return {name: float((after[name] - before[name]).norm()) for name in before if name.endswith("weight")}

    whole, tenth, none = moved({}), moved({"tower": 0.1}), moved({"tower": 0.0})
    assert all(whole.values()) and not any(none.values())
    assert tenth == pytest.approx({name: step / 10 for name, step in whole.items()}, rel=1e-3)


def test_rates_of_parts_survive_a_resume_with_the_same_bits(tmp_path: Path) -> None:
    def fresh() -> Learner:
        torch.manual_seed(3)
        return learner_of(Layered(), rates={"head": 3.0})

    options = settings(learning_rate=1e-2, pretrained_rate=1e-3, layer_decay=0.7)
    whole, cut, resumed = fresh(), fresh(), fresh()
    train(whole, make_inputs(), options)

    def interrupt(step: int, total: int, row: dict) -> None:
        if step == 5:
            signal_now()

    with pytest.raises(Interrupted):
        train(cut, make_inputs(), options, folder=tmp_path, listener=Listener(on_step=interrupt))
    train(resumed, make_inputs(), options, folder=tmp_path, resume=True)
    expected, found = bits(whole), bits(resumed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def signal_now() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGTERM)
