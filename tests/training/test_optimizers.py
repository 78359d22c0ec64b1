"""Optimisers and schedules against independent implementations."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from unalike.records import Recipe
from unalike.training import LARS, Training, learning_rate, make_optimizer


def test_lars_equals_timm() -> None:
    timm = pytest.importorskip("timm.optim")
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 4, bias=False), nn.Linear(5, 4, bias=False)
    theirs.load_state_dict(ours.state_dict())
    first = LARS(ours.parameters(), lr=0.3, weight_decay=0.01, trust=0.001)
    second = timm.Lars(theirs.parameters(), lr=0.3, momentum=0.9, weight_decay=0.01, trust_coeff=0.001)
    for _ in range(5):
        rows = torch.randn(7, 5)
        for layer, optimizer in ((ours, first), (theirs, second)):
            optimizer.zero_grad()
            layer(rows).pow(2).mean().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)


def test_only_matrices_decay() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    for name in ("adamw", "sgd", "lars"):
        training = Training(optimizer=name, weight_decay=0.5).resolved(Recipe(), 100)
        groups = make_optimizer(module.parameters(), training).param_groups
        decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
        for parameter in module.parameters():
            assert decay[id(parameter)] == (0.5 if parameter.ndim > 1 else 0.0)
        if name == "lars":
            assert [group["adapt"] for group in groups] == [True, False]


def test_schedule_rises_to_the_peak_and_falls_to_zero() -> None:
    training = Training(learning_rate=2.0, warmup=0.1).resolved(Recipe(), 100)
    rates = [learning_rate(step, 100, training) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == pytest.approx(2.0)
    assert rates[55] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(1 + math.cos(math.pi * 89 / 90))
    assert all(a <= b for a, b in pairwise(rates[:10]))
    assert all(a >= b for a, b in pairwise(rates[10:]))
