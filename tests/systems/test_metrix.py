"""Metrix: its loss in every form against plain loops in float64, and what its batches hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_contract import make
from torch import Tensor
from torch.nn.functional import normalize

from unalike import objectives, systems
from unalike.errors import SettingsError

METRIX = systems.find("metrix")


def made(**settings):
    """The learner with some settings, in evaluation mode, its inputs, and what its loss looks at."""
    chosen = METRIX.module.Settings(**settings)
    system = dataclasses.replace(METRIX, build=lambda _, task: METRIX.build(chosen, task))
    learner, inputs = make(system)
    learner.module.eval()
    return learner, inputs, learner.views(inputs.batch(np.arange(10)), torch.Generator().manual_seed(1))


def again(generator: torch.Generator) -> torch.Generator:
    return torch.Generator().set_state(generator.get_state())


def embedded(learner, pictures: Tensor) -> Tensor:
    return normalize(learner.module["head"](learner.encoders["image"](pictures).vector).double(), dim=-1)


def cost(form: str, pairs: list[tuple[Tensor, float]]) -> Tensor:
    """Of one anchor's pairs (similarity, how positive), with the papers' constants."""
    zero = torch.zeros((), dtype=torch.float64)
    if form == "contrastive":
        return zero + sum(-y * s + (1 - y) * max(0.0, float(s) - 0.5) for s, y in pairs)
    a, b, low, high, over, under = (2, 50, 0.5, 0.5, 2, 50) if form == "multi-similarity" else (32, 32, 0.1, -0.1, 1, 1)
    pull = zero + sum(y * torch.exp(-a * (s - low)) for s, y in pairs)
    push = zero + sum((1 - y) * torch.exp(b * (s - high)) for s, y in pairs)
    return torch.log1p(pull) / over + torch.log1p(push) / under


@pytest.mark.parametrize("form", ["contrastive", "multi-similarity", "proxy-anchor"])
@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_loss_is_the_formula(form: str, weight: float) -> None:
    learner, _, seen = made(form=form, weight=weight, hardest=256)
    pictures, labels, classes, generator = seen
    with torch.no_grad():
        z, draws = embedded(learner, pictures), again(generator)
        anchors = None
        if form == "proxy-anchor":
            proxies = learner.module["proxies"].unit()[classes].double()
            anchors = proxies, classes
        mixed = objectives.pair_mixtures(z, labels, generator=draws, anchors=anchors, hardest=256)
        total = torch.zeros((), dtype=torch.float64)
        centres, owners = anchors or (z, labels)
        for i, (centre, owner) in enumerate(zip(centres, owners, strict=True)):
            others = [j for j in range(len(z)) if anchors or j != i]
            total += cost(form, [(centre @ z[j], float(labels[j] == owner)) for j in others])
            kept = torch.nonzero(mixed.known[i]).flatten().tolist()
            assert len(kept) == int((labels != owner).sum())  # every negative of the batch is mixed
            total += weight * cost(form, [(centre @ mixed.vectors[i, m], float(mixed.labels[i, m])) for m in kept])
        found = learner.loss(seen)
    assert float(found) == pytest.approx(float(total) / len(centres), rel=1e-4)


def test_mixed_pictures_are_of_the_anchors_class_and_its_hardest_negative() -> None:
    learner, _, seen = made(mixing="picture", hardest=1)
    pictures, labels, _, generator = seen
    with torch.no_grad():
        z, draws = embedded(learner, pictures), again(generator)
        plain = sum(
            cost("multi-similarity", [(z[i] @ z[j], float(labels[j] == labels[i])) for j in range(10) if j != i])
            for i in range(10)
        )
        chosen = objectives.pairs_to_mix(z.float(), labels, generator=draws, hardest=1)
        extra = torch.zeros((), dtype=torch.float64)
        for i in range(10):
            partner, negative, w = int(chosen.partners[i]), int(chosen.negatives[i, 0]), float(chosen.shares[i, 0])
            assert labels[partner] == labels[i]
            assert negative == max((j for j in range(10) if labels[j] != labels[i]), key=lambda j: float(z[i] @ z[j]))
            v = embedded(learner, (w * pictures[partner] + (1 - w) * pictures[negative])[None])[0]
            extra += cost("multi-similarity", [(z[i] @ v, w)])
        found = learner.loss(seen)
    assert float(found) == pytest.approx(float(plain + 0.4 * extra) / 10, rel=1e-4)


def test_proxies_stand_for_the_classes_that_are_learned() -> None:
    learner, inputs, _ = made(form="proxy-anchor")
    fewer = dataclasses.replace(inputs, labels=np.where(inputs.labels == 1, -1, inputs.labels))
    learner.loss(learner.views(fewer.batch(np.arange(10)), torch.Generator().manual_seed(1))).backward()
    slopes = learner.module["proxies"].weight.grad.abs().sum(dim=1)
    assert slopes[1] == 0 and (slopes[[0, 2]] > 0).all()


def test_batches_hold_classes_of_several_pictures() -> None:
    learner, inputs, _ = made()
    for rows in learner.order(inputs, 8, 0).epoch(0):
        assert sorted(np.unique(inputs.labels[rows], return_counts=True)[1].tolist()) == [4, 4]


def test_proxies_cannot_be_mixed_as_pictures() -> None:
    with pytest.raises(SettingsError, match="a proxy is no picture"):
        made(form="proxy-anchor", mixing="picture")
