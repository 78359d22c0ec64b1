"""contrastive-gap and ccrk: their losses on their own modules, and the controls of their claims."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_contract import make
from torch.nn.functional import normalize

from unalike import encoders, systems, training
from unalike.data import ImageColumn, TextColumn
from unalike.systems.image_text import ccrk, contrastive_gap
from unalike.training import Inputs, Task, Training

pytestmark = pytest.mark.systems("contrastive-gap", "ccrk")


def unit(x: torch.Tensor) -> torch.Tensor:
    return normalize(x.double(), dim=-1)


def even(x: torch.Tensor, y: torch.Tensor, pairs: list[tuple[int, int]]) -> torch.Tensor:
    return torch.stack([(-2 * (x[i] - y[j]).square().sum()).exp() for i, j in pairs]).mean().log()


def test_cuaxu_on_the_systems_own_modules() -> None:
    learner, inputs = make(systems.find("contrastive-gap"))
    learner.module.eval()
    assert learner.views is not None and learner.loss is not None
    pictures, captions, codes = learner.views(inputs.batch(np.arange(8)), torch.Generator().manual_seed(1))
    assert len(codes.unique()) == 4  # captions come twice
    parts = learner.module
    with torch.no_grad():
        x = unit(parts["image_head"](parts["image"](pictures).vector))
        y = unit(parts["text_head"](parts["text"](captions).vector))
        scores = x @ y.T / 0.07
        clip = []
        for side in (scores, scores.T):
            for i in range(8):
                same = codes == codes[i]
                clip.append(side[i].logsumexp(0) - side[i][same].mean())
        different = [(i, j) for i in range(8) for j in range(8) if i != j]
        unrelated = [(i, j) for i, j in different if codes[i] != codes[j]]
        expected = (
            torch.stack(clip).mean()
            + (x - y).square().sum(1).mean()
            + (even(x, x, different) + even(y, y, different)) / 2
            + even(x, y, unrelated)
        )
        assert float(learner.loss(training.Looks([pictures, captions, codes], None))) == pytest.approx(
            float(expected), rel=2e-5
        )


def languages(rows: int = 12) -> tuple[Task, Inputs]:
    """Pictures with texts in three languages; every third row lacks the second, and some texts are equal."""
    rng = np.random.default_rng(0)
    columns = {
        "image": ImageColumn(list(rng.integers(0, 255, (rows, 16, 16, 3), np.uint8))),
        "text:en": TextColumn([f"thing {i}" for i in range(rows)]),
        "text:de": TextColumn([None if i % 3 == 0 else f"Ding {i}" for i in range(rows)]),
        "text:fr": TextColumn([f"chose {i // 2}" for i in range(rows)]),
    }
    towers = {
        "image": encoders.build_encoder("conv", columns["image"], size=16, widths=(8, 16), depths=(0, 1)),
        "text": encoders.build_encoder("ngram", columns["text:en"], buckets=256),
    }
    roles = {"image": ("image",), "text": ("text:en", "text:de", "text:fr")}
    prepared = {role: towers[role.split(":")[0]].prepare(column) for role, column in columns.items()}
    codes = {
        "text:en": np.arange(rows),
        "text:de": 100 + np.arange(rows),
        "text:fr": 200 + np.arange(rows) // 2,
    }
    task = Task(encoders=towers, roles=roles, rows=rows, steps=4)
    return task, Inputs(prepared, present={"text:de": columns["text:de"].present}, codes=codes)


def test_one_to_k_on_the_systems_own_modules_with_missing_languages() -> None:
    task, inputs = languages()
    learner = systems.find("ccrk").build(ccrk.Settings(), task)
    learner.module.eval()
    assert learner.views is not None and learner.loss is not None
    seen = learner.views(inputs.batch(np.arange(12)), torch.Generator().manual_seed(0))
    pictures, captions, owners, codes = seen
    assert owners.bincount().tolist() == [2, 3, 3] * 4
    parts = learner.module
    with torch.no_grad():
        x = unit(parts["image_head"](parts["image"](pictures).vector))
        y = unit(parts["text_head"](parts["text"](captions).vector))
        scores = x @ y.T / 0.07
        for i in range(12):
            mine = set(codes[owners == i].tolist())
            for m in range(len(codes)):
                if owners[m] != i and int(codes[m]) in mine:
                    scores[i, m] = -torch.inf  # worded as one of the picture's own: no negative
        rows = [scores[i].logsumexp(0) - scores[i][owners == i].mean() for i in range(12)]
        columns = [scores[:, m].logsumexp(0) - scores[owners[m], m] for m in range(len(codes))]
        expected = (torch.stack(rows).mean() + torch.stack(columns).mean()) / 2
        assert float(learner.loss(seen)) == pytest.approx(float(expected), rel=2e-5)


def test_as_many_languages_a_step_as_asked_for() -> None:
    task, inputs = languages()
    learner = systems.find("ccrk").build(ccrk.Settings(languages=2), task)
    assert learner.views is not None
    owners = learner.views(inputs.batch(np.arange(12)), torch.Generator().manual_seed(0))[2]
    assert owners.bincount().tolist() == [2] * 12


@pytest.mark.parametrize("control", [ccrk.each_by_itself, ccrk.through_the_first])
def test_controls_encode_the_same_captions_and_cost_another_loss(control) -> None:
    task, inputs = languages()
    inputs = Inputs({role: inputs.prepared[role] for role in ("image", "text:en", "text:fr")}, codes=inputs.codes)
    task = Task(encoders=task.encoders, roles={"image": ("image",), "text": ("text:en", "text:fr")}, rows=12, steps=4)
    losses = {}
    for name, build in (("system", ccrk.build), ("control", control)):
        torch.manual_seed(0)
        learner = build(ccrk.Settings(), task)
        learner.module.eval()
        assert learner.views is not None and learner.loss is not None
        seen = learner.views(inputs.batch(np.arange(12)), torch.Generator().manual_seed(0))
        losses[name] = (learner.loss(seen), seen[2])
        losses[name][0].backward()
        assert all(p.grad is not None for p in learner.parameters)
    assert torch.equal(losses["system"][1], losses["control"][1])
    assert not torch.isclose(losses["system"][0], losses["control"][0])


def test_two_towers_of_pictures_begin_at_one_place_and_are_two() -> None:
    task, inputs = languages()
    torch.manual_seed(0)
    learner = contrastive_gap.two_towers(contrastive_gap.Settings(output=8), task)
    parts = learner.module
    first, second = (dict(tower.named_parameters()) for tower in parts["towers"])
    assert not any(torch.equal(first[name], second[name]) for name in first if first[name].std() > 0)
    settings = Training(steps=1, batch_size=12, learning_rate=0.0, device="cpu")
    training.train(learner, inputs, settings.resolved(systems.find("clip").recipe, 12))
    pictures = parts["towers"][0].plain(inputs.batch(np.arange(12)).role("image"))
    parts.train()  # as at the start: statistics of this batch
    with torch.no_grad():
        means = [
            head(tower(pictures).vector).mean(0) for tower, head in zip(parts["towers"], parts["heads"], strict=True)
        ]
    assert all(float(mean.norm()) < 1e-4 for mean in means)
