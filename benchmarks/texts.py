"""Texts a second through MiniLM: ours against sentence-transformers, with its vectors.

    python benchmarks/texts.py
    python benchmarks/texts.py --texts 600 --rounds 5 --json texts.json

Both hold the same weights (``unalike data get minilm``) and read the same texts: short descriptions of Debian's
packages, and a third each of these, of long descriptions and of WordNet's definitions, in random order (``unalike data
get debian``). All arms run in one process, in turns; a ratio is the median of the rounds' ratios.
sentence-transformers has the batches that it has unless told otherwise, and larger ones. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from unalike.data import Collection, open_set, weights
from unalike.encoders import SentenceTransformersEncoder, embed_texts

BATCHES = (32, 128)
CLOSE = 1e-5


def sample(collection: Collection, role: str, count: int, generator: np.random.Generator) -> list[str]:
    column = collection[role]
    texts = [text for row in generator.permutation(len(column))[: 2 * count] if (text := column[int(row)])]
    return texts[:count]


def sets_of(count: int) -> dict[str, list[str]]:
    generator = np.random.default_rng(0)
    debian, wordnet = open_set("debian"), open_set("wordnet")
    parts = ((debian, "text:en"), (debian, "text:en-body"), (wordnet, "text"))
    mixed = [text for collection, role in parts for text in sample(collection, role, count // 3, generator)]
    return {
        "short descriptions": sample(debian, "text:en", count, generator),
        "texts of mixed length": [mixed[row] for row in generator.permutation(len(mixed))],
    }


def in_turns(arms: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds):
        # Each goes first in its turn, so that what one leaves behind in the caches helps none more than others.
        names = list(arms)[number % len(arms) :] + list(arms)[: number % len(arms)]
        for name in names:
            start = time.perf_counter()
            arms[name]()
            times[name].append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    folder = weights("minilm")
    peer = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder = SentenceTransformersEncoder(folder, frozen=True)
    result: dict[str, Any] = {
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {
            name: importlib.metadata.version(name) for name in ("torch", "transformers", "sentence-transformers")
        },
        "rounds": settings.rounds,
        "sets": {},
    }
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {settings.rounds} rounds in turns")
    for name, texts in sets_of(settings.texts).items():
        tokens = int(encoder.tokenise(texts)[1].sum())
        arms: dict[str, Callable[[], object]] = {"unalike": lambda texts=texts: embed_texts(encoder, texts)}
        for size in BATCHES:
            arms[f"sentence-transformers, batches of {size}"] = lambda texts=texts, size=size: peer.encode(
                texts, batch_size=size, show_progress_bar=False
            )
        # What the arms give before the clock runs: the numbers mean something only where it is the same.
        ours, *theirs = (np.asarray(arm()) for arm in arms.values())
        difference = float(max(np.abs(ours - each).max() for each in theirs))
        assert difference <= CLOSE, difference
        times = in_turns(arms, settings.rounds)
        kept: dict[str, Any] = {"texts": len(texts), "tokens": tokens, "difference": difference, "arms": {}}
        print(f"{name}: {len(texts):,} texts, {tokens:,} tokens; largest difference {difference:.1e}")
        for arm, seconds in times.items():
            middle = statistics.median(seconds)
            ratio = statistics.median(s / o for s, o in zip(seconds, times["unalike"], strict=True))
            kept["arms"][arm] = {"seconds": seconds, "texts a second": len(texts) / middle, "time to ours": ratio}
            rates = f"{len(texts) / middle:7.0f} texts/s {tokens / middle:7.0f} tokens/s"
            print(f"  {arm:38s} {rates}  {ratio:5.2f}x our time")
        result["sets"][name] = kept
    if settings.json:
        settings.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
