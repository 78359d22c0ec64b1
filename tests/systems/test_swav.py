"""SwAV: codes from the large crops only, balanced, swapped; prototypes that rest at first; a queue beside the batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_contract import make
from torch import Tensor
from torch.nn.functional import normalize

from unalike import systems, training
from unalike.systems.image import swav
from unalike.training import Learner, Training

SYSTEM = systems.find("swav")


def built(**settings: object) -> tuple[Learner, training.Inputs]:
    """SwAV with settings of one's own, on the tiny data of the contract."""
    return make(replace(SYSTEM, build=lambda own, task: swav.build(replace(own, **settings), task)))  # type: ignore[arg-type]


def train(learner: Learner, inputs: training.Inputs, steps: int) -> None:
    training.train(
        learner, inputs, Training(steps=steps, batch_size=8, device="cpu").resolved(SYSTEM.recipe, len(inputs))
    )


def balanced(scores: Tensor, epsilon: float) -> Tensor:
    """Sinkhorn's iterations with plain numbers: prototypes to 1/K, then samples to 1/B; codes sum to one."""
    plan = (scores / epsilon).exp()
    for _ in range(3):
        plan = plan / plan.sum(0, keepdim=True) / plan.shape[1]
        plan = plan / plan.sum(1, keepdim=True) / plan.shape[0]
    return plan * len(plan)


def formula(learner: Learner, looks: list[Tensor], settings: swav.Settings) -> Tensor:
    parts = learner.module
    prototypes = normalize(parts["prototypes"].weight.double(), dim=1)
    z = [normalize(parts["projector"](parts["encoder"](look).vector).double(), dim=1) for look in looks]
    terms = []
    for t in range(2):
        past = parts["queues"][t].vectors().double() if settings.queue else z[t][:0]
        codes = balanced(torch.cat([past, z[t]]) @ prototypes.T, settings.epsilon)[len(past) :]
        for s in range(len(z)):
            if s != t:
                guesses = torch.log_softmax(z[s] @ prototypes.T / settings.temperature, 1)
                terms += [-(codes[i] * guesses[i]).sum() for i in range(len(codes))]
    return torch.stack(terms).mean()


@pytest.mark.parametrize("settings", [{}, {"small_crops": 0}, {"queue": 24, "epsilon": 0.05}], ids=str)
def test_loss_is_the_formula(settings: dict[str, float]) -> None:
    learner, inputs = built(**settings)
    own = replace(swav.Settings(), **settings)  # type: ignore[arg-type]
    assert learner.views is not None
    assert learner.loss is not None
    looks = learner.views(inputs.batch(np.arange(10)), torch.Generator().manual_seed(1))
    assert len(looks) == 2 + own.small_crops
    assert all(look.shape[-1] == (16 if i < 2 else 8) for i, look in enumerate(looks))
    learner.module.eval()
    for number, queue in enumerate(learner.module["queues"]):
        queue.push(normalize(torch.randn(24, 128, generator=torch.Generator().manual_seed(number)), dim=1))
    with torch.no_grad():
        expected = formula(learner, looks, own)
        assert float(learner.loss(looks)) == pytest.approx(float(expected), rel=2e-5)


def test_prototypes_rest_in_the_first_epoch_and_stay_of_length_one() -> None:
    learner, inputs = built()
    first = learner.module["prototypes"].weight.detach().clone()
    train(learner, inputs, 3)  # an epoch has three steps
    torch.testing.assert_close(learner.module["prototypes"].weight.detach(), first)
    learner, inputs = built()
    train(learner, inputs, 9)
    moved = learner.module["prototypes"].weight.detach()
    assert float((moved - first).norm(dim=1).min()) > 1e-3
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(len(moved)))


def test_the_queue_fills_with_both_large_crops_after_its_share_of_the_training() -> None:
    learner, inputs = built(queue=16, queue_after=0.5)
    train(learner, inputs, 2)  # of the 4 that the system was built for
    assert [len(queue) for queue in learner.module["queues"]] == [0, 0]
    learner, inputs = built(queue=16, queue_after=0.5)
    train(learner, inputs, 3)
    first, second = (queue.vectors() for queue in learner.module["queues"])
    assert first.shape == second.shape == (8, 128)
    assert not torch.equal(first, second)


def test_without_balance_codes_are_the_softmax() -> None:
    learner, inputs = make(replace(SYSTEM, build=swav.without_balance))
    assert learner.views is not None
    assert learner.loss is not None
    looks = learner.views(inputs.batch(np.arange(10)), torch.Generator().manual_seed(1))[:2]
    learner.module.eval()
    with torch.no_grad():
        z = [normalize(learner.module["projector"](learner.module["encoder"](v).vector), dim=1) for v in looks]
        scores = [learner.module["prototypes"](each) for each in z]
        terms = [
            -((scores[t] / 0.03).softmax(1) * torch.log_softmax(scores[1 - t] / 0.1, 1)).sum(1).mean() for t in range(2)
        ]
        assert float(learner.loss(looks)) == pytest.approx(float(sum(terms) / 2), rel=1e-4)
