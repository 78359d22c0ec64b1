"""What masking of rows that are the same is worth, and what it costs.

    python benchmarks/same.py
    python benchmarks/same.py --cost
    python benchmarks/same.py --seeds 3 --steps 300 --json same.json

Pictures of the embedded emoji and their names in three languages, one row a name as COCO and Flickr have it: a sixth of
the pictures stand in three rows, the others in one, so that about a third of the rows share their picture. CLIP learns
them in the same number of steps

- with what is the same masked in the loss (what ``unalike fit`` does),
- without: another name of the same picture is a negative,
- with batches in which nothing comes twice, by the sampler of sentence-transformers.

Scored on emoji that were not trained on, in another style: how often a picture finds one of its names, and a name its
picture. ``--cost`` prints what the codes add to a step at a batch of 4,096: ratios of medians of processor time, of
steps that are taken in turns in one process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unalike import encoders, evaluation, objectives, systems, training
from unalike.data import Collection, TextColumn, find_same, open_set
from unalike.evaluation import Relevance

NAMES = ("text:en", "text:de", "text:es")


def rows_of(emoji: Collection, chosen: np.ndarray, picture: str, several: np.ndarray) -> tuple[Collection, np.ndarray]:
    """One row a name of each picture: three for those in ``several``; and which emoji each row shows."""
    shown, texts = [], []
    for row in chosen:
        for role in NAMES if row in several else NAMES[:1]:
            text = emoji[role][int(row)]
            if text is not None and emoji[picture][int(row)] is not None:
                shown.append(int(row))
                texts.append(text)
    numbers = np.array(shown)
    return Collection({"image": emoji[picture].select(numbers), "text": TextColumn(texts)}, name="names"), numbers


class NoDuplicates:
    """sentence-transformers' batches without duplicates, as an order of ours."""

    def __init__(self, table: np.ndarray, batch_size: int, seed: int) -> None:
        from datasets import Dataset
        from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

        columns = {f"column {number}": [str(code) for code in column] for number, column in enumerate(table.T)}
        generator = torch.Generator().manual_seed(seed)
        self.sampler = NoDuplicatesBatchSampler(
            Dataset.from_dict(columns), batch_size=batch_size, drop_last=True, generator=generator, seed=seed
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The batches of one epoch."""
        self.sampler.set_epoch(number)
        for rows in self.sampler:
            yield np.array(rows)


def learn(arm: str, seed: int, steps: int, batch: int, size: int) -> dict[str, float]:
    """Train CLIP on the training emoji and score it on the others."""
    emoji = open_set("emoji")
    rng = np.random.default_rng(seed)
    train, test = emoji.splits["train"], emoji.splits["test"]
    data, _ = rows_of(emoji, train, "image:google", rng.choice(train, len(train) // 6, replace=False))
    held, held_numbers = rows_of(emoji, test, "image:twitter", test)
    same = find_same(data)
    towers = {
        "image": encoders.build_encoder("drawing", [data["image"]], size=size, seed=seed),
        "text": encoders.build_encoder("ngram", [data["text"]], seed=seed + 1),
    }
    prepared = {role: towers[role].prepare(data[role]) for role in ("image", "text")}
    roles = {"image": ("image",), "text": ("text",)}
    inputs = training.inputs_of(data, prepared, roles, np.arange(len(data)), same=same if arm == "masked" else None)
    found = systems.find("clip")
    options = training.Training(steps=steps, batch_size=batch, device="cpu", seed=seed).resolved(
        found.recipe, len(data)
    )
    task = training.Task(encoders=towers, roles=roles, rows=len(data), steps=steps)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        learner = found.build(found.settings(), task)
    order = NoDuplicates(same.table, batch, seed) if arm == "no duplicates" else None
    outcome = training.train(learner, inputs, options, order=order)
    with torch.no_grad():
        image, text = (
            learner.embed(role, towers[role].prepare(held[role]).take(np.arange(len(held)))).numpy()
            for role in ("image", "text")
        )
    right = Relevance.from_groups(held_numbers, held_numbers)
    once = np.unique(held_numbers, return_index=True)[1]
    asked = replace(right, group=right.group[once])
    names = evaluation.retrieval(image[once], text, asked, measures=["recall@1", "recall@10"])
    pictures = evaluation.retrieval(text, image[once], Relevance.from_groups(held_numbers, held_numbers[once]))
    return {
        "share": same.shared("image") / len(data),
        "picture to name R@1": names.mean("recall@1"),
        "picture to name R@10": names.mean("recall@10"),
        "name to picture R@1": pictures.mean("recall@1"),
        "name to picture R@10": pictures.mean("recall@10"),
        "ms a step": 1000 * outcome.seconds / steps,
    }


def compare(seeds: int, steps: int, batch: int, size: int) -> dict[str, Any]:
    """All arms at all seeds, in turns."""
    arms = ("masked", "not masked", "no duplicates")
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    for seed in range(seeds):
        for arm in arms[seed % 3 :] + arms[: seed % 3]:
            found[arm].append(learn(arm, seed, steps, batch, size))
    print(f"{found['masked'][0]['share']:.0%} of the rows share their picture; {steps} steps of {batch}, {seeds} seeds")
    for arm, values in found.items():
        told = [f"{name} {statistics.mean(v[name] for v in values):.3f}" for name in list(values[0])[1:-1]]
        print(f"{arm:14}", ", ".join(told), f"{statistics.median(v['ms a step'] for v in values):.0f} ms a step")
    for arm in arms[1:]:
        gaps = [
            mine["picture to name R@1"] - theirs["picture to name R@1"]
            for mine, theirs in zip(found["masked"], found[arm], strict=True)
        ]
        print(f"masked less {arm}, picture to name R@1 by seed:", ", ".join(f"{gap:+.3f}" for gap in gaps))
    return found


def cost(batch: int, rounds: int, share: float = 1 / 3) -> dict[str, float]:
    """A step with codes over a step without, of SimCSE's and SimCLR's losses alone and with small encoders."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.arange(batch)
    codes[: int(share * batch)] //= 2
    table = torch.stack([codes, batch + torch.randperm(batch, generator=generator)], dim=1)
    unique = torch.stack([torch.arange(batch), batch + torch.arange(batch)], dim=1)
    tower = torch.nn.Sequential(torch.nn.Linear(1024, 512), torch.nn.ReLU(), torch.nn.Linear(512, 128))
    rows = torch.randn(2, batch, 1024, generator=generator)
    free = [torch.nn.functional.normalize(torch.randn(batch, 128, generator=generator), dim=1) for _ in range(2)]

    def step(loss: Any, small: bool, same: torch.Tensor | None) -> None:
        if small:
            first, second = (encoders.unit(tower(part)) for part in rows)
        else:
            first, second = (part.clone().requires_grad_() for part in free)
        loss(first, second, same).backward()

    losses = {
        "info_nce": lambda a, b, same: objectives.info_nce(a, b, temperature=0.1, same=same),
        "nt_xent": lambda a, b, same: objectives.nt_xent(a, b, temperature=0.1, same=same),
        "clip": lambda a, b, same: objectives.clip(a, b, logit_scale=10.0, same=same),
    }
    found = {}
    for (name, loss), small in itertools.product(losses.items(), (False, True)):
        arms = {"without": None, "a third shares": table, "nothing shared": unique}
        times: dict[str, list[float]] = {arm: [] for arm in arms}
        for number in range(rounds + 1):
            for arm in list(arms)[number % 3 :] + list(arms)[: number % 3]:
                start = time.process_time()
                step(loss, small, arms[arm])
                if number:
                    times[arm].append(time.process_time() - start)
        plain = statistics.median(times["without"])
        what = f"{name}, {'step of a small network' if small else 'loss and gradient alone'}"
        for arm in ("a third shares", "nothing shared"):
            found[f"{what}, {arm}"] = statistics.median(times[arm]) / plain
        print(
            f"{what}: {1000 * plain:.0f} ms of processor time;",
            ", ".join(f"{a} {found[f'{what}, {a}']:.3f}" for a in list(arms)[1:]),
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result = cost(4096, given.rounds) if given.cost else compare(given.seeds, given.steps, given.batch, given.size)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
