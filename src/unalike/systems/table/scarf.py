"""SCARF: a row of a table and the same row with some entries swapped for other rows' entries are a positive pair.

Corrupting features by their own marginal distribution is a view that works for any table; all other rows repel.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="scarf",
    title="SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption",
    authors="Bahri, Jiang, Tay, Metzler",
    year=2022,
    venue="ICLR",
    arxiv="2106.15147",
    modality="table",
    roles=("array",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    corruption: float = 0.6  # section 4: share of the features that are swapped
    temperature: float = 1.0  # section 4
    hidden: int = 256  # section 4
    output: int = 256  # section 4


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=128, epochs=100)

CLAIM = Claim(sentence="Contrast against a row's own corruption gives features that help where labels are few.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["array"]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output, batch_norm=False)
    corrupt = views.ArrayViews(corruption=settings.corruption)

    def look(batch, generator):
        [(rows, _)] = batch.choose(task.roles["array"], generator)
        # Algorithm 1: one view is the row itself.
        return training.Looks([rows, corrupt(rows, generator)], batch.same)

    def loss(pair):
        anchors, corrupted = (encoders.unit(projector(encoder(rows).vector)) for rows in pair)
        return objectives.info_nce(anchors, corrupted, temperature=settings.temperature, same=pair.same)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector}, encoders={"array": encoder}, views=look, loss=loss
    )
