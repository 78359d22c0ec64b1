"""How well a pretrained text model is trained on with a few hundred pairs, at several rates.

    python benchmarks/finetuning.py
    python benchmarks/finetuning.py --sets wordnet --pairs 200 --rates 2e-5 5e-4 --seeds 1 --batch-size 16 --validate 3

It needs the weights of MiniLM (``unalike data get minilm``). From each data set 600 pairs are drawn: half are learned
from, and with the other half each side is asked to find the other among all 600. Each line is the mean over the seeds.
``MRR`` is what validation measured on rows of the first half that are not learned from, at the start and after the last
step; by it the weights are chosen that are kept, those of step 0 being the start.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import unalike
from unalike.data import open_set
from unalike.data.opening import weights

PAIRS = {
    "wordnet": ("wordnet", "text:lemmas", "text", 60),
    "descriptions": ("descriptions", "text:query", "text", 60),
}
"""By name the data set, its questions and answers, and how many words of an answer are read."""


def pairs(name: str, count: int, seed: int) -> dict[str, list[str]]:
    """Questions and answers of a data set, drawn from the seed."""
    which, asked, told, words = PAIRS[name]
    rows = open_set(which)
    found: dict[str, list[str]] = {"text": [], "text:positive": []}
    for row in np.random.default_rng(seed).permutation(len(rows)).tolist():
        question, answer = rows[asked][row], rows[told][row]
        if question and answer:
            found["text"].append(question)
            found["text:positive"].append(" ".join(answer.split()[:words]))
        if len(found["text"]) == count:
            break
    return found


def measured(data: dict[str, list[str]], seed: int, **options: Any) -> tuple[float, ...]:
    """R@1 of held-out pairs, both ways, before training and of what was kept; then what validation saw."""
    with tempfile.TemporaryDirectory() as folder:
        run = unalike.fit(
            data,
            system="simcse-supervised",
            encoder={"text": f"st:{weights('minilm')}"},
            holdout=0.5,
            seed=seed,
            out=Path(folder) / "run",
            **options,
        )
        found = [score for score in run.scores if score.name.endswith(", R@1") and " finds " in score.name]
        kept = run.record["kept"]
    before = [score.floors["untouched start"] for score in found]
    return np.mean(before), np.mean([s.value for s in found]), kept["start"], kept["last"], kept["step"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--rates", nargs="+", type=float, default=[5e-6, 2e-5, 5e-5, 1e-4, 5e-4])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--validate", type=int, default=10)
    given = parser.parse_args()
    names = ("pairs of", "rate", "R@1 start", "R@1 kept", "MRR start", "MRR last", "step kept", "seconds")
    print("".join(f"{name:>13}" for name in names))
    for name in given.sets:
        for rate in given.rates:
            began = time.monotonic()
            options = {"epochs": given.epochs, "batch_size": given.batch_size, "validate": given.validate}
            rows = [
                measured(pairs(name, given.pairs, seed), seed, pretrained_rate=rate, **options)
                for seed in range(given.seeds)
            ]
            *values, step = np.mean(rows, axis=0)
            seconds = (time.monotonic() - began) / given.seeds
            cells = "".join(f"{value:>13.3f}" for value in values)
            print(f"{name:>13}{rate:>13.0e}{cells}{step:>13.1f}{seconds:>13.0f}", flush=True)


if __name__ == "__main__":
    main()
