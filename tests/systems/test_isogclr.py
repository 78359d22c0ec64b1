"""iSogCLR: temperatures belong to pictures, not to places in a batch, and follow how many negatives are near."""

from __future__ import annotations

import dataclasses
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_contract import make
from torch import Tensor
from torch.nn.functional import normalize

from unalike import objectives, pairing, systems, training

SYSTEM = systems.find("isogclr")


def looks(learner: training.Learner, pair: list[Tensor]) -> list[Tensor]:
    modules = learner.modules
    return [normalize(modules["projector"](modules["encoder"](view).vector).double(), dim=-1) for view in pair]


def test_the_loss_is_the_robust_one_and_each_temperature_takes_its_step() -> None:
    learner, inputs = make(SYSTEM)
    s = SYSTEM.settings()
    learner.module.eval()
    rows = np.array([3, 20, 11, 0, 8, 15, 9])
    seen = learner.views(inputs.batch(rows), torch.Generator().manual_seed(1))
    size, expected, slopes = len(rows), [], []
    with torch.no_grad():
        z = torch.cat(looks(learner, seen[0]))
        found = learner.loss(seen)
    means = []
    for i in range(2 * size):
        others = [j for j in range(2 * size) if j % size != i % size]
        means.append(sum(torch.exp(z[i] @ z[j] / s.initial) for j in others) / len(others))
    for i in range(size):
        average = (means[i] + means[i + size]) / 2  # a picture's first value counts whole
        expected.append(s.initial * average.log() - z[i] @ z[i + size])
        told = 0.0
        for look in (i, i + size):
            others = [j for j in range(2 * size) if j % size != i]
            scores = [z[look] @ z[j] / s.initial for j in others]
            told += sum(score.exp() / average * score for score in scores) / len(others) / 2
        slopes.append((average.log() + s.rho - told).clamp(-3, 3))
    assert float(found) == pytest.approx(float(torch.stack(expected).mean()), rel=2e-5)
    state = learner.modules["state"].temperatures.values.double()
    moved = (s.initial - s.step * s.momentum * torch.stack(slopes)).clamp(s.lowest, s.highest)
    torch.testing.assert_close(state[torch.from_numpy(rows)], moved, rtol=1e-4, atol=1e-6)
    others = np.setdiff1d(np.arange(len(inputs)), rows)
    assert bool((state[torch.from_numpy(others)] == torch.tensor(s.initial).double()).all())


def test_without_steps_of_the_temperatures_it_is_sogclr() -> None:
    still = dataclasses.replace(SYSTEM, settings=partial(SYSTEM.settings, step=0.0, initial=0.3))
    learner, inputs = make(still)
    learner.module.eval()
    plain = pairing.PerSampleState(len(inputs))
    for seed in range(2):
        seen = learner.views(inputs.batch(np.arange(8)), torch.Generator().manual_seed(seed))
        with torch.no_grad():
            z = [view.float() for view in looks(learner, seen[0])]
            wanted = objectives.sogclr(*z, seen[1], state=plain, temperature=0.3, rate=0.8)
            torch.testing.assert_close(learner.loss(seen), wanted, rtol=1e-4, atol=1e-5)
    assert bool((learner.modules["state"].temperatures.values == 0.3).all())


def test_pictures_with_look_alikes_get_higher_temperatures() -> None:
    """Four of twenty lie close together; each epoch brings them at other places of the batch."""
    s = SYSTEM.settings()
    vectors = torch.eye(20)
    vectors[:4, 0] = 2.0
    vectors = normalize(vectors, dim=1)
    state = objectives.IndividualTemperatures(20, initial=s.initial)
    for epoch in range(40):
        index = torch.randperm(20, generator=torch.Generator().manual_seed(epoch))
        objectives.isogclr(
            vectors[index], vectors[index], index, state=state, rho=s.rho, rate=s.rate, momentum=s.momentum, step=s.step
        )
    temperatures = state.temperatures.values
    assert float(temperatures[:4].min()) > 2 * float(temperatures[4:].max())


def test_the_mechanism_is_a_rank_correlation_over_classes() -> None:
    labels = np.repeat([0, 1, 2, 3], [8, 1, 4, 2])
    temperatures = torch.tensor([0.4, 0.1, 0.3, 0.2])[torch.from_numpy(labels)]
    state = SimpleNamespace(temperatures=SimpleNamespace(values=temperatures))
    trial = SimpleNamespace(
        learner=SimpleNamespace(modules={"state": state}), reference=SimpleNamespace(labels=lambda: labels)
    )
    assert SYSTEM.module.temperature_follows_frequency(trial) == pytest.approx(1.0)
    state.temperatures.values = 0.5 - temperatures
    assert SYSTEM.module.temperature_follows_frequency(trial) == pytest.approx(-1.0)
