"""Vectors of a learner, as search and evaluation compare them."""

from __future__ import annotations

import numpy as np
import torch

from unalike import encoders, training
from unalike.data import ArrayColumn


def test_vectors_are_those_of_the_learner_whatever_the_batch() -> None:
    rows = np.random.default_rng(0).normal(size=(23, 6)).astype(np.float32)
    column = ArrayColumn(rows)
    tower = encoders.build_encoder("mlp", [column], width=8)
    learner = training.Learner(
        modules={"array": tower}, encoders={"array": tower}, views=lambda batch, generator: batch, loss=len
    )
    learner.module.train()
    prepared, some = tower.prepare(column), np.array([4, 4, 22, 0])
    found = training.embed(learner, "array", prepared, some, batch=3)
    assert not learner.module.training and found.dtype == np.float32
    with torch.no_grad():
        wanted = torch.cat([learner.embed("array", prepared.take([row])) for row in some]).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_array_equal(training.embed(learner, "array", prepared.take(some), batch=3), found)
    assert training.embed(learner, "array", prepared, device="cpu").shape == (23, 8)
    assert training.embed(learner, "array", prepared, some[:0]).shape == (0, 0)
