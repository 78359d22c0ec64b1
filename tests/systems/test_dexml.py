"""DEXML and what it is measured against: losses over all labels by loops in float64; gradients through the cache."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from unalike import encoders, systems, training
from unalike.data import LabelsColumn, TextColumn
from unalike.errors import DataError
from unalike.systems.text import dexml

TEXTS = [
    f"{size} {colour} boat {number}" for number in range(4) for size in ("small", "large") for colour in ("red", "blue")
]
SETS = [text.split()[:2] + ["boat"] * (row % 2) for row, text in enumerate(TEXTS)]
SETS[3] = []  # nothing is known of it


def made(slug: str = "dexml", **settings: object) -> tuple[training.Learner, training.Inputs]:
    column = LabelsColumn.from_values(SETS)
    texts = encoders.build_encoder("ngram", TextColumn(TEXTS), width=16, buckets=200, dropout=0.0, seed=3)
    names = encoders.build_encoder(None, column, seed=3)
    task = training.Task(
        encoders={"text": texts, "labels": names},
        roles={"text": ("text",), "labels": ("labels",)},
        rows=len(TEXTS),
        steps=4,
    )
    found = systems.find(slug)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner = found.build(found.settings(**settings), task)
    prepared = {"text": texts.prepare(TextColumn(TEXTS)), "labels": names.prepare(column)}
    return learner, training.Inputs(prepared, codes={"text": np.arange(len(TEXTS))})


def unit_vectors(learner: training.Learner, names: list[str]) -> tuple[Tensor, Tensor]:
    encoder = learner.encoders["text"]
    parts = (encoder.encode(TEXTS), encoder.encode(names))  # type: ignore[operator]
    return tuple(torch.nn.functional.normalize(torch.from_numpy(part).double(), dim=1) for part in parts)  # type: ignore[return-value]


def decoupled(scores: list[float], right: set[int]) -> float:
    wrong = sum(math.exp(s) for label, s in enumerate(scores) if label not in right)
    return sum(math.log(math.exp(scores[p]) + wrong) - scores[p] for p in right) / len(right)


def plain(scores: list[float], right: set[int]) -> float:
    every = math.log(sum(math.exp(s) for s in scores))
    return sum(every - scores[p] for p in right) / len(right)


@pytest.mark.parametrize(("build", "formula"), [(dexml.build, decoupled), (dexml.plain_softmax, plain)])
def test_losses_equal_loops_over_every_label(build, formula) -> None:  # type: ignore[no-untyped-def]
    learner, inputs = made(temperature=0.3)
    names = learner.encoders["labels"].labels.names  # type: ignore[union-attr]
    task = training.Task(
        encoders={"text": learner.encoders["text"], "labels": learner.encoders["labels"].labels},  # type: ignore[dict-item]
        roles={"text": ("text",), "labels": ("labels",)},
        rows=len(TEXTS),
        steps=4,
    )
    learner = build(dexml.Settings(temperature=0.3, chunk=2), task)
    learner.module.eval()
    seen = learner.phases[0].views(inputs.batch(np.arange(len(TEXTS))), torch.Generator().manual_seed(0))
    queries, labels = unit_vectors(learner, names)
    costs = []
    for row, own in enumerate(SETS):
        right = {names.index(name) for name in own}
        scores = [float(queries[row] @ labels[label]) / 0.3 for label in range(len(names))]
        costs += [formula(scores, right)] if right else []
    assert learner.phases[0].loss is not None
    assert learner.phases[0].loss(seen).item() == pytest.approx(sum(costs) / len(costs), rel=1e-4)
    # The toy version: labels of the batch alone. All labels count whatever the batch holds.
    first = learner.phases[0].views(inputs.batch(np.array([0])), torch.Generator().manual_seed(0))
    assert learner.phases[0].loss(first).item() == pytest.approx(costs[0], rel=1e-4)


def gradients(chunk: int) -> dict[str, Tensor]:
    learner, inputs = made(chunk=chunk)
    seen = learner.phases[0].views(inputs.batch(np.arange(len(TEXTS))), torch.Generator().manual_seed(0))
    assert learner.phases[0].loss is not None
    learner.phases[0].loss(seen).backward()
    return {name: p.grad for name, p in learner.module.named_parameters() if p.grad is not None}


def test_reading_labels_in_chunks_gives_the_gradient_of_reading_them_at_once() -> None:
    whole = gradients(chunk=10_000)
    for chunk in (1, 2, 3):
        parts = gradients(chunk=chunk)
        assert parts.keys() == whole.keys() and len(whole) > 3
        for name, slope in whole.items():
            torch.testing.assert_close(parts[name], slope, rtol=1e-4, atol=1e-6)
            assert slope.abs().max() > 0


def test_labels_are_read_chunk_by_chunk() -> None:
    learner, inputs = made(chunk=2)
    largest, reader = [], learner.encoders["labels"]
    read = reader.tower.forward  # type: ignore[union-attr]
    reader.tower.forward = lambda tokens: largest.append(len(tokens.ids)) or read(tokens)  # type: ignore[union-attr, method-assign]
    seen = learner.phases[0].views(inputs.batch(np.array([0])), torch.Generator())
    assert learner.phases[0].loss is not None
    learner.phases[0].loss(seen).backward()
    assert max(largest) <= 2 and len(largest) > len(reader.labels.names) // 2  # type: ignore[union-attr]


def test_one_vs_all_and_dual_encoder_learn_what_is_right() -> None:
    for slug in ("dexml", "dual-encoder", "one-vs-all"):
        learner, inputs = made(slug)
        options = training.Training(steps=60, batch_size=8, device="cpu", learning_rate=1e-2).resolved(
            systems.find(slug).recipe, len(TEXTS)
        )
        training.train(learner, inputs, options)
        learner.module.eval()
        vectors = learner.embed("text", inputs.batch(np.arange(len(TEXTS))).role("text"))
        encoder = learner.encoders["labels"]
        names = encoder.labels.names  # type: ignore[union-attr]
        first = encoder.scorer()(vectors.detach()).argmax(1).tolist()  # type: ignore[operator]
        hits = [names[label] in own for label, own in zip(first, SETS, strict=True) if own]
        assert sum(hits) >= 0.9 * len(hits), slug


def test_the_dual_encoder_draws_one_right_label_and_takes_no_right_one_for_wrong() -> None:
    learner, inputs = made("dual-encoder", temperature=0.5)
    names = learner.encoders["labels"].labels.names  # type: ignore[union-attr]
    learner.module.eval()
    rows = np.array([0, 1, 2, 5, 6])
    seen = learner.phases[0].views(inputs.batch(rows), torch.Generator().manual_seed(1))
    drawn = seen[2]
    assert all(names[int(label)] in SETS[row] for label, row in zip(drawn, rows, strict=True))
    queries, labels = unit_vectors(learner, names)
    costs = []
    for place, row in enumerate(rows):
        own = int(drawn[place])
        others = [each for each in set(drawn.tolist()) if names[each] not in SETS[row]]
        score = {each: float(queries[row] @ labels[each]) / 0.5 for each in [own, *others]}
        costs.append(math.log(sum(math.exp(s) for s in score.values())) - score[own])
    assert learner.phases[0].loss is not None
    assert learner.phases[0].loss(seen).item() == pytest.approx(np.mean(costs), rel=1e-4)
    draws = {
        tuple(learner.phases[0].views(inputs.batch(rows), torch.Generator().manual_seed(s))[2].tolist())
        for s in range(9)
    }
    assert len(draws) > 1


def test_the_plain_softmax_pushes_sure_labels_down_and_the_decoupled_one_none() -> None:
    scores = torch.tensor([[3.0, 0.2, 0.0, -0.1], [0.1, 0.0, 0.2, 0.1]]) * 0.05 * 4
    right = torch.tensor([[True, True, False, False], [True, True, False, False]])
    scratch = {"scores": scores}
    found = {}
    for arm in ("system", "plain softmax"):
        trial = SimpleNamespace(arm=arm, settings=dexml.Settings(), scratch=scratch)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dexml.claims, "label_scores", lambda trial: (scores, right))
            found[arm] = dexml.pushed_down(trial)
            assert dexml.lead(trial) == pytest.approx((12.0 + 0.4 - 0.8) / 2, abs=1e-4)
    assert found == {"system": 0.0, "plain softmax": 0.25}


def test_a_label_that_is_new_is_read_and_has_no_weights_of_its_own() -> None:
    learner, _ = made()
    reader = learner.encoders["labels"]
    assert isinstance(reader, encoders.LabelReader)
    wider = reader.over([*reader.labels.names, "never seen"])
    vectors = torch.eye(16)[:3]
    torch.testing.assert_close(wider.scorer()(vectors)[:, :-1], reader.scorer()(vectors), rtol=1e-5, atol=1e-6)
    assert wider.labels.counts[-1] == 0
    assert {name.split(".")[0] for name, _ in learner.module.named_parameters()} == {"encoder"}
    prepared = reader.prepare(LabelsColumn.from_values([["never seen", "boat"], ["never seen"]]))
    assert prepared.present.tolist() == [True, False]
    assert "1 of 2 labels stand in no training row (2 of 3 times that a row has a label)" in prepared.notes


def test_one_label_tells_nothing_apart() -> None:
    for column in (LabelsColumn.from_values([["a"], ["a"]]), LabelsColumn.from_values([None, []])):
        with pytest.raises(DataError, match=r"different label.*at least two are needed"):
            encoders.build_encoder(None, column)
