"""SimCSE, supervised: a sentence, one that follows from it, and one that contradicts it.

The entailed sentence is the positive; the contradiction joins the other sentences of the batch as a hard negative.
Give the columns as the roles ``text``, ``text:positive`` and, if there is one, ``text:negative``.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training
from unalike.errors import DataError
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="simcse-supervised",
    title="SimCSE: Simple Contrastive Learning of Sentence Embeddings",
    authors="Gao, Yao, Chen",
    year=2021,
    venue="EMNLP",
    arxiv="2104.08821",
    modality="text",
    roles=("text", "text:positive"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.05  # section 4
    output: int = 256


RECIPE = Recipe(optimizer="adamw", learning_rate=5e-4, weight_decay=1e-2, batch_size=128, epochs=5, clip_norm=1.0)

CLAIM = Claim(sentence="Contradictions as hard negatives improve on entailed pairs alone.", baseline="simcse")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["text"]
    head = encoders.projector(encoder.width, settings.output, settings.output, batch_norm=False)
    roles = [role for role in ("text", "text:positive", "text:negative") if role in task.roles["text"]]
    if len(roles) < 2:
        raise DataError("simcse-supervised learns from pairs: give --text COLUMN and --text:positive COLUMN")

    def views(batch, generator):
        seen = [batch.choose([role], generator)[0] for role in roles]
        return [texts for texts, _ in seen], seen[1][1]

    def loss(seen):
        texts, positive_codes = seen
        anchors, positives, *negatives = (encoders.unit(head(encoder(part).vector)) for part in texts)
        return objectives.info_nce(
            anchors,
            positives,
            temperature=settings.temperature,
            pairing=pairing.SharedText(positive_codes),
            extra_negatives=negatives[0] if negatives else None,
        )

    return training.Learner(
        modules={"encoder": encoder, "head": head}, encoders={"text": encoder}, views=views, loss=loss
    )
