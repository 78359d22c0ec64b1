"""Views a second: ours against lightly's SimCLR transform with two loader workers, and torchvision's one by one.

    python benchmarks/views.py
    python benchmarks/views.py --sizes 64 --rounds 9 --json views.json

All arms do the same operations with the same settings (SimCLR: crop, flip, colour jitter, grey, blur, standardise) on
the same random pictures, which lie decoded in memory: as PIL pictures for lightly, which wants them so, and as bytes
for the others. They run in one process, in turns; a ratio is the median of the rounds' ratios. Run it alone on the
machine. Workers stay alive between rounds, so that their start costs nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from unalike.views import ImageViews, simclr

BATCH = {64: 256, 224: 64}
Arm = Callable[[], None]


class Peers(Dataset):
    """Two views of each picture, made by a transform of single pictures."""

    def __init__(self, pictures: list[Any], look: Callable[[Any], list[Tensor]]) -> None:
        self.pictures = pictures
        self.look = look

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> list[Tensor]:
        return self.look(self.pictures[row])


def lightly_arm(pixels: Tensor, view: ImageViews, batch: int, workers: int) -> Arm:
    from lightly.transforms import SimCLRTransform

    look = SimCLRTransform(
        input_size=view.shape[0],
        cj_prob=view.jitter_p,
        cj_strength=view.strength,
        min_scale=view.crop_scale[0],
        random_gray_scale=view.gray,
        gaussian_blur=view.blur,
        sigmas=view.blur_sigma,
        hf_prob=view.flip,
    )
    return loader_arm([to_pil_image(picture) for picture in pixels], look, batch, workers)


def torchvision_arm(pixels: Tensor, view: ImageViews, batch: int, workers: int) -> Arm:
    kernel = 2 * max(1, view.shape[0] // 20) + 1
    steps = [
        v2.RandomResizedCrop(view.shape, view.crop_scale, view.crop_ratio, antialias=True),
        v2.RandomHorizontalFlip(view.flip),
        v2.RandomApply([v2.ColorJitter(*(view.strength * reach for reach in view.jitter))], view.jitter_p),
        v2.RandomGrayscale(view.gray),
        v2.RandomApply([v2.GaussianBlur(kernel, view.blur_sigma)], view.blur),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(view.mean, view.std),
    ]
    transform = v2.Compose(steps)
    return loader_arm(list(pixels), lambda picture: [transform(picture), transform(picture)], batch, workers)


def loader_arm(pictures: list[Any], look: Callable[[Any], list[Tensor]], batch: int, workers: int) -> Arm:
    loader = DataLoader(
        Peers(pictures, look),
        batch_size=batch,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )

    def epoch() -> None:
        for _ in loader:
            pass

    return epoch


def our_arm(pixels: Tensor, view: ImageViews, batch: int) -> Arm:
    generator = torch.Generator().manual_seed(0)

    def epoch() -> None:
        for part in pixels.split(batch):
            view.views(part, generator)

    return epoch


def measure(size: int, batches: int, rounds: int, workers: int) -> list[dict[str, Any]]:
    batch = BATCH.get(size, 128)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batches * batch, 3, size, size), dtype=torch.uint8, generator=generator)
    view = simclr(size)
    arms: dict[str, Arm] = {
        f"lightly SimCLRTransform, {workers} workers": lightly_arm(pixels, view, batch, workers),
        f"torchvision v2, {workers} workers": torchvision_arm(pixels, view, batch, workers),
        "unalike simclr, in process": our_arm(pixels, view, batch),
        "unalike simclr, channels last": our_arm(pixels.contiguous(memory_format=torch.channels_last), view, batch),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    for run in arms.values():
        run()
    for _ in range(rounds):
        for name, run in arms.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    base = next(iter(times.values()))
    looks = 2 * len(pixels)
    return [
        {
            "pixels": size,
            "batch": batch,
            "arm": name,
            "views_per_second": looks / statistics.median(seconds),
            "best": looks / min(seconds),
            "ratio": statistics.median(b / s for b, s in zip(base, seconds, strict=True)),
        }
        for name, seconds in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=4, help="batches a round")
    parser.add_argument("--workers", type=int, default=2, help="loader workers of the peers")
    parser.add_argument("--json", type=Path, help="write the rows to this file as well")
    settings = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="torch.utils.data")
    packages = ("torch", "torchvision", "lightly", "unalike")
    machine = {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "rounds": settings.rounds,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    print(f"{machine['machine']}, {machine['threads']} threads, {settings.rounds} rounds in turns,", end=" ")
    print(", ".join(f"{name} {version}" for name, version in machine["versions"].items()))
    print(f"{'pixels':>6s} {'batch':>5s}  {'':36s} {'views/s':>9s} {'best':>9s} {'ratio':>7s}")
    rows = []
    for size in settings.sizes:
        for row in measure(size, settings.batches, settings.rounds, settings.workers):
            rows.append(row)
            print(
                f"{row['pixels']:6d} {row['batch']:5d}  {row['arm']:36s} {row['views_per_second']:9,.0f} "
                f"{row['best']:9,.0f} {row['ratio']:6.2f}x"
            )
    if settings.json:
        settings.json.write_text(json.dumps({**machine, "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
