"""Fit, embed, search and report again and again in one process: memory, file handles and processes stay bounded.

    python benchmarks/soak.py [--minutes 60] [--seed 0] [--json FILE]

Each round draws a system, an encoder, sizes and settings at random. The resident size after the last rounds is compared
with that after the tenth, medians of five rounds, once the C library has given back what is free: what it keeps for
later grows until the largest round has been, and is reported beside it. oneDNN keeps the code that it has made for
each shape of a layer, up to 1,024 pieces: with random shapes some 30 MiB over the first 400 rounds, bounded and its
own. It is told to keep 64 here, so that no leak could hide behind it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")  # read by torch once

import numpy as np
import torch
from PIL import Image

import unalike
from unalike.data import Collection, ImageColumn, TextColumn, open_set


def resident() -> float:
    """MiB of memory that this process holds."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def give_back() -> None:
    """Have the C library return free memory to the system, where it is glibc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def handles() -> int:
    """Open file handles of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> int:
    """Processes that this one started and that are still there."""
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def one_round(dice: random.Random, texts: list[str], folder: Path) -> str:
    """A run with random settings, used once; say which system it was."""
    rows = dice.randrange(40, 120)
    generator = np.random.default_rng(dice.randrange(2**32))
    pictures = [Image.fromarray(generator.integers(0, 256, (16, 16, 3), np.uint8)) for _ in range(rows)]
    some = [dice.choice(texts) for _ in range(rows)]
    array = generator.normal(size=(rows, 6)).astype(np.float32)
    slug = dice.choice(("simclr", "byol", "moco-v2", "swav", "simcse", "clip", "scarf"))
    data: Any = {"simcse": some, "scarf": array}.get(slug, pictures)
    query: Any = {"simcse": some[0], "scarf": "0"}.get(slug, pictures[0])
    if slug == "clip":
        data, query = Collection({"image": ImageColumn(pictures), "text": TextColumn(some)}, name="pairs"), some[0]
    run = unalike.fit(
        data,
        system=slug,
        out=folder,
        size=dice.choice((8, 16)),
        steps=dice.randrange(2, 12),
        batch_size=dice.choice((8, 16, 24)),
        seed=dice.randrange(1000),
        device="cpu",
    )
    again = unalike.load(folder)
    again.embed(data)
    again.search(query, k=5)
    again.report()
    return run.spec.system


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    dice = random.Random(given.seed)
    glosses = open_set("wordnet")["text"]
    texts = [str(glosses[row]) for row in range(0, 4000, 4)]
    sizes, kept, open_handles, systems = [], [], [], []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        os.environ["UNALIKE_CACHE"] = place
        while time.monotonic() - began < 60 * given.minutes or len(sizes) < 15:
            folder = Path(place) / f"run{len(sizes)}"
            systems.append(one_round(dice, texts, folder))
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()
            gc.collect()
            kept.append(round(resident(), 1))
            give_back()
            sizes.append(round(resident(), 1))
            open_handles.append(handles())
            if len(sizes) % 10 == 0:
                print(
                    f"round {len(sizes)}: {sizes[-1]:.0f} MiB, {kept[-1]:.0f} with what is free, "
                    f"{open_handles[-1]} handles",
                    flush=True,
                )
    tenth, last = statistics.median(sizes[7:12]), statistics.median(sizes[-5:])
    found = {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "rounds": len(sizes),
        "systems": {slug: systems.count(slug) for slug in sorted(set(systems))},
        "MiB after the tenth round": tenth,
        "MiB after the last round": last,
        "growth": round(last / tenth - 1, 4),
        "MiB with what is free": [statistics.median(kept[7:12]), statistics.median(kept[-5:])],
        "MiB": sizes,
        "handles": [open_handles[9], open_handles[-1]],
        "processes left": children(),
        "oneDNN pieces": int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]),
        "torch": torch.__version__,
    }
    print(json.dumps({key: value for key, value in found.items() if key != "MiB"}, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    raise SystemExit(last > 1.05 * tenth or open_handles[-1] > open_handles[9] or children() > 0)


if __name__ == "__main__":
    main()
