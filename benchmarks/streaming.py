"""Memory of the main job on many things: 20,000 pictures of 64 px, and 200,000 texts, through fit and embed.

    python benchmarks/streaming.py [--pictures 20000] [--texts 200000] [--json FILE]

Prints for each command its peak resident memory, and that of the same command on 1,000 rows: the difference is what the
data cost above the model and the libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unalike.data import open_set


def make_pictures(folder: Path, count: int) -> Path:
    """Smooth random pictures as JPEG, in ten sub-folders."""
    generator = np.random.default_rng(0)
    for number in range(count):
        place = folder / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        small.resize((64, 64), Image.Resampling.BICUBIC).save(place / f"{number}.jpg", quality=90)
    return folder


def make_texts(path: Path, count: int) -> Path:
    """Glosses of WordNet, each with a number so that none repeats."""
    glosses = open_set("wordnet")["text"]
    texts = [f"{glosses[row % len(glosses)]} ({row})" for row in range(count)]
    pq.write_table(pa.table({"body": texts}), path)
    return path


def peak(words: list[str], cwd: Path) -> tuple[float, float]:
    """Peak resident memory in MiB and seconds of a command, as the operating system counted them."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "unalike", *words], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        assert process.stderr is not None
        raise SystemExit(process.stderr.read().decode())
    return usage.ru_maxrss / 1024, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--only", choices=("pictures", "texts"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["UNALIKE_CACHE"] = str(folder / "cache")
        counts = {"pictures": arguments.pictures, "texts": arguments.texts}
        for what, count in counts.items():
            if arguments.only not in (None, what):
                continue
            found: dict[str, dict[int, tuple[float, float]]] = {"fit": {}, "embed": {}}
            for size in (1000, count):
                if what == "pictures":
                    data = make_pictures(folder / f"p{size}", size).name
                    flags = ["--system", "simclr"]
                else:
                    data = make_texts(folder / f"t{size}.parquet", size).name
                    flags = ["--system", "simcse", "--text", "body"]
                run = f"run-{what}-{size}"
                common = ["--steps", str(arguments.steps), "--batch-size", "64"]
                found["fit"][size] = peak(["fit", data, *flags, *common, "--out", run], folder)
                given = ["--text", "body"] if what == "texts" else []
                found["embed"][size] = peak(["embed", run, data, *given, "--out", "v.parquet"], folder)
            for command, sizes in found.items():
                rows.append(
                    {
                        "command": f"{command} {count:,} {what}",
                        "peak MiB": round(sizes[count][0]),
                        "above 1,000 rows MiB": round(sizes[count][0] - sizes[1000][0]),
                        "seconds": round(sizes[count][1], 1),
                    }
                )
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    assert resource  # the figures come from the operating system's accounting, which Windows lacks
    main()
