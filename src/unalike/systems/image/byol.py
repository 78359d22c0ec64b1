"""BYOL: a student predicts what a slow teacher says of another view of the same picture; there are no negatives.

A predictor on the student's side and a teacher that is the student's moving average keep the trivial answer, the same
vector for everything, from being reached.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="byol",
    title="Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning",
    authors="Grill, Strub, Altche, Tallec, Richemond, et al.",
    year=2020,
    venue="NeurIPS",
    arxiv="2006.07733",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    momentum: float = 0.99  # table 5b: 0.99 is best at 300 epochs, 0.996 at 1000; it rises to 1 along a cosine
    hidden: int = 512  # 4096 in the paper
    output: int = 128  # 256 in the paper


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=100)

CLAIM = Claim(sentence="Features as good as with negatives are learned without any.", baseline="simclr")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    predictor = encoders.predictor(settings.output, settings.hidden)
    teacher = encoders.EMATeacher(encoder, settings.momentum)
    teacher_projector = encoders.EMATeacher(projector, settings.momentum)

    def loss(pair):
        predictions = [predictor(projector(encoder(pictures).vector)) for pictures in pair]
        targets = [teacher_projector(teacher(pictures).vector) for pictures in pair]
        return objectives.byol(predictions[0], targets[1]) + objectives.byol(predictions[1], targets[0])

    def follow(step):
        momentum = 1 - (1 - settings.momentum) * (math.cos(math.pi * step / task.steps) + 1) / 2
        teacher.update(momentum)
        teacher_projector.update(momentum)

    return training.Learner(
        modules={
            "encoder": encoder,
            "projector": projector,
            "predictor": predictor,
            "teacher": teacher,
            "teacher_projector": teacher_projector,
        },
        encoders={"image": encoder},
        views=task.random_views("image", *views.byol(encoder.size)),
        loss=loss,
        after_step=follow,
        frozen=("teacher", "teacher_projector"),
    )
