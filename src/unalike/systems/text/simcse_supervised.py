"""SimCSE, supervised: a sentence, one that follows from it, and one that contradicts it.

The entailed sentence is the positive; the contradiction joins the other sentences of the batch as a hard negative.
Give the columns as the roles ``text``, ``text:positive`` and, if there is one, ``text:negative``. Of several positives
of a row (``text:positive2``, or a list in a cell) each step draws one; several negatives all count.
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
    also=("text:negative",),
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
    anchors, positives, negatives = (
        training.variants(task.roles["text"], role) for role in ("text", "text:positive", "text:negative")
    )
    if not positives:
        raise DataError("simcse-supervised learns from pairs: give --text COLUMN and --text:positive COLUMN")

    def views(batch, generator):
        [(sentences, _)] = batch.choose(anchors, generator)
        [(entailed, codes)] = batch.choose(positives, generator)
        return training.Looks([sentences, entailed, codes, *training.hard_negatives(batch, negatives)], batch.same)

    def loss(seen):
        sentences, entailed, codes, contradicting, hard = seen
        vectors = [
            None if part is None else encoders.unit(head(encoder(part).vector))
            for part in (sentences, entailed, contradicting)
        ]
        return objectives.info_nce(
            *vectors[:2],
            temperature=settings.temperature,
            pairing=pairing.SharedText(codes),
            extra_negatives=vectors[2],
            same=seen.same,
            extra_same=hard,
        )

    return training.Learner(
        modules={"encoder": encoder, "head": head}, encoders={"text": encoder}, views=views, loss=loss
    )
