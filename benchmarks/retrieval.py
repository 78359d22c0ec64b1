"""What exact search costs beside the bare matrix product, and how the cost grows with the corpus.

All arms run in one process, in turns; ratios are of medians. Run it alone on the machine:

    python benchmarks/retrieval.py
    python benchmarks/retrieval.py --queries 2000 --peers
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from unalike.search import top_k


def unit(rows: int, width: int, generator: torch.Generator) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator), dim=1)


def bare_product(queries: torch.Tensor, corpus: torch.Tensor, height: int = 1024, width: int = 16_384) -> None:
    """Every score once, thrown away: blocks that fit into memory, as anyone would write it."""
    for top in range(0, len(queries), height):
        for left in range(0, len(corpus), width):
            torch.mm(queries[top : top + height], corpus[left : left + width].t())


def tiled_product(queries: torch.Tensor, corpus: torch.Tensor, side: int = 1024) -> None:
    """The same in tiles that stay in cache, written over and over: the floor for any exact search by product."""
    room = torch.empty(side * side)
    for left in range(0, len(corpus), side):
        columns = corpus[left : left + side].t()
        for top in range(0, len(queries), side):
            some = queries[top : top + side]
            torch.mm(some, columns, out=room[: len(some) * columns.shape[1]].view(len(some), -1))


def in_turns(arms: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, run in arms.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--corpus", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="FAISS and sentence-transformers as well")
    settings = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    queries = unit(settings.queries, settings.width, generator)
    corpus = unit(settings.corpus, settings.width, generator)
    k = settings.k
    arms: dict[str, Callable[[], object]] = {
        "bare torch.mm": lambda: bare_product(queries, corpus),
        "torch.mm in tiles": lambda: tiled_product(queries, corpus),
        "top_k, cosine": lambda: top_k(queries, corpus, k),
        "top_k, dot": lambda: top_k(queries, corpus, k, metric="dot"),
    }
    if settings.peers:
        import faiss
        from sentence_transformers.util import semantic_search

        flat = faiss.IndexFlatIP(settings.width)
        flat.add(corpus.numpy())
        arms["FAISS IndexFlatIP"] = lambda: flat.search(queries.numpy(), k)
        arms["sentence-transformers"] = lambda: semantic_search(queries, corpus, top_k=k)
        # The numbers mean something only where the answers are the same.
        scores = top_k(queries[:200], corpus, k, metric="dot")[0].numpy()
        assert np.abs(scores - flat.search(queries[:200].numpy(), k)[0]).max() < 1e-5
    work = 2 * settings.queries * settings.corpus * settings.width
    print(f"{settings.queries:,} queries in {settings.corpus:,} x {settings.width}, k={k}, ", end="")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {settings.rounds} rounds in turns")
    times = in_turns(arms, settings.rounds)
    bare = statistics.median(times["bare torch.mm"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        rate = work / middle / 1e9
        print(f"{name:24s} {middle:7.2f} s (best {min(seconds):.2f})  {rate:5.0f} GF/s  {middle / bare:5.2f} x bare")
    fewer = min(settings.queries, 1000)
    sizes = [settings.corpus // 8, settings.corpus // 4, settings.corpus // 2, settings.corpus]
    grown = in_turns({str(n): lambda n=n: top_k(queries[:fewer], corpus[:n], k) for n in sizes}, settings.rounds)
    medians = [statistics.median(grown[str(n)]) for n in sizes]
    slope = np.polyfit(np.log(sizes), np.log(medians), 1)[0]
    print(f"{fewer:,} queries, growing corpus: ", end="")
    print(", ".join(f"{n:,}: {t:.2f} s" for n, t in zip(sizes, medians, strict=True)), f"(slope {slope:.2f})")


if __name__ == "__main__":
    main()
