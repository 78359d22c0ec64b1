"""DirectPred: the predictor has the eigenvectors of the student's covariance, and no optimiser touches it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_contract import make, settings
from torch.nn.functional import normalize

from unalike import systems, training

SYSTEM = systems.find("directpred")
FILE = SYSTEM.module


def control(build) -> systems.System:
    return dataclasses.replace(SYSTEM, build=build)


def batch(learner, inputs, seed: int):
    return learner.views(inputs.batch(np.arange(12)), torch.Generator().manual_seed(seed))


def test_the_predictor_of_a_step_is_the_root_of_the_moving_moment_and_the_loss_follows() -> None:
    learner, inputs = make(SYSTEM)
    s = SYSTEM.settings()
    modules = learner.modules
    slow = modules["teacher"].module
    for name in ("encoder", "projector", "teacher"):
        modules[name].eval()
    moment = None
    for seed in range(3):
        pair = batch(learner, inputs, seed)
        with torch.no_grad():
            f = [modules["projector"](modules["encoder"](view).vector).double() for view in pair]
            t = [slow["projector"](slow["encoder"](view).vector).double() for view in pair]
            found = float(learner.loss(pair))
        both = torch.cat(f)
        now = sum(torch.outer(row, row) for row in both) / len(both)
        moment = now if moment is None else 0.3 * moment + 0.7 * now
        values, vectors = torch.linalg.eigh(moment)
        roots = (values.clamp(min=0) / values.max()).sqrt() + s.epsilon
        weight = sum(root * torch.outer(v, v) for root, v in zip(roots, vectors.T, strict=True))
        torch.testing.assert_close(modules["predictor"].weight.double(), weight, rtol=1e-3, atol=1e-4)
        p = [normalize(row @ weight, dim=1) for row in f]
        u = [normalize(row, dim=1) for row in t]
        expected = sum((a - b).square().sum(dim=1).mean() for a, b in ((p[0], u[1]), (p[1], u[0])))
        assert found == pytest.approx(float(expected), rel=1e-3)


def test_no_gradient_and_no_weight_decay_reaches_the_predictor() -> None:
    learner, inputs = make(SYSTEM)
    assert not list(learner.modules["predictor"].parameters())
    training.train(learner, inputs, settings(SYSTEM))
    weight = learner.modules["predictor"].weight
    torch.testing.assert_close(weight, weight.T, rtol=1e-4, atol=1e-5)
    assert float(torch.linalg.eigvalsh(weight).min()) > 0.05  # epsilon keeps every direction alive


def test_without_the_stopped_gradient_targets_learn_too() -> None:
    """The gradient is that of the plain squared distance, on both sides."""
    learner, inputs = make(control(FILE.no_stopped_gradient))
    learner.module.eval()
    pair = batch(learner, inputs, 1)
    modules, parameter = learner.modules, learner.modules["projector"][-1].weight
    (found,) = torch.autograd.grad(learner.loss(pair), parameter)
    f = [modules["projector"](modules["encoder"](view).vector) for view in pair]
    p = [normalize(modules["predictor"](row), dim=1) for row in f]
    u = [normalize(row, dim=1) for row in f]
    distance = sum((a - b).square().sum(dim=1).mean() for a, b in ((p[0], u[1]), (p[1], u[0])))
    (wanted,) = torch.autograd.grad(distance, parameter)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("build", [FILE.linear, FILE.two_layers, FILE.no_predictor])
def test_the_controls_differ_in_the_predictor_alone(build) -> None:
    learner, _ = make(control(build))
    system, _ = make(SYSTEM)
    assert sorted(learner.modules) == sorted(system.modules)
    for name in ("encoder", "projector"):
        ours, theirs = learner.modules[name].state_dict(), system.modules[name].state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_alignment_is_one_for_the_inputs_own_root_and_falls_for_others() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 8, generator=generator) @ torch.diag(torch.arange(1.0, 9.0))
    values, vectors = torch.linalg.eigh(inputs.T @ inputs / 200)
    modules = {
        "encoder": lambda look: SimpleNamespace(vector=look),
        "projector": lambda vector: vector,
        "predictor": SimpleNamespace(weight=vectors @ values.sqrt().diag() @ vectors.T),
    }
    trial = SimpleNamespace(learner=SimpleNamespace(modules=modules), looks=lambda size: iter([(inputs, inputs)]))
    assert FILE.alignment(trial) == pytest.approx(1.0, abs=1e-4)
    modules["predictor"].weight = torch.randn(8, 8, generator=generator)
    assert abs(FILE.alignment(trial)) < 0.8
    modules["predictor"].weight = -torch.eye(8)
    assert FILE.alignment(trial) == pytest.approx(-1.0, abs=1e-4)
