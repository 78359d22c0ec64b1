"""Dual encoder with in-batch negatives: a text and one of its labels, against the labels of the batch's other texts."""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="dual-encoder",
    title="Dense Passage Retrieval for Open-Domain Question Answering",
    authors="Karpukhin, Oguz, Min, Lewis, Wu, Edunov, Chen, Yih",
    year=2020,
    venue="EMNLP",
    arxiv="2004.04906",
    modality="text",
    roles=("text", "labels"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.05  # as in dexml; the paper compares inner products


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, batch_size=256, epochs=20, clip_norm=1.0)

CLAIM = Claim(
    sentence="Other questions' passages of the batch are enough negatives to find passages by inner products."
)


def build(settings: Settings, task: training.Task) -> training.Learner:
    import torch

    encoder = task.encoders["text"]
    reader = encoders.LabelReader(task.encoders["labels"], encoder)
    [role] = task.roles["labels"]

    def views(batch, generator):
        [(texts, _)] = batch.choose(task.roles["text"], generator)
        right = batch.role(role).to_dense()
        # A row without a label draws any, which is then no positive of it: it does not count.
        odds = right.cpu() + (right.cpu().sum(1, keepdim=True) == 0)
        drawn = torch.multinomial(odds, 1, generator=generator)[:, 0].to(right.device)
        return texts, right, drawn

    def loss(seen):
        texts, right, drawn = seen
        # A label that several rows drew stands once, and one that is right for a row is no negative of it.
        used, own = drawn.unique(return_inverse=True)
        labels = reader.read(reader.texts(used))
        among = right[:, used]
        chosen = torch.zeros_like(among).scatter_(1, own[:, None], 1.0) * among
        return objectives.info_nce(
            encoders.unit(encoder(texts).vector),
            labels,
            temperature=settings.temperature,
            pairing=pairing.Dense(chosen, 1 - among),
        )

    served = {"text": encoder, "labels": reader}
    return training.Learner(modules={"encoder": encoder}, encoders=served, views=views, loss=loss)
