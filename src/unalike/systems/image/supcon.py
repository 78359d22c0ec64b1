"""SupCon: everything of the same class attracts, everything of another class repels.

SimCLR's loss with the labels deciding who is a positive: an anchor has many of them, each averaged outside the
logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="supcon",
    title="Supervised Contrastive Learning",
    authors="Khosla, Teterwak, Wang, Sarna, Tian, et al.",
    year=2020,
    venue="NeurIPS",
    arxiv="2004.11362",
    modality="image",
    roles=("image",),
    labels=True,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.1  # section 4.4
    hidden: int = 256  # section 3.1: one hidden layer, as wide as the encoder
    output: int = 128  # section 3.1


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=256, epochs=60)

CLAIM = Claim(sentence="Labels as pairs beat labels as targets of a cross-entropy.", baseline="simclr")


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    view = views.simclr(encoder.size, strength=0.5)  # appendix B.9, for small pictures
    look = task.random_views("image", view, view)

    def loss(seen):
        pair, labels = seen
        vectors = [encoders.unit(projector(encoder(pictures).vector)) for pictures in pair]
        return objectives.sup_con(torch.cat(vectors), labels.repeat(2), temperature=settings.temperature)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector},
        encoders={"image": encoder},
        views=lambda batch, generator: (look(batch, generator), batch.labels),
        loss=loss,
    )
