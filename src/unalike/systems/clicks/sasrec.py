"""SASRec: a causal transformer over what a user chose predicts what is chosen next.

Every position of a sequence is a lesson: from the items up to it, tell the next one from all items of the catalogue.
Nothing contrasts two views of a sequence, so that this is what contrastive recommenders argue against.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="sasrec",
    title="Self-Attentive Sequential Recommendation",
    authors="Kang, McAuley",
    year=2018,
    venue="ICDM",
    arxiv="1808.09781",
    modality="clicks",
    roles=("clicks",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    pass


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=60)


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["clicks"]
    assert isinstance(encoder, encoders.SASRec)

    def look(batch, generator):
        [(clicks, _)] = batch.choose(task.roles["clicks"], generator)
        return clicks

    def loss(clicks):
        states, items = encoder.lessons(clicks)
        return objectives.next_item(states, encoder.items, items)

    return training.Learner(modules={"encoder": encoder}, encoders={"clicks": encoder}, views=look, loss=loss)


CLAIM = Claim(
    sentence="Self-attention over a user's last choices predicts the next one better than item neighbours do."
)
