"""MoCo v2: the negatives come from a queue of past batches, kept comparable by a slowly moving teacher.

The number of negatives no longer depends on the batch: the teacher's vectors of the last batches wait in a
first-in-first-out queue. Version 2 takes over SimCLR's projector and stronger views.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="moco-v2",
    title="Improved Baselines with Momentum Contrastive Learning",
    authors="Chen, Fan, Girshick, He",
    year=2020,
    arxiv="2003.04297",
    modality="image",
    roles=("image",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.2  # table 2
    momentum: float = 0.99  # 0.999 with 1.28 million pictures; small sets see far fewer steps
    queue: int = 4096  # 65,536 in the paper; several times the batch
    hidden: int = 256
    output: int = 128


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)

CLAIM = Claim(sentence="A queue and a slow teacher replace the large batch.", baseline="simclr")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["image"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output)
    dictionary = pairing.MomentumDictionary(
        encoder, projector, momentum=settings.momentum, width=settings.output, **task.queue(settings.queue)
    )
    view = views.moco_v2(encoder.size)

    def loss(pair):
        first, second = pair
        queries, keys = encoders.unit(projector(encoder(first).vector)), dictionary.keys(second)
        value = objectives.info_nce(
            queries,
            keys,
            temperature=settings.temperature,
            pairing=pairing.PairsOnly(),  # the other keys of the batch are no negatives, the queue's are
            extra_negatives=dictionary.negatives(pair.same),
        )
        dictionary.push(keys, pair.same)
        return value

    return training.Learner(
        modules={"encoder": encoder, "projector": projector, "dictionary": dictionary},
        encoders={"image": encoder},
        views=task.random_views("image", view, view),
        loss=loss,
        after_step=dictionary.follow,
        frozen=("dictionary",),
    )
