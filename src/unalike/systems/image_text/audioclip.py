"""AudioCLIP: CLIP's loss for every pair of modalities, so that pictures, texts and sounds meet in one space.

Each pair of modalities is brought together by itself, and what is not said by a pair, but only by three together,
cannot be learned. A row that lacks a modality takes part in the pairs that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from unalike import encoders, objectives, training, views
from unalike.errors import DataError
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="audioclip",
    title="AudioCLIP: Extending CLIP to Image, Text and Audio",
    authors="Guzhov, Raue, Hees, Dengel",
    year=2022,
    venue="ICASSP",
    arxiv="2106.13043",
    modality="image-text",
    roles=(),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.07  # as CLIP; one scale for all pairs, so that cosines of several pairs can be added up
    output: int = 256  # as CLIP
    drop: float = 0.0  # probability that a row hides a modality that it has


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, batch_size=256, epochs=60, clip_norm=1.0)

CLAIM = Claim(sentence="Pictures, texts and sounds in one space, each pair of them brought together by itself.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    towers = dict(task.encoders)
    if len(towers) < 2:
        raise DataError(f"audioclip compares two or more modalities; given: {', '.join(towers) or 'none'}")
    heads = torch.nn.ModuleDict({kind: encoders.linear(each.width, settings.output) for kind, each in towers.items()})
    scale = encoders.LogitScale(1 / settings.temperature)
    own = {"image": views.gentle(towers["image"].size)} if "image" in towers else {}

    def views_of(batch, generator):
        return training.every_kind(task, batch, generator, own=own, drop=settings.drop)

    def loss(seen):
        found = {
            kind: encoders.unit(heads[kind](towers[kind](shown.entries).vector))
            for kind, shown in seen.items()
            if shown.entries is not None
        }
        losses = []
        for one, other in combinations(found, 2):
            first, second = (torch.isin(seen[a].rows, seen[b].rows) for a, b in ((one, other), (other, one)))
            if first.sum() > 1:  # rows that have both
                same = None if seen[one].same is None else seen[one].same[first]
                losses.append(objectives.clip(found[one][first], found[other][second], logit_scale=scale(), same=same))
        return torch.stack(losses).mean() if losses else 0 * scale()

    return training.Learner(
        modules={**towers, "heads": heads, "scale": scale},
        encoders=towers,
        views=views_of,
        loss=loss,
        project=dict(heads.items()),
    )
