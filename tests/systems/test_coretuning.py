"""Core-tuning: the loss of its second stage against plain loops in float64, and what each stage moves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_contract import make, settings
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from unalike import objectives, systems, training

CORE = systems.find("coretuning")


def made(**options):
    """The learner with some settings, in evaluation mode, and its inputs."""
    chosen = CORE.module.Settings(**options)
    learner, inputs = make(dataclasses.replace(CORE, build=lambda _, task: CORE.build(chosen, task)))
    learner.module.eval()
    return learner, inputs


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()


def focal(z: Tensor, labels: Tensor, hard: list[Tensor], temperature: float) -> Tensor:
    """The hard positive of each sample stands among ``hard`` first, in the samples' order."""
    total, size, columns = torch.zeros((), dtype=torch.float64), len(z), torch.cat([z, *hard])
    for i in range(size):
        others = [k for k in range(len(columns)) if k != i]
        own = [j for j in range(size) if j != i and labels[j] == labels[i]] + ([size + i] if hard else [])
        logs = {k: columns[k] @ z[i] / temperature for k in others}
        norm = torch.logsumexp(torch.stack(list(logs.values())), 0)
        costs = [-(1 - (logs[j] - norm).exp()) * (logs[j] - norm) for j in own]
        total = total + sum(costs) / len(costs)
    return total / size


@pytest.mark.parametrize("mixtures", [True, False])
@pytest.mark.parametrize("contrast", [0.0, 10.0])
def test_loss_is_the_formula(mixtures: bool, contrast: float) -> None:
    learner, inputs = made(mixtures=mixtures, contrast=contrast)
    stage = learner.phases[-1]
    (pictures,), labels, generator = seen = stage.views(inputs.batch(np.arange(9)), torch.Generator().manual_seed(1))
    draws, modules = torch.Generator().set_state(generator.get_state()), learner.module
    with torch.no_grad():
        features = modules["encoder"](pictures).vector
        parts, targets = [features], [torch.eye(3)[labels]]
        if mixtures:
            mixed = objectives.core_mixtures(features, labels, classes=3, generator=draws, alpha=1.0, least=0.8)
            parts += [mixed.positives, mixed.negatives]
            targets += [mixed.positive_labels, mixed.negative_labels]
        own, *hard = (normalize(modules["head"](part).double(), dim=1) for part in parts)
        expected = soft_cross_entropy(modules["classifier"](torch.cat(parts)), torch.cat(targets))
        expected = expected + contrast * focal(own, labels, hard, 0.07)
        found = stage.loss(seen)
        if not mixtures and not contrast:
            assert float(found) == pytest.approx(float(cross_entropy(modules["classifier"](features), labels)))
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_pretraining_leaves_the_classifier_and_tuning_the_projector() -> None:
    learner, inputs = made()
    pretraining, tuning = learner.phases
    assert {"classifier", "head"}.isdisjoint(pretraining.trains) and "projector" not in tuning.trains
    moved = {name: value.clone() for name, value in learner.module.state_dict().items()}
    alone = training.Learner(modules=learner.modules, encoders=learner.encoders, stages=(pretraining,))
    training.train(alone, inputs, settings(CORE))
    changed = {
        name.split(".")[0] for name, value in learner.module.state_dict().items() if (value != moved[name]).any()
    }
    assert changed == {"encoder", "projector"}


def test_a_pretrained_encoder_needs_no_first_stage() -> None:
    learner, _ = made(pretraining=0.0)
    assert len(learner.phases) == 1 and "projector" not in learner.modules


def test_pictures_without_a_label_pretrain_and_do_not_tune() -> None:
    learner, inputs = made()
    few = dataclasses.replace(inputs, labels=np.where(np.arange(24) < 9, inputs.labels, -1))
    tuning = learner.phases[-1]
    assert np.concatenate(list(tuning.order(few, 8, 0).epoch(0))).max() < 9
    training.train(learner, few, settings(CORE))
