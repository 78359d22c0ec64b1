"""SigLIP: each picture-caption pair is its own yes-or-no question; no softmax over the batch.

A sigmoid with a learned scale and bias for every pair of the batch. The loss needs no normalisation over rows, so it
depends little on the batch size.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="siglip",
    title="Sigmoid Loss for Language Image Pre-Training",
    authors="Zhai, Mustafa, Kolesnikov, Beyer",
    year=2023,
    venue="ICCV",
    arxiv="2303.15343",
    modality="image-text",
    roles=("image", "text"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    scale: float = 10.0  # section 3.2: where the learned scale starts
    bias: float = -10.0  # section 3.2: where the learned bias starts
    output: int = 256


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, batch_size=256, epochs=60, clip_norm=1.0)

CLAIM = Claim(sentence="A pairwise sigmoid beats the softmax at small batches.", baseline="clip")


def build(settings: Settings, task: training.Task) -> training.Learner:
    image, text = task.encoders["image"], task.encoders["text"]
    image_head = encoders.linear(image.width, settings.output)
    text_head = encoders.linear(text.width, settings.output)
    scale, bias = encoders.LogitScale(settings.scale), encoders.LogitBias(settings.bias)
    look = task.random_views("image", views.gentle(image.size))

    def views_of(batch, generator):
        [(captions, codes)] = batch.choose(task.roles["text"], generator)
        return training.Looks([*look(batch, generator), captions, codes], batch.same)

    def loss(seen):
        pictures, captions, codes = seen
        return objectives.sigmoid(
            encoders.unit(image_head(image(pictures).vector)),
            encoders.unit(text_head(text(captions).vector)),
            logit_scale=scale(),
            bias=bias(),
            pairing=pairing.SharedText(codes),
            same=seen.same,
        )

    return training.Learner(
        modules={
            "image": image,
            "text": text,
            "image_head": image_head,
            "text_head": text_head,
            "scale": scale,
            "bias": bias,
        },
        encoders={"image": image, "text": text},
        views=views_of,
        loss=loss,
        project={"image": image_head, "text": text_head},
    )
