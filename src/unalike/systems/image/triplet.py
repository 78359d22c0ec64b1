"""Triplet loss: an anchor must be nearer to its own class than to another class, by a margin.

Each anchor takes every picture of its class as a positive and, for each of them, the nearest negative that is farther
than the positive: hard enough to teach, not so hard that everything collapses.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="triplet",
    title="FaceNet: A Unified Embedding for Face Recognition and Clustering",
    authors="Schroff, Kalenichenko, Philbin",
    year=2015,
    venue="CVPR",
    arxiv="1503.03832",
    modality="image",
    roles=("image",),
    labels=True,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    margin: float = 0.2  # section 3.1: alpha
    output: int = 128  # section 5.4


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=60)

CLAIM = Claim(sentence="Semi-hard negatives give a space in which distance means likeness.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    head = encoders.linear(encoder.width, settings.output)
    look = task.random_views("image", views.gentle(encoder.size))

    def loss(seen):
        (pictures,), labels = seen
        return objectives.triplet_semi_hard(
            encoders.unit(head(encoder(pictures).vector)), labels, margin=settings.margin
        )

    return training.Learner(
        modules={"encoder": encoder, "head": head},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), batch.labels),
        loss=loss,
        project={"image": head},
    )
