"""Two processes against one: the same parameters after the same steps, and what the gather costs.

    python benchmarks/processes.py [--steps 50] [--systems simclr moco-v2 ...] [--gather] [--memory] [--json FILE]

Each system trains from the same seed with the same batches, in one process and in two. Beside the largest
difference of any parameter or buffer stands the control: one process, three times, whose initial weights were moved by
a unit in the last place. Networks with rectifiers and maxima have gradients that jump: as soon as one number of one
picture falls on the other side of zero, rounding grows from step to step, and the control shows how far. Whether two
processes compute the same thing is told by the same training in float64, where rounding is too small to be seen, also
with encoders that are shared out (``unalike fit --shard``). What those save is told by ``--memory``: how far the
largest process grows while a vision transformer of 86 million parameters trains. Loop, optimiser (SGD, no weight
decay), batches and views are those of `unalike fit`.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image

from unalike import training
from unalike.data import AudioColumn, Collection, Column, ImageColumn, TextColumn, open_set
from unalike.data.gathering import Source
from unalike.encoders import Encoder
from unalike.errors import SettingsError
from unalike.runs.build import make_learner, prepare
from unalike.runs.plan import plan

ROWS = 96
SYSTEMS: dict[str, dict[str, Any]] = {
    "simclr": {},
    "simclr, digits": {"data": "digits", "rate": 0.05},  # flat pictures and large steps
    "dcl": {},
    "moco-v2": {"settings": {"queue": 64}},  # full after two batches
    "swav": {"settings": {"prototypes": 20, "queue": 32, "queue_after": 0.0, "frozen_epochs": 0, "small_crops": 2}},
    "isogclr": {},  # a state for each sample
    "clip": {"kinds": ("image", "text")},
    "symile": {"kinds": ("image", "text", "audio")},  # rows of the batch that each tower sees are drawn
    "simcse": {"kinds": ("text",)},
    "simcse, transformer": {"kinds": ("text",), "encoder": {"text": "transformer"}},
}
LARGE = {"encoder": {"image": "timm:vit_base_patch16_224"}, "optimizer": "adamw"}
"""By which memory is measured: 86 million parameters, and for each its gradient and two moments."""

WAYS = {"one process": 1, "two processes": 2, "two processes that share the encoder out": 2}
"""In how many processes memory is measured."""

HEAP = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Without these glibc keeps what a process has freed, and no way to train looks smaller than another."""


def pictures() -> list[Image.Image]:
    """Textured pictures: in flat ones maxima tie, and rounding decides which place a gradient goes to."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(ROWS):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), np.uint8)).resize((24, 24), Image.BICUBIC)
        pixels = np.asarray(coarse, np.int64) + generator.integers(-30, 30, (24, 24, 3))
        found.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    return found


@cache
def recordings() -> list[str]:
    """Half a second of noise each, in a folder that goes with the process."""
    import soundfile

    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    generator, paths = np.random.default_rng(0), []
    for row in range(ROWS):
        paths.append(f"{folder.name}/{row}.wav")
        soundfile.write(paths[-1], 0.1 * generator.normal(size=8000), 16000)
    return paths


def learner_of(name: str, steps: int, rate: float) -> tuple[training.Learner, training.Inputs, training.Training]:
    """A system on 96 rows, or on a set, at the smallest sizes."""
    given = LARGE if name == "simclr, large" else SYSTEMS[name]
    rate = given.get("rate", rate)
    if "data" in given:
        rows = open_set(given["data"])
    else:
        glosses = open_set("wordnet")["text"]
        columns: dict[str, Callable[[], Column]] = {
            "image": lambda: ImageColumn(pictures()),
            "text": lambda: TextColumn([str(glosses[7 * row]) for row in range(ROWS)]),
            "audio": lambda: AudioColumn(recordings()),
        }
        rows = Collection({kind: columns[kind]() for kind in given.get("kinds", ("image",))}, name="rows")
    source = Source(path="memory:rows", roles={}, label=None, group=None, id=None, encoding=None, tolerance=0.0)
    collection, spec = plan(
        rows,
        source,
        system=name.split(",")[0],
        settings=given.get("settings"),
        training=training.Training(
            steps=steps,
            batch_size=16,
            optimizer=given.get("optimizer", "sgd"),
            learning_rate=rate,
            weight_decay=0.0,
            device="cpu",
        ),
        encoder=given.get("encoder"),
        size=16,
        views="paper",
        unseen=(),
        holdout=0.1,
    )
    ready = prepare(collection, spec)
    inputs = training.inputs_of(ready.collection, ready.packed, spec.roles, ready.collection.splits["train"])
    return make_learner(spec, ready, inputs), inputs, spec.training


def as_double(encoder: Encoder, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Before an encoder's forward pass: its input in float64."""
    return tuple(
        each.double() if isinstance(each, torch.Tensor) and each.is_floating_point() else each for each in given
    )


