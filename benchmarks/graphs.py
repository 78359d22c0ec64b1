"""How the cost of graph losses grows with the nodes: time of loss and gradient, log-log slopes, and memory.

Nodes, edges and clusters are drawn: each node has six neighbours on average, and the number of clusters stays the same.
Each time is the best of some rounds in a process of its own, whose peak memory is read too. Run it alone:

    python benchmarks/graphs.py
    python benchmarks/graphs.py --largest 64000 --json benchmarks/results/graphs.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import time
from pathlib import Path

import numpy as np

WIDTH, CLUSTERS, NEIGHBOURS, SCALE = 10, 10, 6, 0.5


def measure(name: str, nodes: int, rounds: int) -> tuple[float, float]:
    """Seconds of loss and gradient, and by how many MiB they raised the process's peak memory."""
    import torch
    from scipy.sparse import csr_array

    from unalike import objectives, pairing

    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    ends = generator.integers(nodes, size=(2, nodes * NEIGHBOURS // 2))
    ends = ends[:, ends[0] != ends[1]]
    both = np.concatenate([ends, ends[::-1]], axis=1)
    graph = csr_array((np.ones(both.shape[1], np.float32), tuple(both)), (nodes, nodes))
    near = pairing.as_tensor(pairing.influence(graph, 1))
    codes = torch.from_numpy(generator.integers(CLUSTERS, size=nodes))
    vectors = torch.randn(nodes, WIDTH, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def step() -> None:
        if name == "pamc":
            loss = objectives.pamc(vectors, near, codes, scale=SCALE)
        else:
            loss = objectives.iac(vectors, near, scale=SCALE)
        loss.backward()

    small = objectives.iac(vectors[:64], near.to_dense()[:64, :64] if nodes <= 4000 else torch.eye(64), scale=SCALE)
    small.backward()  # what is set up once is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return min(times), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def slope(sizes: list[int], values: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=64_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sizes = [size for size in (1000, 2000, 4000, 8000, 16_000, 32_000, 64_000) if size <= arguments.largest]
    result: dict[str, object] = {"machine": platform.machine(), "threads": 1, "sizes": sizes}
    context = multiprocessing.get_context("spawn")
    for name in ("pamc", "scgc"):
        seconds, memory = [], []
        for size in sizes:
            rounds = 1 if name == "scgc" and size > 16_000 else 3 if name == "scgc" else 15
            with context.Pool(1) as pool:
                took, grown = pool.apply(measure, (name, size, rounds))
            seconds.append(took)
            memory.append(grown)
            print(f"{name} {size:>6} nodes: {took:9.4f} s, {grown:7.1f} MiB", flush=True)
        result[name] = {"seconds": seconds, "mebibytes": memory, "slope": slope(sizes, seconds)}
        print(f"{name}: time grows with the nodes to the power {slope(sizes, seconds):.2f}", flush=True)
    print(f"a stored matrix of {sizes[-1]:,} x {sizes[-1]:,} scores would take {4 * sizes[-1] ** 2 / 2**20:,.0f} MiB")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
