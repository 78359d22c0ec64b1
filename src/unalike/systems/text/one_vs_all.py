"""One against all: a linear classifier for each label on the vector of a text, each trained by itself.

The reference for many labels. It has a row of weights for every label, and knows nothing of what a label says.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="one-vs-all",
    title="In Defense of One-Vs-All Classification",
    authors="Rifkin, Klautau",
    year=2004,
    venue="JMLR",
    modality="text",
    roles=("text", "labels"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.05  # as in dexml: what scores are divided by before they become probabilities


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, batch_size=256, epochs=20, clip_norm=1.0)

CLAIM = Claim(sentence="Classifiers of one label against all others are as good as any that look at labels together.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["text"]
    matrix = encoders.LabelMatrix(task.encoders["labels"], encoder.width, temperature=settings.temperature)
    [role] = task.roles["labels"]

    def views(batch, generator):
        [(texts, _)] = batch.choose(task.roles["text"], generator)
        return texts, batch.role(role)

    def loss(seen):
        texts, right = seen
        return objectives.one_vs_all(
            encoders.unit(encoder(texts).vector),
            matrix.weight,
            right,
            temperature=settings.temperature,
            bias=matrix.bias,
        )

    modules = {"encoder": encoder, "labels": matrix}
    return training.Learner(modules=modules, encoders={"text": encoder, "labels": matrix}, views=views, loss=loss)
