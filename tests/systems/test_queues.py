"""FT and MoCHi: what their mixing does, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_contract import make
from torch.nn.functional import normalize

from unalike import systems

pytestmark = pytest.mark.systems("ft", "mochi")


def ready(slug: str, keys: int = 40):
    """A system in evaluation mode with some keys in its queue, and what its loss looks at."""
    system = systems.find(slug)
    learner, inputs = make(system)
    learner.module.eval()
    dictionary = learner.module["dictionary"]
    dictionary.push(normalize(torch.randn(keys, 128, generator=torch.Generator().manual_seed(0))))
    return learner, learner.views(inputs.batch(np.arange(8)), torch.Generator().manual_seed(1))


def cost(learner, seen) -> float:
    """The loss, with the queue and the random numbers as they were before."""
    state, numbers = learner.module["dictionary"].state_dict(), seen[1].get_state()
    state = {name: value.clone() for name, value in state.items()}
    with torch.no_grad():
        found = float(learner.loss(seen))
    learner.module["dictionary"].load_state_dict(state)
    seen[1].set_state(numbers)
    return found


@pytest.mark.parametrize("slug", ["ft", "mochi"])
def test_the_queue_gets_the_keys_as_they_are(slug: str) -> None:
    learner, seen = ready(slug)
    dictionary = learner.module["dictionary"]
    dictionary.updates += 1
    learner.loss(seen)
    assert len(dictionary.negatives()) == 48
    assert torch.allclose(dictionary.negatives()[40:], dictionary.keys(seen[0][1]), atol=1e-6)


def test_extrapolated_pairs_cost_more_and_interpolated_ones_less() -> None:
    module = systems.find("ft").module
    _, inputs = make(systems.find("ft"))
    costs = {}
    for build in (module.positives_alone, module.easier_positives):
        learner, seen = ready_as(build, inputs)
        costs[build.__name__] = cost(learner, seen)
    learner, seen = ready_as(lambda settings, task: module.contrast(settings, task, None, None), inputs)
    assert costs["positives_alone"] > cost(learner, seen) > costs["easier_positives"]


def ready_as(build, inputs):
    """As `ready`, of another way to build FT."""
    import dataclasses

    system = dataclasses.replace(systems.find("ft"), build=build)
    learner, _ = make(system)
    learner.module.eval()
    keys = normalize(torch.randn(40, 128, generator=torch.Generator().manual_seed(0)))
    learner.module["dictionary"].push(keys)
    return learner, learner.views(inputs.batch(np.arange(8)), torch.Generator().manual_seed(1))


def test_mochi_is_moco_before_it_begins_and_costs_more_after() -> None:
    learner, seen = ready("mochi", keys=300)
    plain, views = make(systems.find("moco-v2"))[0], seen[0]
    plain.module.eval()
    plain.module["dictionary"].load_state_dict(learner.module["dictionary"].state_dict())
    with torch.no_grad():
        moco = float(plain.loss(views))
    before = cost(learner, seen)
    assert before == pytest.approx(moco, rel=1e-6)
    learner.module["dictionary"].updates += 1
    assert cost(learner, seen) > before + 0.1


def test_mochi_begins_with_an_empty_queue() -> None:
    learner, inputs = make(systems.find("mochi"))
    learner.module["dictionary"].updates += 1
    seen = learner.views(inputs.batch(np.arange(8)), torch.Generator().manual_seed(1))
    assert learner.loss(seen).detach() == 0