def train_all(names: list[str], steps: int, rate: float, out: Path, nudge: int, double: bool, shard: bool) -> None:
    """Train each system, in this process and those that it belongs to; the first writes what came out."""
    with training.joined("cpu") as group:
        for name in names:
            processes: training.Group = group
            before = peak()
            learner, inputs, chosen = learner_of(name, steps, rate)
            if nudge:
                generator = torch.Generator().manual_seed(nudge)
                with torch.no_grad():
                    for parameter in learner.parameters:
                        parameter *= 1 + 2.0**-24 * torch.randn(parameter.shape, generator=generator)
            if double:
                learner.module.double()
                for part in learner.module.modules():
                    if isinstance(part, Encoder):
                        part.register_forward_pre_hook(as_double)
            if shard:
                processes = training.shard(learner.module, training.shardable(group, chosen))
            began = time.monotonic()
            with training.sharing(learner.module, group):
                training.train(learner, inputs, chosen, processes=processes)
            took, grown = time.monotonic() - began, processes.most(peak() - before)
            spent = {"seconds": torch.tensor(took), "grown": torch.tensor(grown)}
            parameters = processes.whole(dict(learner.module.named_parameters()))
            if processes.leads:
                state = {f"buffer {key}": value.double() for key, value in learner.module.named_buffers()}
                state |= {f"parameter {key}": value.double() for key, value in parameters.items()}
                training.save_tensors(out / f"{name}.safetensors", state | spent)


def peak() -> int:
    """The most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def start(words: list[str], count: int, store: Path, **more: str) -> None:
    """This script as so many processes of one group, with ``more`` in their environment."""
    processes = []
    for rank in range(count):
        group = {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
        environment = os.environ | {"OMP_NUM_THREADS": "1", "STORE": str(store)} | more | (group if count > 1 else {})
        processes.append(subprocess.Popen([sys.executable, __file__, *words], env=environment))
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(f"a process ended with {max(codes)}")


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], what: str) -> float:
    """The largest difference of any number of parameters or buffers, relative to it where it is above one."""
    off = [
        float(((value - other[key]).abs() / value.abs().clamp(min=1)).max())
        for key, value in one.items()
        if key.startswith(what) and value.numel()
    ]
    return max(off, default=0.0)


def compare(names: list[str], steps: int, rate: float, nudges: int = 3) -> list[dict[str, Any]]:
    """A row for each system."""
    ways = {"one": 1, "two": 2, "one double": 1, "two double": 2, "two shared out double": 2} | {
        f"nudged {number}": 1 for number in range(1, nudges + 1)
    }
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for way, count in ways.items():
            folder = Path(place) / way
            folder.mkdir()
            words = ["--work", str(folder), "--steps", str(steps), "--rate", str(rate), "--systems", *names]
            words += ["--double"] if way.endswith("double") else []
            words += ["--shard"] if "shared out" in way else []
            words += ["--nudge", way.partition(" ")[2]] if way.startswith("nudged") else []
            start(words, count, Path(place) / f"store {way}")
        for name in names:
            found = {way: training.load_tensors(Path(place) / way / f"{name}.safetensors") for way in ways}
            row: dict[str, Any] = {
                "system": name,
                "steps": steps,
                "learning_rate": SYSTEMS[name].get("rate", rate),
            }
            for what in ("parameter", "buffer"):
                row[what] = difference(found["one"], found["two"], what)
                controls = [difference(found["one"], found[way], what) for way in ways if way.startswith("nudged")]
                row[f"{what} control"] = max(controls, default=None)
                row[f"{what} double"] = difference(found["one double"], found["two double"], what)
                row[f"{what} shared out"] = difference(found["one double"], found["two shared out double"], what)
            row["seconds"] = [float(found[way]["seconds"]) for way in ("one", "two")]
            rows.append(row)
    return rows


def grown(steps: int) -> list[dict[str, Any]]:
    """How far the largest process grows in one process, two, and two that share the encoder out."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for way, count in WAYS.items():
            words = ["--work", place, "--steps", str(steps), "--rate", "1e-4", "--systems", "simclr, large"]
            start(words + ["--shard"] * ("share" in way), count, Path(place) / f"store {way}", **HEAP)
            found = training.load_tensors(Path(place) / "simclr, large.safetensors")
            numbers = sum(value.numel() for key, value in found.items() if key.startswith("parameter"))
            rows.append(
                {
                    "processes": way,
                    "parameters": numbers,
                    "MiB": int(found["grown"]) / 1024,
                    "seconds": float(found["seconds"]),
                }
            )
    return rows


