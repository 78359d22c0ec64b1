"""CLIP: a picture and its caption meet in one space; all other captions and pictures of the batch repel.

Two encoders, one symmetric softmax over the batch, and a temperature that is learned. Rows that share a caption are
not each other's negatives.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="clip",
    title="Learning Transferable Visual Models From Natural Language Supervision",
    authors="Radford, Kim, Hallacy, Ramesh, Goh, et al.",
    year=2021,
    venue="ICML",
    arxiv="2103.00020",
    modality="image-text",
    roles=("image", "text"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.07  # section 2.5: where the learned temperature starts
    output: int = 256  # 512 in the paper


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, batch_size=256, epochs=60, clip_norm=1.0)

CLAIM = Claim(sentence="Names alone teach pictures' classes well enough for zero-shot use.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    image, text = task.encoders["image"], task.encoders["text"]
    image_head = encoders.linear(image.width, settings.output)
    text_head = encoders.linear(text.width, settings.output)
    scale = encoders.LogitScale(1 / settings.temperature)
    look = task.random_views("image", views.gentle(image.size))

    def views_of(batch, generator):
        [(captions, codes)] = batch.choose(task.roles["text"], generator)
        return training.Looks([*look(batch, generator), captions, codes], batch.same)

    def loss(seen):
        pictures, captions, codes = seen
        return objectives.clip(
            encoders.unit(image_head(image(pictures).vector)),
            encoders.unit(text_head(text(captions).vector)),
            logit_scale=scale(),
            pairing=pairing.SharedText(codes),
            same=seen.same,
        )

    return training.Learner(
        modules={"image": image, "text": text, "image_head": image_head, "text_head": text_head, "scale": scale},
        encoders={"image": image, "text": text},
        views=views_of,
        loss=loss,
        project={"image": image_head, "text": text_head},
    )
