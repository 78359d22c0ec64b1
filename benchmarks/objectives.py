"""Contrastive losses, forward and backward, against the packages that offer them.

    python benchmarks/objectives.py                                    # the README's table
    python benchmarks/objectives.py --sizes 4096 --widths 128 --families symmetric --rounds 9
    python benchmarks/objectives.py --sizes 4096 --widths 128 --no-memory --busy 1   # a core has other work

All contenders of a case run in one process, one after the other in an order that each round draws anew, since a loss
that turns gigabytes over slows down the one after it; a ratio is the median of the rounds' ratios. In each round the
rate of matrix multiplication is measured too, on tiles that stay in the cache: no loss can be faster than its
multiplications at that rate, and the fraction of this limit that a loss reaches is the figure that does not depend on
the machine. Memory is measured in a fresh process a contender. Packages that are not installed are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from unalike.objectives import backend, clip, info_nce, nt_xent, stored_exponentials, sup_con, use_backend

Loss = Callable[[Tensor, Tensor], Tensor]
TEMPERATURE = 0.1
PRODUCTS = {"two-sided": 4.0, "one-sided": 3.0, "symmetric": 2.0}
"""Multiplications of the size of the score matrix that a loss needs: the scores, the scores again in the backward pass
(not one-sided, whose gradients come with the first), and two for the gradients; half where the scores are symmetric."""
DENSE_MOST = {"two-sided": 16384, "one-sided": 16384, "symmetric": 8192}
"""Largest batch at which losses that store all scores are run."""


def plain(family: str) -> Loss:
    """The loss as everybody writes it."""

    def two_sided(a: Tensor, b: Tensor) -> Tensor:
        scores, target = a @ b.T / TEMPERATURE, torch.arange(a.shape[0])
        return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2

    def one_sided(a: Tensor, b: Tensor) -> Tensor:
        return F.cross_entropy(a @ b.T / TEMPERATURE, torch.arange(a.shape[0]))

    def symmetric(a: Tensor, b: Tensor) -> Tensor:
        z = torch.cat([a, b])
        scores = (z @ z.T / TEMPERATURE).masked_fill(torch.eye(z.shape[0], dtype=torch.bool), -torch.inf)
        return F.cross_entropy(scores, torch.arange(z.shape[0]).roll(a.shape[0]))

    return {"two-sided": two_sided, "one-sided": one_sided, "symmetric": symmetric}[family]


def ours(family: str) -> Loss:
    return {
        "two-sided": lambda a, b: clip(a, b, logit_scale=1 / TEMPERATURE),
        "one-sided": lambda a, b: info_nce(a, b, temperature=TEMPERATURE),
        "symmetric": lambda a, b: nt_xent(a, b, temperature=TEMPERATURE),
    }[family]


def with_backend(loss: Loss, name: str) -> Loss:
    """The backward pass of the portable path is the forward's, so choosing once is enough."""

    def run(a: Tensor, b: Tensor) -> Tensor:
        with use_backend(name):
            return loss(a, b)

    return run


def storing(loss: Loss) -> Loss:
    def run(a: Tensor, b: Tensor) -> Tensor:
        with stored_exponentials(1 << 30):
            return loss(a, b)

    return run


def our_sup_con(a: Tensor, b: Tensor) -> Tensor:
    return sup_con(torch.cat([a, b]), torch.arange(a.shape[0]).repeat(2), temperature=TEMPERATURE)


def open_clip_loss() -> Loss:
    from open_clip.loss import ClipLoss

    loss, scale = ClipLoss(), torch.tensor(1 / TEMPERATURE)
    return lambda a, b: loss(a, b, scale)


def lightly_loss() -> Loss:
    from lightly.loss import NTXentLoss

    return NTXentLoss(temperature=TEMPERATURE)


def metric_learning_loss() -> Loss:
    from pytorch_metric_learning.losses import SupConLoss

    loss = SupConLoss(TEMPERATURE)
    return lambda a, b: loss(torch.cat([a, b]), torch.arange(a.shape[0]).repeat(2))


def sentence_transformers_loss(*, cached: bool) -> Loss:
    from sentence_transformers.sentence_transformer import losses

    # Their losses take vectors too, and then never touch the model.
    if cached:
        nobody = torch.nn.Sequential(torch.nn.Identity())
        chunked = losses.CachedMultipleNegativesRankingLoss(nobody, scale=1 / TEMPERATURE, mini_batch_size=128)
        return lambda a, b: chunked.calculate_loss([[a], [b]], with_backward=True)
    loss = losses.MultipleNegativesRankingLoss(None, scale=1 / TEMPERATURE)
    return lambda a, b: loss.compute_loss_from_embeddings([a, b], None)


