"""CL4SRec: two altered copies of a user's sequence attract, beside the prediction of what is chosen next.

A short history says little of its user. Copies of it that are cropped, masked or reordered are histories that the same
user might have had; telling them from those of other users shapes the space where few events do.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="cl4srec",
    title="Contrastive Learning for Sequential Recommendation",
    authors="Xie, Sun, Liu, Wu, Gao, Zhang, Ding, Cui",
    year=2022,
    venue="ICDE",
    arxiv="2010.14395",
    modality="clicks",
    roles=("clicks",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    weight: float = 0.1  # section IV-A: of the contrastive loss
    temperature: float = 1.0  # not stated there; that of the releases
    crop: float = 0.6  # section IV-E tries 0.1 to 0.9: share that a crop keeps
    mask: float = 0.3  # as above: share that is masked
    reorder: float = 0.6  # as above: share that is shuffled


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=60)


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["clicks"]
    assert isinstance(encoder, encoders.SASRec)
    alter = views.ClickViews(mask_id=encoder.mask_id, crop=settings.crop, mask=settings.mask, reorder=settings.reorder)

    def look(batch, generator):
        [(clicks, _)] = batch.choose(task.roles["clicks"], generator)
        return training.Looks([clicks, *alter.views(clicks, generator, count=2)], batch.same)

    def loss(looks):
        clicks, *altered = looks
        states, items = encoder.lessons(clicks)
        predicted = objectives.next_item(states, encoder.items, items)
        first, second = (encoder(each).vector for each in altered)
        chosen = {"temperature": settings.temperature, "same": looks.same}
        return predicted + settings.weight * objectives.nt_xent(first, second, **chosen)

    return training.Learner(modules={"encoder": encoder}, encoders={"clicks": encoder}, views=look, loss=loss)


CLAIM = Claim(
    sentence="Contrast between altered copies of sequences makes the next item easier to find.",
    baseline="sasrec",
)
