"""Systems of more than two views: every view counts, and their controls are what they say."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from test_contract import make
from test_losses import simclr, unit, vectors
from torch import Tensor

from unalike import systems, training

pytestmark = pytest.mark.systems("mvdhel", "cacr", "groco")


def built(slug: str, build=None, **settings: object) -> tuple[training.Learner, list[Tensor]]:
    """A system with some settings, and the looks it takes at ten pictures."""
    system = systems.find(slug)
    changed = replace(system, build=lambda _, task: (build or system.build)(system.settings(**settings), task))
    learner, inputs = make(changed)
    learner.module.eval()
    return learner, learner.views(inputs.batch(np.arange(10)), torch.Generator().manual_seed(1))


def control(slug: str):
    return systems.find(slug).module.pairwise  # type: ignore[attr-defined]


@pytest.mark.parametrize("slug", ["mvdhel", "cacr", "groco"])
@pytest.mark.parametrize("looks", [2, 3, 5])
def test_every_look_is_another_and_counts(slug: str, looks: int) -> None:
    learner, seen = built(slug, looks=looks)
    assert len(seen) == looks
    assert not any(torch.equal(one, other) for one, other in combinations(seen, 2))
    seen = training.Looks([look.detach().float().requires_grad_() for look in seen], None)
    slopes = torch.autograd.grad(learner.loss(seen), seen)
    assert all(slope.abs().sum() > 0 for slope in slopes)


def test_coupled_setting_of_mvdhel_is_mv_info_nce() -> None:
    learner, seen = built("mvdhel", decoupled=False, temperature=0.2)
    with torch.no_grad():
        z = torch.stack([unit(v) for v in vectors(learner, "projector", seen)])
        scores = torch.einsum("vid,wjd->viwj", z, z) / 0.2
        rows = []
        for i in range(len(z[0])):
            positives = torch.stack([scores[v, i, w, i] for v, w in combinations(range(len(z)), 2)])
            others = torch.cat([torch.cat([s[:i], s[i + 1 :]]) for s in scores[:, i].reshape(-1, len(z[0]))])
            below = torch.cat([others, positives, positives])
            rows.append(below.logsumexp(0) - torch.cat([positives, positives]).logsumexp(0))
        assert float(learner.loss(seen)) == pytest.approx(float(torch.stack(rows).mean()), rel=2e-5)


@pytest.mark.parametrize("slug", ["cacr", "groco"])
def test_control_is_simclr_over_all_pairs_of_four_views(slug: str) -> None:
    learner, seen = built("simclr", build=control(slug), temperature=0.3)
    assert len(seen) == 4
    with torch.no_grad():
        pairs = [
            simclr(learner, list(pair), systems.find("simclr").settings(temperature=0.3))
            for pair in combinations(seen, 2)
        ]
        assert float(learner.loss(seen)) == pytest.approx(float(torch.stack(pairs).mean()), rel=2e-5)


def test_control_of_two_views_is_simclr() -> None:
    learner, seen = built("mvdhel", build=control("mvdhel"), looks=2, temperature=0.3)
    with torch.no_grad():
        expected = simclr(learner, seen, systems.find("simclr").settings(temperature=0.3))
        assert float(learner.loss(seen)) == pytest.approx(float(expected), rel=2e-5)


def test_weights_of_positives_act_from_three_views_on() -> None:
    with torch.no_grad():
        for looks, acts in ((2, False), (3, True)):
            losses = [
                float(learner.loss(seen))
                for learner, seen in (built("cacr", looks=looks, attraction=t) for t in (0.0, 9.0))
            ]
            assert (losses[0] != pytest.approx(losses[1], rel=1e-6)) == acts


def test_only_order_of_groups_costs_in_groco() -> None:
    learner, seen = built("groco", steepness=1e6)
    with torch.no_grad():
        ordered = float(learner.loss(training.Looks([seen[0]] * 4, None)))
        mistaken = float(learner.loss(training.Looks([seen[0], *[seen[0].roll(1, 0)] * 3], None)))
    assert ordered < 1e-3 < mistaken
