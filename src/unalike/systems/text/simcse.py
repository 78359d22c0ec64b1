"""SimCSE, unsupervised: a sentence is its own positive, seen twice through different dropout masks.

Dropout inside the encoder is the smallest possible view of a text; all other sentences of the batch repel.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="simcse",
    title="SimCSE: Simple Contrastive Learning of Sentence Embeddings",
    authors="Gao, Yao, Chen",
    year=2021,
    venue="EMNLP",
    arxiv="2104.08821",
    modality="text",
    roles=("text",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.05  # section 3
    output: int = 256


RECIPE = Recipe(optimizer="adamw", learning_rate=5e-4, weight_decay=1e-2, batch_size=128, epochs=5, clip_norm=1.0)

CLAIM = Claim(sentence="Dropout alone is a view that makes sentence vectors even and aligned.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["text"]
    # Section 6.3: the head is used in training only.
    head = encoders.projector(encoder.width, settings.output, settings.output, batch_norm=False)

    def views(batch, generator):
        [(sentences, codes)] = batch.choose(task.roles["text"], generator)
        return training.Looks([sentences, codes], batch.same)

    def loss(seen):
        sentences, codes = seen
        first, second = (encoders.unit(head(encoder(sentences).vector)) for _ in range(2))
        alike = {"pairing": pairing.SharedText(codes), "same": seen.same}
        return objectives.info_nce(first, second, temperature=settings.temperature, **alike)

    return training.Learner(
        modules={"encoder": encoder, "head": head}, encoders={"text": encoder}, views=views, loss=loss
    )
