"""What is the same is no negative in any system: what each loss makes of rows that hold the same thing."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import test_contract
import torch
from test_contract import LEARNERS, ROWS, make, settings

from unalike import encoders, objectives, pairing, systems, training
from unalike.data import Collection, ImageColumn, TextColumn, find_same

pytestmark = pytest.mark.systems("clip", "moco-v2", "simcse-supervised")

EXEMPT = {
    **dict.fromkeys(("byol", "simsiam", "directpred", "barlow-twins", "swav"), "no sample is another's negative"),
    **dict.fromkeys(("supcon", "sbcl", "triplet", "metrix", "supremix"), "labels or targets say who is alike"),
    **dict.fromkeys(("dexml", "dual-encoder", "one-vs-all"), "the negatives are labels"),
    **dict.fromkeys(("scgc", "pamc", "sdcn"), "nodes of one graph"),
    **dict.fromkeys(("wav2vec2", "w2v-bert", "bert"), "the negatives are of the same recording or text, or none"),
    "sasrec": "the negatives are items",
    "clan": "all rows attract each other; their altered copies repel",
    "symile": "a tuple is a negative unless all of it is right, which the paper allows for now and then",
}


def losses(system: systems.System, same: np.ndarray | None, steps: int = 3) -> list[float]:
    """Of some steps, less than an epoch of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_contract, "Task", partial(training.Task, codes=0 if same is None else same.shape[1]))
        learner, inputs = make(system)
    found: list[float] = []
    listener = training.Listener(on_step=lambda step, total, row: found.append(row["loss"]))
    training.train(learner, replace(inputs, same=same), settings(system, steps=steps), listener=listener)
    return found


@pytest.mark.parametrize("system", LEARNERS, ids=lambda system: system.slug)
def test_rows_that_are_the_same_are_no_negatives(system: systems.System) -> None:
    plain = losses(system, None)
    each_its_own = np.stack([np.arange(ROWS), np.full(ROWS, -1)], axis=1)
    assert losses(system, each_its_own) == pytest.approx(plain, rel=1e-5), "nothing is the same"
    every_one = losses(system, np.stack([np.arange(ROWS), np.full(ROWS, ROWS)], axis=1))
    assert all(math.isfinite(loss) for loss in every_one)
    if system.slug in EXEMPT:
        assert every_one == plain, f"{system.slug} minds what is the same: take it off the list of those that need not"
    else:
        assert every_one != plain, f"{system.slug} takes what is the same for a negative"


def spied(monkeypatch: pytest.MonkeyPatch, system: systems.System, name: str) -> list[dict]:
    """The keywords that a system's loss is called with."""
    calls: list[dict] = []
    real = getattr(objectives, name)

    class Spy:
        def __getattr__(self, asked: str):
            if asked != name:
                return getattr(objectives, asked)
            return lambda *given, **named: (calls.append(named), real(*given, **named))[1]

    monkeypatch.setattr(system.module, "objectives", Spy())
    return calls


def test_a_question_that_stands_in_several_rows_and_its_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    system = systems.find("simcse-supervised")
    calls = spied(monkeypatch, system, "info_nce")
    columns = {
        "text": TextColumn([f"question {i // 3}" for i in range(12)]),
        "text:positive": TextColumn([f"answer {i}" for i in range(12)]),
        "text:positive:2": TextColumn([f"also {i}" if i % 2 else None for i in range(12)]),
        "text:negative": TextColumn([f"wrong {i}" for i in range(12)]),
        "text:negative2": TextColumn([f"ANSWER  {i + 1}" if i else None for i in range(12)]),
    }
    collection = Collection(columns, name="talk")
    same = find_same(collection)
    encoder = encoders.build_encoder("ngram", [columns["text"]], seed=0, buckets=64)
    roles = {"text": tuple(columns)}
    prepared = {role: encoder.prepare(column) for role, column in columns.items()}
    inputs = training.inputs_of(collection, prepared, roles, np.arange(12), same=same)
    task = training.Task(encoders={"text": encoder}, roles=roles, rows=12, steps=2, codes=inputs.same.shape[1])
    learner = system.build(system.settings(), task)
    batch = inputs.batch(np.arange(12))
    seen = [learner.views(batch, torch.Generator().manual_seed(seed)) for seed in range(4)]
    drawn = {tuple(each[2].tolist()) for each in seen}
    assert len(drawn) > 1, "each step draws one of a row's positives"
    learner.loss(seen[0])
    given = calls[0]
    assert len(given["extra_negatives"]) == 12 + 11, "all negatives of a row count, and a row may have fewer"
    alike = pairing.alike(given["same"], given["same"])
    assert torch.equal(alike, torch.arange(12)[:, None] // 3 == torch.arange(12) // 3)
    hard = pairing.alike(given["same"], given["extra_same"])
    # "ANSWER  5" is a negative of row 4, and the answer of row 5: no negative of that one.
    assert hard.nonzero().tolist() == [[i + 1, 12 + i - 1] for i in range(1, 11)]


def test_a_pictures_five_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    system = systems.find("clip")
    calls = spied(monkeypatch, system, "clip")
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (4, 16, 16, 3), np.uint8)
    columns = {
        "image": ImageColumn(list(pictures.repeat(5, 0))),
        "text": TextColumn([f"picture {i // 5} wording {i % 5}" for i in range(20)]),
    }
    collection = Collection(columns, name="coco")
    towers = {
        "image": encoders.build_encoder("conv", [columns["image"]], size=16, seed=0, widths=(8, 16), depths=(0, 1)),
        "text": encoders.build_encoder("ngram", [columns["text"]], seed=0, buckets=64),
    }
    roles = {"image": ("image",), "text": ("text",)}
    prepared = {role: towers[role].prepare(column) for role, column in columns.items()}
    inputs = training.inputs_of(collection, prepared, roles, np.arange(20), same=find_same(collection))
    task = training.Task(encoders=towers, roles=roles, rows=20, steps=2, codes=2)
    learner = system.build(system.settings(), task)
    learner.loss(learner.views(inputs.batch(np.arange(20)), torch.Generator().manual_seed(0)))
    plan = pairing.Sparing(calls[0]["pairing"], calls[0]["same"]).plan(torch.zeros(20, 1), torch.zeros(20, 1))
    own = torch.arange(20)[:, None] // 5 == torch.arange(20) // 5
    assert torch.equal(plan.whole().negative > 0, ~own)


def test_a_queue_is_no_longer_than_an_epoch_and_leaves_out_a_samples_own_keys() -> None:
    system = systems.find("moco-v2")
    task = replace(captured_task(system), codes=1)
    learner = system.build(system.settings(), task)
    dictionary = learner.modules["dictionary"]
    assert dictionary.queue.size == task.rows
    keys = torch.nn.functional.normalize(torch.randn(4, 128), dim=1)
    dictionary.push(keys, torch.arange(4)[:, None])
    assert torch.equal(dictionary.negatives(torch.tensor([[2], [9]])), keys[[0, 1, 3]])


def captured_task(system: systems.System) -> training.Task:
    seen: list[training.Task] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_contract, "Task", lambda **given: seen.append(training.Task(**given)) or seen[0])
        make(system)
    return seen[0]
