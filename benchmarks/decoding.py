"""What a step of each decoder costs beside a greedy one: a token of every text in the batch.

All arms run in one process, in turns, each on its own cache of the same length; ratios are of medians. The last arm
repeats the rows of the cache for every candidate, as is usual, where contrastive search here shares it. Run it alone:

    unalike data get smollm2
    python benchmarks/decoding.py smollm2
    python benchmarks/decoding.py smollm2 --lengths 32 2048 --batch 4
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch

from unalike import decoding, systems
from unalike.decoding.rows import Rows


@contextmanager
def repeated_rows() -> Iterator[None]:
    """Candidates as rows of their own, each with a copy of the cache."""
    with mock.patch.object(Rows, "_shares", lambda self: False):
        yield


def made(slug: str, **settings: Any) -> decoding.Decoder:
    system = systems.find(slug, kind="decoder")
    decoder: decoding.Decoder = system.build(system.settings(**settings))
    return decoder


def arms_at(model: Any, length: int, context: int, batch: int, k: int) -> dict[str, Callable[[], None]]:
    """A step of each decoder, on texts that are ``length`` tokens long when the first one is made."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.get_input_embeddings().num_embeddings

    def prompt(tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.randint(vocabulary, (batch, tokens), generator=generator)
        return ids, torch.ones_like(ids, dtype=torch.bool)

    def step(decoder: decoding.Decoder) -> Callable[[], None]:
        prompts = [prompt(length)] if decoder.branches == 1 else [prompt(length), prompt(max(1, length - context))]
        texts = decoding.Texts([model] * decoder.branches, prompts, hidden=decoder.hidden)
        return lambda: texts.advance(decoder.choose(texts))

    search = made("contrastive-search", k=k)
    arms = {
        "greedy": step(decoding.greedy()),
        "adacad, two branches": step(made("adacad")),
        f"contrastive search, k={k}": step(search),
    }
    with repeated_rows():
        copies = step(search)

    def repeated() -> None:
        with repeated_rows():
            copies()

    return arms | {"  with the cache repeated": repeated}


def in_turns(arms: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 2):
        for name, run in arms.items():
            start = time.perf_counter()
            run()
            if number >= 2:
                times[name].append(time.perf_counter() - start)
    return times


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder, or the name of weights")
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 512])
    parser.add_argument("--context", type=int, default=24, help="tokens that the second branch does not see")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=40)
    settings = parser.parse_args()
    model, _ = decoding.load_language_model(settings.model)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(f"{settings.model}, {millions:.0f} million parameters, batch {settings.batch}, ", end="")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {settings.rounds} steps in turns")
    for length in settings.lengths:
        times = in_turns(arms_at(model, length, settings.context, settings.batch, settings.k), settings.rounds)
        greedy = statistics.median(times["greedy"])
        print(f"from {length} tokens on:")
        for name, seconds in times.items():
            middle = statistics.median(seconds)
            print(
                f"  {name:28s} {middle * 1e3:7.1f} ms (best {min(seconds) * 1e3:.1f})  {middle / greedy:5.2f} x greedy"
            )


if __name__ == "__main__":
    main()
