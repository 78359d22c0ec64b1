"""SimSiam: one view predicts the other, and the gradient stops at the other; no negatives, no teacher, no queue.

The stopped gradient alone keeps the vectors from becoming all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="simsiam",
    title="Exploring Simple Siamese Representation Learning",
    authors="Chen, He",
    year=2021,
    venue="CVPR",
    arxiv="2011.10566",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    layers: int = 3  # section 3: three layers for ImageNet, two for CIFAR
    output: int = 256  # 2048 in the paper, as wide as its encoder
    bottleneck: int = 64  # section 3: a quarter of the output


RECIPE = Recipe(optimizer="sgd", learning_rate=0.05, weight_decay=1e-4, batch_size=256, epochs=100)

CLAIM = Claim(sentence="The stopped gradient alone prevents collapse.", baseline="simclr")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(
        encoder.width, settings.output, settings.output, layers=settings.layers, last_batch_norm=True
    )
    predictor = encoders.predictor(settings.output, settings.bottleneck)
    view = views.simclr(encoder.size, strength=0.5)  # appendix B.9, for small pictures

    def loss(pair):
        targets = [projector(encoder(pictures).vector) for pictures in pair]
        predictions = [predictor(target) for target in targets]
        first = objectives.simsiam(predictions[0], targets[1])
        return (first + objectives.simsiam(predictions[1], targets[0])) / 2

    return training.Learner(
        modules={"encoder": encoder, "projector": projector, "predictor": predictor},
        encoders={"image": encoder},
        views=task.random_views("image", view, view),
        loss=loss,
    )
