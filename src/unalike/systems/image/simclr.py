"""SimCLR: two random views of a picture attract each other, all other pictures of the batch repel.

Strong random views make the task hard enough to be useful, and a projector that is thrown away afterwards keeps what
the task itself would erase. No queue, no teacher, no labels.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="simclr",
    title="A Simple Framework for Contrastive Learning of Visual Representations",
    authors="Chen, Kornblith, Norouzi, Hinton",
    year=2020,
    venue="ICML",
    arxiv="2002.05709",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.2  # appendix B.9: 0.5 for CIFAR-10, 0.1 for ImageNet; in between for small pictures
    hidden: int = 256  # section 4.2: one hidden layer, as wide as the encoder
    output: int = 128  # section 2.1


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=100)

CLAIM = Claim(sentence="Views and a projector alone give features that a linear probe reads better than raw pixels.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    view = views.simclr(encoder.size, strength=0.5)  # appendix B.9, for small pictures

    def loss(pair):
        first, second = (encoders.unit(projector(encoder(pictures).vector)) for pictures in pair)
        return objectives.nt_xent(first, second, temperature=settings.temperature, same=pair.same)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=task.random_views("image", view, view),
        loss=loss,
    )
