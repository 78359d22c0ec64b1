"""SLIP: CLIP's picture-caption contrast and SimCLR's picture-picture contrast on one image encoder.

The captions say what a picture means, the views say what does not matter. Where a row has several pictures of one
thing (the same emoji in several art styles), two of them serve as the views.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, pairing, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    slug="slip",
    title="SLIP: Self-supervision meets Language-Image Pre-training",
    authors="Mu, Kirillov, Wagner, Xie",
    year=2022,
    venue="ECCV",
    arxiv="2112.12750",
    modality="image-text",
    roles=("image", "text"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.07  # CLIP's, section 3: learned from here
    view_temperature: float = 0.1  # section 3
    view_weight: float = 1.0  # section 3: both losses weigh the same
    captions: int = 4  # 1 in the paper; more where rows have several, as in several languages: the first always
    hidden: int = 512  # 4096 in the paper
    output: int = 256  # 512 for captions, 256 for views in the paper


RECIPE = Recipe(optimizer="adamw", learning_rate=2e-3, weight_decay=0.05, batch_size=128, epochs=120, clip_norm=1.0)

CLAIM = Claim(
    sentence="Self-supervision added to captions improves both zero-shot and linear readings.", baseline="clip"
)


def build(settings: Settings, task: training.Task) -> training.Learner:
    image, text = task.encoders["image"], task.encoders["text"]
    image_head = encoders.linear(image.width, settings.output)
    text_head = encoders.linear(text.width, settings.output)
    projector = encoders.projector(image.width, settings.hidden, settings.output)
    scale = encoders.LogitScale(1 / settings.temperature)
    view = task.view.get("image") or views.gentle(image.size)
    captions = min(settings.captions, len(task.roles["text"]))

    def views_of(batch, generator):
        pictures = [view(part, generator) for part, _ in batch.choose(task.roles["image"], generator, count=2)]
        named = batch.choose(task.roles["text"], generator, count=captions, lead=True)
        return training.Looks([pictures, named], batch.same)

    def loss(seen):
        pictures, captions = seen
        seen_pictures = [image(part).vector for part in pictures]
        shown = [encoders.unit(image_head(vector)) for vector in seen_pictures]
        # One pass over all captions: the gradient of a table of n-grams costs as much for one row as for all.
        words = encoders.unit(text_head(text(encoders.Tokens.join([part for part, _ in captions])).vector))
        named = [
            (vector, pairing.SharedText(codes))
            for vector, (_, codes) in zip(words.chunk(len(captions)), captions, strict=True)
        ]
        language = sum(
            objectives.clip(picture, caption, logit_scale=scale(), pairing=shared, same=seen.same)
            for picture in shown
            for caption, shared in named
        )
        first, second = (encoders.unit(projector(vector)) for vector in seen_pictures)
        alike = objectives.nt_xent(first, second, temperature=settings.view_temperature, same=seen.same)
        return language / (len(shown) * len(named)) + settings.view_weight * alike

    return training.Learner(
        modules={
            "image": image,
            "text": text,
            "image_head": image_head,
            "text_head": text_head,
            "projector": projector,
            "scale": scale,
        },
        encoders={"image": image, "text": text},
        views=views_of,
        loss=loss,
        project={"image": image_head, "text": text_head},
    )