def time_gather(out: Path) -> None:
    """Seconds of a gather with its backward pass, for several sizes."""
    from unalike.objectives import gather

    rows = []
    with training.joined("cpu") as processes:
        for count in (64, 256, 1024, 4096):
            for width in (128, 512):
                own = torch.randn(count, width, requires_grad=True)
                best = float("inf")
                for _ in range(8):
                    dist.barrier()
                    began = time.perf_counter()
                    gather(own).sum().backward()
                    best = min(best, time.perf_counter() - began)
                rows.append({"processes": dist.get_world_size(), "rows": count, "width": width, "seconds": best})
        if processes.leads:
            out.write_text(json.dumps(rows))


def scale() -> list[dict[str, Any]]:
    """The gather in two, three and four processes."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for count in (2, 3, 4):
            out = Path(place) / f"{count}.json"
            start(["--time-gather", str(out)], count, Path(place) / f"store{count}")
            rows += json.loads(out.read_text())
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS))
    parser.add_argument("--gather", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--nudge", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--double", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--shard", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--nudges", type=int, default=3)
    parser.add_argument("--time-gather", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = sorted(set(given.systems) - {*SYSTEMS, "simclr, large"})
    if unknown:
        raise SettingsError(f"{', '.join(unknown)}: choose among {', '.join(SYSTEMS)}")
    torch.set_num_threads(1)
    if given.work or given.time_gather:
        if "RANK" in os.environ:
            rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
            dist.init_process_group("gloo", init_method=f"file://{os.environ['STORE']}", rank=rank, world_size=size)
        if given.time_gather:
            time_gather(given.time_gather)
        else:
            train_all(given.systems, given.steps, given.rate, given.work, given.nudge, given.double, given.shard)
        if dist.is_initialized():
            dist.destroy_process_group()
        return
    found: dict[str, Any] = {"steps": given.steps, "learning_rate": given.rate, "torch": torch.__version__}
    if given.gather:
        found["gather"] = scale()
        for row in found["gather"]:
            print("{processes} processes, {rows} rows of {width} each: {seconds:.6f} s".format(**row))
    if given.memory:
        found["memory"] = grown(steps=5)
        for row in found["memory"]:
            print("{processes}: {parameters:,} parameters, {MiB:.0f} MiB, {seconds:.1f} s".format(**row))
    found["systems"] = compare(given.systems, given.steps, given.rate, given.nudges)
    for row in found["systems"]:
        shown = "; ".join(
            f"{what}s {row[what]:.1e}, nudged {row[f'{what} control']}, in float64 {row[f'{what} double']:.1e}, "
            f"shared out {row[f'{what} shared out']:.1e}"
            for what in ("parameter", "buffer")
        )
        print(f"{row['system']:<22}{shown}; seconds {row['seconds'][0]:.1f}, {row['seconds'][1]:.1f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
