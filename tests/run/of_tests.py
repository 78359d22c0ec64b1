"""Systems that only tests have: what a plain classifier and a plain generator look like in this library."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch.nn.functional import cross_entropy

from unalike import encoders, generation, systems, training, views
from unalike.records import Claim, Paper, Recipe


@dataclass(frozen=True, kw_only=True)
class Entropy:
    size: float = 1.0


def classifier(settings: Entropy, task: training.Task) -> training.Learner:
    """Cross-entropy of a linear layer on the encoder's vectors."""
    encoder = task.encoders["image"]
    head = encoders.linear(encoder.width, task.classes, bias=True)
    look = task.random_views("image", views.ImageViews(encoder.size, crop_scale=(0.9, 1.0), flip=0.0))

    def logits(pictures):
        return head(encoder(encoder.plain(pictures)).vector)

    return training.Learner(
        modules={"encoder": encoder, "head": head},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), batch.labels),
        loss=lambda seen: cross_entropy(head(encoder(seen[0][0]).vector), seen[1]),
        serves=(training.Classifies("image", logits),),
    )


@dataclass(frozen=True, kw_only=True)
class Denoising:
    width: int = 8
    steps: int = 20


def generator(settings: Denoising, task: training.Task) -> training.Learner:
    """A small diffusion model of grey images; it embeds nothing."""
    size = task.encoders["image"].size
    net = generation.UNet(channels=1, width=settings.width, levels=2)
    diffusion = generation.Diffusion(generation.cosine_schedule(settings.steps))

    def seen(batch, generator):
        [(pixels, _)] = batch.choose(task.roles["image"], generator)
        grey = pixels.float().mean(dim=1, keepdim=True) / 127.5 - 1
        return grey, *diffusion.draw(grey, generator)

    def sample(count, generator):
        return (diffusion.sample(net, (count, 1, size, size), generator) + 1) / 2

    return training.Learner(
        modules={"net": net, "diffusion": diffusion},
        encoders={},
        views=seen,
        loss=lambda drawn: diffusion.loss(net, *drawn),
        serves=(training.Generates("image", sample),),
    )


def add(monkeypatch: pytest.MonkeyPatch, slug: str, build, settings: type, *, labels: bool = False, **paper) -> None:
    """Put a system on the list for the length of a test."""
    module = ModuleType(f"unalike.systems.image.{slug}", build.__doc__)
    module.PAPER = Paper(  # type: ignore[attr-defined]
        slug=slug, title=slug, authors="", year=2026, modality="image", roles=("image",), labels=labels, **paper
    )
    module.Settings, module.build = settings, build  # type: ignore[attr-defined]
    module.RECIPE = Recipe(batch_size=64, epochs=1, learning_rate=2e-3)  # type: ignore[attr-defined]
    module.CLAIM = Claim(sentence="None.", baseline="simclr")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(systems, "FILES", (*systems.FILES, f"image.{slug}"))


def equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    """Whether two modules hold the same bits."""
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
