"""MCLRec: who moves when, what the loss is, and that its views are learned from the copies' vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike import encoders, objectives, systems, training
from unalike.data import ClicksColumn
from unalike.systems.clicks import mclrec


def world():
    generator = np.random.default_rng(0)
    column = ClicksColumn.of_sequences([[f"i{i}" for i in generator.integers(0, 20, 8)] for _ in range(16)])
    encoder = encoders.build_encoder("sasrec", column, width=16, depth=1, length=8, dropout=0.0)
    task = training.Task(encoders={"clicks": encoder}, roles={"clicks": ("clicks",)}, rows=16, steps=3)
    inputs = training.Inputs({"clicks": encoder.prepare(column)})
    return task, inputs.batch(np.arange(16))


def state(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def moved(module, before) -> bool:
    return any(not torch.equal(new, old) for new, old in zip(module.parameters(), before, strict=True))


def test_three_steps_a_batch_encoder_extractors_encoder() -> None:
    task, batch = world()
    learner = systems.find("mclrec").build(mclrec.Settings(), task)
    looks = learner.views(batch, torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(learner.parameters, lr=0.1)
    parts = {name: learner.modules[name] for name in ("encoder", "first extractor", "second extractor")}
    seen = []
    for loss, parameters in learner.updates(looks):
        before = {name: state(part) for name, part in parts.items()}
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=list(parameters))
        optimizer.step()
        seen.append({name for name, part in parts.items() if moved(part, before[name])})
    assert seen == [{"encoder"}, {"first extractor", "second extractor"}, {"encoder"}]


def test_the_second_step_sees_the_encoder_after_the_first() -> None:
    """Its loss is that of the encoder as it is when the step is asked for."""
    task, batch = world()
    learner = systems.find("mclrec").build(mclrec.Settings(), task)
    looks = learner.views(batch, torch.Generator().manual_seed(0))
    steps = learner.updates(looks)
    next(steps)
    with torch.no_grad():
        for parameter in learner.modules["encoder"].parameters():
            parameter.mul_(1.5)
    later, _ = next(steps)
    fresh = learner.updates(looks)
    next(fresh)
    expected, _ = next(fresh)
    assert float(later.detach()) == pytest.approx(float(expected.detach()))


def contrast(first: torch.Tensor, second: torch.Tensor) -> float:
    """NT-Xent of inner products at temperature 1, in float64."""
    both = torch.cat([first, second]).double()
    size, total = len(first), 0.0
    for row in range(2 * size):
        scores = [float(both[row] @ both[other]) for other in range(2 * size)]
        others = [scores[other] for other in range(2 * size) if other != row]
        total += np.logaddexp.reduce(others) - scores[(row + size) % (2 * size)]
    return total / (2 * size)


def test_the_loss_against_plain_loops() -> None:
    task, batch = world()
    settings = mclrec.Settings(weight=0.2, learned=0.3, margin=0.4)
    learner = mclrec.together(settings, task)
    clicks, *copies = looks = learner.views(batch, torch.Generator().manual_seed(0))
    encoder, modules = learner.modules["encoder"], learner.modules
    with torch.no_grad():
        value = float(learner.loss(looks))
        first, second = (encoder(each).vector for each in copies)
        one = torch.nn.functional.normalize(modules["first extractor"](first), dim=1)
        other = torch.nn.functional.normalize(modules["second extractor"](second), dim=1)
        lessons = []
        tokens = encoder(clicks).tokens.double()
        for row in range(16):
            for place in range(7):
                scores = tokens[row, place] @ encoder.table.weight[1:-1].double().T
                lessons.append(float(scores.logsumexp(0) - scores[clicks.ids[row, place + 1] - 1]))
    learned = 0.0
    for pair in ((first, other), (second, one), (one, other)):
        learned += contrast(*pair) + 0.4 * float(objectives.view_margin(*pair))
    expected = np.mean(lessons) + 0.2 * contrast(first, second) + 0.3 * learned
    assert value == pytest.approx(expected, rel=1e-5)


def test_the_extractors_differ_and_read_vectors_of_copies() -> None:
    task, batch = world()
    learner = systems.find("mclrec").build(mclrec.Settings(), task)
    _, *copies = learner.views(batch, torch.Generator().manual_seed(0))
    vectors = [learner.modules["encoder"](each).vector for each in copies]
    views = mclrec.learned_views(learner.modules, vectors)
    assert not torch.allclose(*views)
    assert all(torch.allclose(view.norm(dim=1), torch.ones(16), atol=1e-5) for view in views)
    views[0].sum().backward()
    assert vectors[0].grad_fn is not None
