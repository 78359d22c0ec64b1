"""WhitenedCSE's loss, on its own encoder and views, against plain formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_contract import make
from torch.nn.functional import cross_entropy, normalize

from unalike import systems, training
from unalike.errors import DataError, SettingsError
from unalike.systems.text import whitenedcse


def whitened(rows: torch.Tensor, size: int, order: torch.Tensor) -> torch.Tensor:
    """Group by group: centred, times the inverse root of the covariance of these rows alone."""
    out = torch.empty_like(rows)
    for start in range(0, rows.shape[1], size):
        chosen = order[start : start + size]
        part = rows[:, chosen] - rows[:, chosen].mean(0)
        directions, scale, _ = torch.linalg.svd(part.T @ part / len(rows))
        out[:, chosen] = part @ (directions / (scale + 1e-5).sqrt()) @ directions.T
    return out


def made(rows: int, **settings):
    """A learner, what it saw, and its sentences' vectors; every sentence is another."""
    system = systems.find("whitenedcse")
    _, inputs = make(system)
    inputs.codes["text"] = np.arange(24)
    encoder = make(system)[0].encoders["text"]
    task = training.Task(encoders={"text": encoder}, roles={"text": ("text",)}, rows=24, steps=4, steps_per_epoch=3)
    torch.manual_seed(0)
    learner = system.build(system.settings(**settings), task)
    seen = learner.views(inputs.batch(np.arange(rows)), torch.Generator().manual_seed(1))
    learner.module.eval()  # no dropout: all that differs between passes is the shuffle
    return learner, seen


def test_the_loss_is_the_formula() -> None:
    learner, seen = made(20)
    sentences, _, seed = seen
    vectors = learner.encoders["text"](sentences).vector.detach().double()
    width = vectors.shape[1]
    size = max(n for n in range(1, 7) if width % n == 0)
    draws = torch.Generator().manual_seed(seed)
    looks = []
    head = learner.module["head"].double()
    for _ in range(3):
        white = whitened(vectors, size, torch.randperm(width, generator=draws))
        looks.append(normalize(head(white), dim=1))
    target = torch.arange(20)
    expected = sum(cross_entropy(looks[0] @ other.T / 0.05, target) for other in looks[1:])
    head.float()
    with torch.no_grad():
        assert float(learner.loss(seen)) == pytest.approx(float(expected), rel=1e-3)


def test_every_pass_meets_another_shuffle_and_the_same_seed_the_same_ones() -> None:
    learner, seen = made(20)
    heads: list[torch.Tensor] = []
    learner.module["head"].register_forward_hook(lambda module, given, found: heads.append(given[0].detach()))
    learner.loss(seen)
    learner.loss(seen)
    assert len(heads) == 6
    assert not torch.allclose(heads[0], heads[1], atol=1e-2)
    assert not torch.allclose(heads[1], heads[2], atol=1e-2)
    torch.testing.assert_close(heads[:3], heads[3:])


def test_the_control_without_shuffle_shows_one_positive_only() -> None:
    system = systems.find("whitenedcse")
    learner, inputs = make(system)
    task = training.Task(encoders=learner.encoders, roles={"text": ("text",)}, rows=24, steps=4, steps_per_epoch=3)
    control = whitenedcse.without_shuffle(system.settings(), task)
    heads: list[torch.Tensor] = []
    control.module["head"].register_forward_hook(lambda module, given, found: heads.append(given[0].detach()))
    control.module.eval()
    control.loss(control.views(inputs.batch(np.arange(20)), torch.Generator().manual_seed(1)))
    torch.testing.assert_close(heads[0], heads[1])


def test_kept_vectors_are_those_before_the_whitening() -> None:
    learner, _ = made(20)
    assert set(learner.encoders) == {"text"}
    assert learner.encoders["text"] is learner.modules["encoder"]


def test_a_batch_no_larger_than_a_group_is_an_error() -> None:
    learner, seen = made(2)
    with pytest.raises(DataError, match="more rows than that"):
        learner.loss(seen)


def test_one_pass_has_no_positive() -> None:
    with pytest.raises(SettingsError, match="two or more passes"):
        made(20, passes=1)
