"""What a run that generates is used for: new images or texts, drawn from a seed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unalike import evaluation, report, training
from unalike.errors import DataError, SettingsError
from unalike.evaluation import Score
from unalike.files import write_bytes
from unalike.runs.end import End, Part
from unalike.runs.opened import Opened
from unalike.runs.scores.scene import held_out_rows

SHOWN = 16
"""Samples that a new run draws for its report."""
FOLDER = "samples"
"""Where they lie in the run directory."""
MOST_COMPARED = 2000
"""Training images that samples are compared with."""


@dataclass(frozen=True)
class Samples:
    """What was generated.

    Args:
        images: uint8 ``(N, H, W, 3)`` or ``(N, H, W)``, None where texts were generated.
        texts: the texts, where no images were.
    """

    images: np.ndarray | None = None
    texts: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.texts) if self.images is None else len(self.images)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Names and contents: a PNG for each image, or all texts as JSON lines."""
        if self.images is None:
            lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in self.texts)
            yield "samples.jsonl", "".join(lines).encode()
            return
        for number, pixels in enumerate(self.images):
            held = io.BytesIO()
            Image.fromarray(pixels).save(held, "PNG")
            yield f"{number:04d}.png", held.getvalue()

    def save(self, folder: str | Path) -> Path:
        """Write the files into a folder; return its path.

        Raises:
            RunError: the disk is full or the place cannot be written.
        """
        for name, content in self.files():
            write_bytes(Path(folder) / name, content)
        return Path(folder)


def drawn(learner: training.Learner, capability: training.Generates, count: int, seed: int) -> Samples:
    """So many samples; the same seed gives the same ones.

    Raises:
        SettingsError: fewer than one is asked for.
    """
    if count < 1:
        raise SettingsError(f"at least one sample is drawn; given: count={count}")
    learner.module.eval()
    with torch.no_grad():
        found = capability.sample(count, torch.Generator().manual_seed(seed))
    if capability.kind == "text":
        return Samples(texts=list(found))
    pixels = (found.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return Samples(images=np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def sample(run: Opened, count: int, seed: int) -> Samples:
    """Samples of a run.

    Raises:
        DataError: the run generates nothing.
        SettingsError: fewer than one is asked for.
    """
    if "generates" not in run.serves:
        raise DataError(f"{run.folder} generates nothing; it can {run.abilities}")
    return drawn(run.learner, run.capability("generates"), count, seed)


def finish(end: End) -> Part:
    """Samples for the report, and of images how near they come to those that were trained on."""
    capability = next(each for each in end.learner.serves if isinstance(each, training.Generates))
    end.learner.module.to(end.device)
    seed = end.spec.training.seed
    found = drawn(end.learner, capability, SHOWN, seed)
    files = {f"{FOLDER}/{name}": content for name, content in found.files()}
    return Part([] if found.images is None else nearness(end, found.images, seed), files)


def nearness(end: End, images: np.ndarray, seed: int) -> list[Score]:
    """Root mean square difference of pixels in [0, 1] between samples and the nearest training image."""
    samples = torch.from_numpy(images.reshape(len(images), *images.shape[1:3], -1)).permute(0, 3, 1, 2).float() / 255
    role = end.spec.roles["image"][0]
    rng = np.random.default_rng(seed)
    splits = end.ready.collection.splits
    train = rng.permutation(splits["train"])[:MOST_COMPARED]
    known = as_samples(end.ready.packed[role].take(train), samples)
    noise = torch.rand(samples.shape, generator=torch.Generator().manual_seed(seed))
    distance = nearest(samples, known)
    reading = "How far the samples' pixels are from the nearest training image; 0 would be a copy."
    if "test" in splits:
        held = rng.permutation(held_out_rows(end.ready.collection))[: len(images)]
        fresh = nearest(as_samples(end.ready.packed[role].take(held), samples), known).mean()
        reading += f" Held-out images are {fresh:.3f} away: samples that are much nearer than that repeat training."
    return [
        Score(
            "samples to the nearest training image",
            float(distance.mean()),
            {"noise": float(nearest(noise, known).mean())},
            n=len(images),
            higher_is_better=False,
            reading=reading,
            interval=evaluation.bootstrap_interval(distance),
        )
    ]


def as_samples(pixels: Tensor, samples: Tensor) -> Tensor:
    """Prepared images, uint8 ``(N, 3, H, W)``, with the channels and sides of samples, in [0, 1]."""
    found = pixels.float() / 255
    if samples.shape[1] == 1:
        found = found.mean(dim=1, keepdim=True)
    if found.shape[-2:] == samples.shape[-2:]:
        return found
    return torch.nn.functional.interpolate(
        found, samples.shape[-2:], mode="bilinear", align_corners=False, antialias=True
    )


def nearest(images: Tensor, known: Tensor) -> np.ndarray:
    """Of each image the root mean square difference from the nearest known one, float64 ``(N,)``."""
    return (torch.cdist(images.flatten(1), known.flatten(1)).amin(1) / images[0].numel() ** 0.5).double().numpy()


def shown(run: Opened) -> Mapping[str, Any]:
    """The samples of a run's directory, for its report."""
    folder, items = run.folder / FOLDER, []
    for path in sorted(folder.glob("*.png")):
        items.append(report.Item(id=path.stem, kind="image", thumbnail=partial(opened, path)))
    if (folder / "samples.jsonl").exists():
        lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        items += [
            report.Item(id=str(row), kind="text", text=json.loads(line)["text"]) for row, line in enumerate(lines)
        ]
    return {"samples": items}


def opened(path: Path) -> Image.Image:
    with Image.open(path, formats=["PNG"]) as picture:
        return picture.convert("RGB")
