"""Barlow Twins: make each feature agree between two views and differ from every other feature.

The cross-correlation matrix of the two views' features is pulled towards the identity: ones on the diagonal for
agreement, zeros elsewhere against redundancy. Pictures are never compared with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="barlow-twins",
    title="Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
    authors="Zbontar, Jing, Misra, LeCun, Deny",
    year=2021,
    venue="ICML",
    arxiv="2103.03230",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    redundancy: float = 5e-3  # section 2.2: lambda
    hidden: int = 512  # 8192 in the paper
    output: int = 512  # figure 4: wide outputs help; 8192 in the paper


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=100)

CLAIM = Claim(sentence="Decorrelated features need neither negatives nor asymmetry.", baseline="simclr")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output, layers=3)  # section 2.2
    view = views.simclr(encoder.size, strength=0.5)  # appendix B.9, for small pictures

    def loss(pair):
        first, second = (projector(encoder(pictures).vector) for pictures in pair)
        return objectives.barlow_twins(first, second, redundancy=settings.redundancy)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=task.random_views("image", view, view),
        loss=loss,
    )
