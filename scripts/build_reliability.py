"""Write docs/reliability.md from the stored outputs of the benchmarks that break things.

python scripts/build_reliability.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

HEAD = """# What it survives

This page is written by `python scripts/build_reliability.py` from the stored outputs in `benchmarks/results/`. It says
what was tried, how often, and with what result; problems are listed as they came out.

| what | tried | result |
|---|---|---|
"""

TAIL = """
## What holds, and why

- **A kill at any moment.** Every file is written aside, flushed and renamed. A checkpoint carries model, optimiser,
  average, queues, teachers and states of single samples; the order of batches and all random numbers follow from the
  seed and the number of the step, so no generator's state has to be kept. `unalike fit --resume RUN` ends with the same
  bits as a run that nobody disturbed (CPU, the same number of threads). Ctrl-C and SIGTERM end after the step, save,
  and print the next command.
- **A full disk.** The run stops with the path, the bytes that were to be written and those that are free; what was
  saved before is untouched, and the run goes on when there is room (`tests/run/test_full_disk.py`, on a small tmpfs).
- **A changed byte.** `run.json` carries a checksum of itself and of every other file of a finished run, checkpoints and
  the cache of prepared pictures have theirs: the file is named, never misread. A damaged checkpoint leads to the one
  before it; a damaged cache is made anew (`tests/run/test_damage.py`). The log of an *unfinished* run has no checksum.
- **Files of strangers.** Weights are safetensors, records JSON, tables Parquet; nothing that is read is unpickled
  (`tests/test_strangers.py` puts live pickles under every name, `tests/test_house.py` searches the source). Pages
  escape captions, names and labels. Members of archives cannot leave their folder. Pictures above 64 million pixels are
  refused from their header. `run.json` may ask for an encoder of any size: memory is not bounded against a stranger's
  run.
- **Several processes.** See [from one machine to many](many-machines.md).

## What was not tried

Power cuts (only `fsync` and rename stand against them), network file systems, GPUs, and more than four processes.
"""


def read(name: str) -> Any:
    """A stored output, or None if it was not measured yet."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def problems(found: list[str]) -> str:
    """None, or the list of problems."""
    count = "one problem" if len(found) == 1 else f"{len(found)} problems"
    return "no problem" if not found else f"{count}: " + "; ".join(found).replace("|", "\\|")


def rows() -> Iterator[tuple[str, str, str]]:
    """What was tried, how often, with what result."""
    for name, words in (
        ("survival", "SIGKILL, SIGTERM and Ctrl-C at random moments (`benchmarks/survival.py`)"),
        ("stops", "SIGTERM and Ctrl-C again (`benchmarks/survival.py --kills 0`)"),
    ):
        found = read(name)
        if found:
            signals = ", ".join(f"{count} {which}" for which, count in found["signals"].items() if count)
            moments = "; ".join(f"{what}: {count}" for what, count in found["moments"].items())
            yield words, f"{signals} in {found['runs']} runs ({moments})", problems(found["problems"])
    fuzz = read("fuzz")
    for row in fuzz["surfaces"] if fuzz else []:
        yield (
            f"generated input: {row['surface']} (`benchmarks/fuzz.py`)",
            f"{row['inputs']:,}: {row['taken']:,} taken, {row['refused']:,} refused",
            f"{problems(row['problems'])}; {row['MiB above the start']} MiB above the start, no input over 5 s",
        )
    finite = read("finite")
    if finite:
        counts = ", ".join(f"{count:,} {what}" for what, count in sorted(finite["counts"].items()))
        yield (
            "every objective over temperatures from 0.001 to 100, float32 and bfloat16, equal, opposite and zero rows "
            "(`benchmarks/finite.py`)",
            f"{finite['objectives']} objectives, batches {', '.join(map(str, finite['batches']))} (those that store "
            f"all scores up to 256: {', '.join(finite['not above 512 rows'])}): {counts}",
            problems(finite["wrong"]),
        )
    processes = read("processes")
    for row in processes["systems"] if processes else []:
        yield (
            f"two processes against one: {row['system']} (`benchmarks/processes.py`)",
            f"{row['steps']} steps of SGD at {row['learning_rate']:g}",
            f"largest difference of a parameter {row['parameter']:.1e}, of a buffer {row['buffer']:.1e}; one process "
            f"nudged by rounding: {row['parameter control']:.1e}, {row['buffer control']:.1e}; in float64: "
            f"{row['parameter double']:.1e}, {row['buffer double']:.1e}; with encoders shared out "
            f"{row['parameter shared out']:.1e}, {row['buffer shared out']:.1e}",
        )
    for row in processes.get("memory", ()) if processes else []:
        yield (
            f"memory of a training in {row['processes']} (`benchmarks/processes.py --memory`)",
            f"{row['parameters'] / 1e6:.0f} million parameters, AdamW",
            f"the largest process grows by {row['MiB']:.0f} MiB",
        )
    soak = read("soak")
    if soak:
        yield (
            "fit, load, embed, search and report again and again (`benchmarks/soak.py`)",
            f"{soak['rounds']} rounds in {soak['minutes']} minutes",
            f"{soak['MiB after the tenth round']:.0f} MiB after the tenth round, {soak['MiB'][199]:.0f} after 200, "
            f"{soak['MiB after the last round']:.0f} after the last: {100 * soak['growth']:+.1f}%, at most 5% was the "
            f"aim ({soak['MiB with what is free'][0]:.0f} and {soak['MiB with what is free'][1]:.0f} with what the C "
            f"library keeps); oneDNN held to {soak['oneDNN pieces']} pieces of code, by itself it keeps up to 1,024, "
            f"some 30 MiB here; handles {soak['handles'][0]} and {soak['handles'][1]}, processes left: "
            f"{soak['processes left']}",
        )


def gather() -> str:
    """What the gather of several processes cost."""
    processes = read("processes")
    if not processes or "gather" not in processes:
        return ""
    lines = [
        f"| {row['processes']} | {row['rows']:,} | {row['width']} | {1000 * row['seconds']:.1f} |"
        for row in processes["gather"]
    ]
    return (
        "\n## What the gather costs\n\nForward and backward, gloo, all processes on one core of one machine, where "
        "they take turns:\n\n| processes | rows of each | width | milliseconds |\n|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


def main() -> None:
    table = "".join(f"| {what} | {tried} | {result} |\n" for what, tried, result in rows())
    missing = [name for name in ("survival", "fuzz", "finite", "processes", "soak") if read(name) is None]
    note = f"\nNot measured yet: {', '.join(f'`benchmarks/{name}.py`' for name in missing)}.\n" if missing else ""
    (ROOT / "docs" / "reliability.md").write_text(HEAD + table + note + gather() + TAIL, encoding="utf-8")


if __name__ == "__main__":
    main()
