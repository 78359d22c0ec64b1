"""Runs that are killed at random moments, resumed, and compared with one that nobody disturbed.

    python benchmarks/survival.py [--kills 100] [--stops 20] [--seed 0] [--json FILE]

Two small runs, `unalike fit` on handwritten digits (SimCLR) and on emoji with their names (CLIP), are started again and
again. SIGKILL strikes at a random moment, or at the first sign of a random file (a checkpoint half written, weights,
vectors, the report); every third run is killed a second time while it is resumed. Then it is resumed to its end, and
weights, vectors, items, scores, metrics and report are compared byte by byte. After that the same with SIGTERM and
SIGINT, which must end with the next command to type. Each command is a process of its own, forked from one that has
imported the libraries already; every tenth is a fresh interpreter.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import unalike.runs.fit  # noqa: F401  what a forked process shall find imported
from unalike import cli
from unalike.data import open_set

FILES = ("weights.safetensors", "vectors.safetensors", "items.parquet", "scores.json", "metrics.jsonl", "report.html")
SIGNS = ("checkpoints/.*.part", "checkpoints/0*", "weights.safetensors", ".vectors*.part", "scores.json", "report.html")
"""Files at whose first appearance a kill may strike; the others strike by the clock."""


@dataclass
class Ended:
    """How a command ended: its exit code (negative for a signal), what it said, and after how many seconds."""

    code: int
    said: str
    seconds: float


@dataclass
class Case:
    """A run to disturb."""

    name: str
    words: list[str]
    whole: Path = Path()
    seconds: float = 0.0
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    problems: list[str] = field(default_factory=list)


def start(words: list[str], log: Path, *, fresh: bool) -> int:
    """Start ``unalike`` with some words; return the number of the process."""
    if fresh:
        with log.open("wb") as stream:
            return subprocess.Popen([sys.executable, "-m", "unalike", *words], stdout=stream, stderr=stream).pid
    number = os.fork()
    if number:
        return number
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    code = 0
    try:
        cli.main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:
        print(f"Traceback: {error!r}", file=sys.stderr)
        code = 70
    finally:
        sys.stdout.flush()
        os._exit(code)


def run(words: list[str], log: Path, *, fresh: bool = False, strike: Callable[[float], int | None]) -> Ended:
    """Run a command; ``strike`` is asked all the time which signal to send, given the seconds since the start."""
    began = time.monotonic()
    number = start(words, log, fresh=fresh)
    sent = False
    while True:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            said = log.read_text(errors="replace")
            return Ended(os.waitstatus_to_exitcode(status), said, time.monotonic() - began)
        which = None if sent else strike(time.monotonic() - began)
        if which is not None:
            os.kill(number, which)
            sent = True
        time.sleep(0.0005)


def phase(folder: Path) -> str:
    """Where a run was when it was killed, as its directory tells."""
    if not (folder / "run.json").exists():
        return "before the run began"
    if (folder / "report.html").exists():
        return "at the report or after"
    if (folder / "weights.safetensors").exists():
        return "between weights and report"
    if list(folder.glob("checkpoints/.*.part")):
        return "during a checkpoint's write"
    if (folder / "metrics.jsonl").exists():
        return "during training"
    return "while the data were read"


def chance(case: Case, folder: Path, dice: random.Random, which: int) -> Callable[[float], int | None]:
    """Strikes once: at a random second of the usual duration, or when a random file appears."""
    if dice.random() < 0.5:
        moment = dice.uniform(0, case.seconds)
        return lambda seconds: which if seconds >= moment else None
    sign, later = dice.choice(SIGNS), dice.uniform(0, 0.03)
    seen: list[float] = []

    def at_sign(seconds: float) -> int | None:
        if not seen and any(folder.glob(sign)):
            seen.append(seconds)
        return which if seen and seconds >= seen[0] + later else None

    return at_sign


def unfinished(folder: Path) -> bool:
    """Whether a run has begun and is not done."""
    record = folder / "run.json"
    return record.exists() and json.loads(record.read_text())["state"] != "done"


def next_words(case: Case, folder: Path) -> list[str]:
    """What a person types after the run was stopped: resume if it had begun, else the same again."""
    return ["fit", "--resume", str(folder)] if (folder / "run.json").exists() else [*case.words, "--out", str(folder)]


def compare(case: Case, folder: Path) -> list[str]:
    """What of a finished run differs from the undisturbed one."""
    wrong = [name for name in FILES if (folder / name).read_bytes() != (case.whole / name).read_bytes()]
    left = [str(path.relative_to(folder)) for path in folder.rglob("*.part")]
    return [f"{name} differs" for name in wrong] + [f"{name} was left behind" for name in left]


def disturb(case: Case, place: Path, number: int, dice: random.Random, which: int) -> int:
    """One run with one or two signals; return how many struck."""
    folder, log = place / f"{case.name}-{number}", place / "log"
    struck = 0
    for _ in range(2 if number % 3 == 0 else 1):
        fresh = number % 10 == 9
        ended = run(next_words(case, folder), log, fresh=fresh, strike=chance(case, folder, dice, which))
        name = signal.Signals(which).name
        if ended.code == 0:
            break
        struck += 1
        case.counts[f"{name} {phase(folder)}"] += 1
        if which == signal.SIGKILL:
            if ended.code != -which:
                case.problems.append(f"run {number}: ended with {ended.code}: {ended.said[-400:]}")
        elif ended.code == -which and not ended.said.strip():  # it has done nothing yet: the interpreter is starting
            case.counts[f"{name} before the command listened to it"] += 1
        elif ended.code == -which and (folder / "run.json").exists() and not unfinished(folder):
            case.counts[f"{name} when the run was done and only its scores were to be printed"] += 1
        elif ended.code != 130 or "Traceback" in ended.said:
            case.problems.append(f"run {number}: {name} ended with {ended.code}: {ended.said[-400:]}")
        elif unfinished(folder) and "unalike fit --resume" not in ended.said:
            case.problems.append(f"run {number}: {name} printed no next command: {ended.said[-400:]}")
    last = run(next_words(case, folder), log, strike=lambda seconds: None)
    if last.code:
        case.problems.append(f"run {number}: cannot be resumed ({last.code}): {last.said[-400:]}")
    else:
        case.problems += [f"run {number}: {wrong}" for wrong in compare(case, folder)]
    shutil.rmtree(folder, ignore_errors=True)
    return struck


def cases(place: Path) -> list[Case]:
    """The two runs; every step ends with a checkpoint."""
    emoji = open_set("emoji")
    (place / "emoji").mkdir()
    lines = ["path,name"]
    role = next(role for role in emoji.roles("image"))
    text = next(role for role in emoji.roles("text"))
    for row in range(0, len(emoji), 12):
        if emoji[role].present[row] and emoji[text][row]:
            emoji[role][row].save(place / "emoji" / f"{row}.png")
            lines.append(f'{row}.png,"{emoji[text][row]}"')
    (place / "emoji" / "names.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    small = [
        "--size",
        "16",
        "--batch-size",
        "32",
        "--steps",
        "12",
        "--checkpoint-minutes",
        "0.00001",
        "--device",
        "cpu",
    ]
    table = str(place / "emoji" / "names.csv")
    return [
        Case("digits", ["fit", "digits", "--system", "simclr", *small]),
        Case("emoji", ["fit", table, "--image", "path", "--text", "name", "--system", "clip", *small]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=20, help="SIGTERM and SIGINT, each so often")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop then, and say how far it came")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    dice = random.Random(given.seed)
    began = time.monotonic()
    counts: dict[str, int] = {}
    finished = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        both = cases(place)
        for case in both:
            case.whole = place / f"{case.name}-whole"
            ended = run([*case.words, "--out", str(case.whole)], place / "log", strike=lambda seconds: None)
            if ended.code:
                raise SystemExit(ended.said)
            case.seconds = ended.seconds
        for which, wanted in (
            (signal.SIGKILL, given.kills),
            (signal.SIGTERM, given.stops),
            (signal.SIGINT, given.stops),
        ):
            struck = 0
            while struck < wanted and time.monotonic() - began < 60 * given.minutes:
                struck += disturb(both[finished % 2], place, finished, dice, which)
                finished += 1
            counts[which.name] = struck
            print(f"{which.name}: {struck} in {finished} runs so far, {time.monotonic() - began:.0f} s", flush=True)
    problems = [f"{case.name}, {problem}" for case in both for problem in case.problems]
    moments = sum((case.counts for case in both), collections.Counter())
    found: dict[str, Any] = {
        "signals": counts,
        "runs": finished,
        "moments": dict(sorted(moments.items())),
        "problems": problems,
        "seed": given.seed,
        "seconds": round(time.monotonic() - began),
        "torch": torch.__version__,
    }
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