def contenders(family: str, batch: int, width: int) -> dict[str, Loss]:
    """The losses to compare, ours first and then the strongest rival."""
    own = ours(family)
    found = {"unalike": own, "unalike (portable)": with_backend(own, "portable")}
    if width >= 256 and family != "one-sided" and 4 * batch * batch <= 1 << 28:
        found["unalike (stored)"] = storing(own)
    if batch > DENSE_MOST[family]:
        return found
    found["torch.compile"] = torch.compile(plain(family), dynamic=False)
    found["plain torch"] = plain(family)
    peers: dict[str, tuple[str, str, Callable[[], Loss]]] = {
        "open_clip": ("two-sided", "open_clip", open_clip_loss),
        "lightly": ("symmetric", "lightly", lightly_loss),
        "pytorch-metric-learning": ("symmetric", "pytorch_metric_learning", metric_learning_loss),
        "sentence-transformers": (
            "one-sided",
            "sentence_transformers",
            lambda: sentence_transformers_loss(cached=False),
        ),
        "sentence-transformers (cached)": (
            "one-sided",
            "sentence_transformers",
            lambda: sentence_transformers_loss(cached=True),
        ),
    }
    for name, (of, module, make) in peers.items():
        if of == family and importlib.util.find_spec(module) is not None:
            found[name] = make()
    if family == "symmetric":
        found["unalike (SupCon)"] = our_sup_con
    return found


def pairs(batch: int, width: int) -> tuple[Tensor, Tensor]:
    """Partners that are alike but not easy to tell from the others."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(batch, width, generator=generator)
    b = a + 2 * torch.randn(batch, width, generator=generator)
    return F.normalize(a, dim=1), F.normalize(b, dim=1)


def step(loss: Loss, a: Tensor, b: Tensor) -> tuple[float, Tensor, Tensor, Tensor]:
    """One forward and backward pass; its seconds, the loss and the gradients."""
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    start = time.perf_counter()
    value = loss(a, b)
    if value.requires_grad:  # else it made the gradients itself
        value.backward()
    seconds = time.perf_counter() - start
    assert a.grad is not None and b.grad is not None
    return seconds, value.detach(), a.grad, b.grad


def seconds_of(loss: Loss, a: Tensor, b: Tensor) -> float:
    """Seconds of a step; of short ones the median of as many as take 20 ms."""
    seconds = [step(loss, a, b)[0]]
    while sum(seconds) < 0.02:
        seconds.append(step(loss, a, b)[0])
    return statistics.median(seconds)


def multiplication_rate(width: int) -> float:
    """Flops a second of tile after tile in the cache; median of ten."""
    a, b, out = torch.randn(512, width), torch.randn(1024, width), torch.empty(512, 1024)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b.T, out=out)
        seconds.append(time.perf_counter() - start)
    return 2 * 512 * 1024 * width / statistics.median(seconds)


@dataclass
class Row:
    """One contender in one case."""

    family: str
    batch: int
    width: int
    name: str
    milliseconds: float
    nanoseconds_a_score: float
    fraction_of_limit: float
    multiplication_gflops: float
    times_as_long_as_ours: float
    extra_mib: float | None = None
    relative_error: float | None = None


def relative_errors(family: str, losses: dict[str, Loss], a: Tensor, b: Tensor) -> dict[str, float]:
    """The largest of the errors of loss and gradients against plain float64.

    Some peers bring vectors to unit length once more, so gradients are compared along the sphere, for all alike.
    """

    def along(slope: Tensor, x: Tensor) -> Tensor:
        slope, x = slope.double(), x.double()
        return slope - (slope * x).sum(1, keepdim=True) * x

    _, value, *slopes = step(plain(family), a.double(), b.double())
    right = [along(slope, x) for slope, x in zip(slopes, (a, b), strict=True)]
    found = {}
    for name, loss in losses.items():
        _, own, *own_slopes = step(loss, a, b)
        given = [along(slope, x) for slope, x in zip(own_slopes, (a, b), strict=True)]
        errors = [float((x - y).norm() / y.norm()) for x, y in zip(given, right, strict=True)]
        found[name] = max(abs(float(own - value) / float(value)), *errors)
    return found


def run_case(family: str, batch: int, width: int, rounds: int, patience: float, memory: bool) -> list[Row]:
    """Interleaved rounds of all contenders; the slow ones rest after their first round where time is short."""
    a, b = pairs(batch, width)
    losses = contenders(family, batch, width)
    errors = relative_errors(family, losses, a, b) if batch <= 1024 else {}
    times: dict[str, list[float]] = {name: [] for name in losses}
    rates, slow, shuffled = [], set(), random.Random(0)
    for number in range(rounds + 1):
        rates.append(multiplication_rate(width))
        for name in shuffled.sample(list(losses), len(losses)):
            if name in slow and len(times[name]) >= 1:
                continue
            seconds = seconds_of(losses[name], a, b)
            if number:
                times[name].append(seconds)
            elif seconds > patience:
                slow.add(name)
    ours_alone = times["unalike"]
    scores = batch * batch * (4 if family == "symmetric" else 1)
    rate = statistics.median(rates[1:])
    rows = []
    for name, seconds in times.items():
        median = statistics.median(seconds)
        rows.append(
            Row(
                family,
                batch,
                width,
                name,
                1e3 * median,
                1e9 * median / scores,
                PRODUCTS[family] * 2 * scores * width / median / rate,
                rate / 1e9,
                statistics.median(x / y for x, y in zip(seconds, ours_alone, strict=False)),
                extra_memory(family, batch, width, name) if memory else None,
                errors.get(name),
            )
        )
    return rows


@contextlib.contextmanager
def others_at_work(count: int) -> Iterator[None]:
    """While open, so many other processes never pause, each on a core of its own."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    program = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"  # none outlives this process
    others = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        for number, other in enumerate(others if cores else []):
            os.sched_setaffinity(other.pid, {cores[number % len(cores)]})
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def extra_memory(family: str, batch: int, width: int, name: str) -> float | None:
    """Peak of resident memory over what is there before the step, in a process of its own; Linux only."""
    command = [sys.executable, __file__, "--peak", name, "--families", family]
    command += ["--sizes", str(batch), "--widths", str(width)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def peak(family: str, batch: int, width: int, name: str) -> float:
    """MiB above the start, after a small step that loads what is loaded once."""
    loss = contenders(family, batch, width)[name]
    step(loss, *pairs(64, width))
    a, b = (x.requires_grad_() for x in pairs(batch, width))
    status = Path("/proc/self/status")

    def mib(field: str) -> float:
        line = next(line for line in status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) / 1024

    Path("/proc/self/clear_refs").write_text("5")
    before = mib("VmRSS")
    run = loss(a, b)
    if run.requires_grad:
        run.backward()
    return mib("VmHWM") - before


def table(rows: list[Row]) -> str:
    """The rows as Markdown, cases under each other."""
    lines = [
        "| loss | B | D | implementation | ms | ns a score | of the limit | time, ours = 1 | extra MiB | error |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        extra = "" if r.extra_mib is None else f"{r.extra_mib:.0f}"
        error = "" if r.relative_error is None else f"{r.relative_error:.1e}"
        lines.append(
            f"| {r.family} | {r.batch} | {r.width} | {r.name} | {r.milliseconds:.1f} | {r.nanoseconds_a_score:.2f} "
            f"| {r.fraction_of_limit:.2f} | {r.times_as_long_as_ours:.2f} | {extra} | {error} |"
        )
    return "\n".join(lines)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=numbers, default=[1024, 4096, 16384, 65536], help="batch sizes")
    parser.add_argument("--widths", type=numbers, default=[128, 512], help="lengths of vectors")
    parser.add_argument("--families", type=lambda text: text.split(","), default=list(PRODUCTS))
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, after one that does not count")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds a step beyond which one round must do")
    parser.add_argument("--no-memory", action="store_true", help="leave out the processes that measure memory")
    parser.add_argument("--busy", type=int, default=0, help="cores that other processes keep busy meanwhile")
    parser.add_argument("--output", type=Path, default=Path("objectives.json"), help="where the JSON goes")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(json.dumps(peak(options.families[0], options.sizes[0], options.widths[0], options.peak)))
        return
    rows: list[Row] = []
    for family in options.families:
        for batch in options.sizes:
            for width in options.widths:
                torch._dynamo.reset()
                with others_at_work(options.busy):
                    fresh = run_case(family, batch, width, options.rounds, options.patience, not options.no_memory)
                rows += fresh
                rate = fresh[0].multiplication_gflops
                print(
                    f"{family} B={batch} D={width}: {fresh[0].fraction_of_limit:.2f} of the multiplication limit "
                    f"({rate:.0f} GF/s in this run)",
                    flush=True,
                )
                for row in fresh:
                    print(
                        f"    {row.name:32} {row.milliseconds:9.1f} ms   {row.times_as_long_as_ours:6.2f}", flush=True
                    )
    about = {
        "backend": backend(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "temperature": TEMPERATURE,
        "busy cores": options.busy,
    }
    options.output.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    print(f"\n{backend()}, {about['threads']} threads, torch {about['torch']}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
