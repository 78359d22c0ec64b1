"""CUAXU: spread pictures and texts evenly over one and the same sphere, so that no gap opens between them.

Trained with CLIP's loss alone, two towers end in different corners of the space, even where both see the same pictures
and start at the same place: the loss is low as soon as each pair is a little nearer than all others, and in many
dimensions that needs no common place. Uniformity within each modality, alignment of the pairs and uniformity across
the modalities (CUAXU) make the whole sphere the cheapest place for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unalike import claims, encoders, evaluation, objectives, pairing, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

PAPER = Paper(
    number=73,
    probe={"steps": 8},
    slug="contrastive-gap",
    title="It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
    authors="Fahim, Murphy, Fyshe",
    year=2024,
    arxiv="2405.18570",
    modality="image-text",
    roles=("image", "text"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.07  # where it starts, as CLIP's; fixed at 0.01 where the paper fine-tunes a trained CLIP
    output: int = 256  # as CLIP


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, batch_size=256, epochs=60, clip_norm=1.0)


def build(settings: Settings, task: training.Task) -> training.Learner:
    return compose(settings, task, objectives.cuaxu)


def without_cross_uniformity(settings: Settings, task: training.Task) -> training.Learner:
    """The paper's smaller loss, CUA: uniformity within each modality only."""
    return compose(settings, task, objectives.cua)


def compose(settings: Settings, task: training.Task, objective) -> training.Learner:
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
        return objective(
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


def two_towers(settings: Settings, task: training.Task) -> training.Learner:
    """The idealised case: two towers of pictures, each pair one picture twice, one place at the start, CLIP's loss.

    The second tower and its head have initial weights of their own. What parts the centres of the two at the start (the
    cone in which each tower's vectors lie) is taken from both, so that a gap that is found has been learned.
    """
    import torch

    towers = torch.nn.ModuleList([task.encoders["image"], encoders.fresh_encoder(task.encoders["image"], seed=1)])
    heads = torch.nn.ModuleList(encoders.linear(tower.width, settings.output, bias=True) for tower in towers)  # type: ignore[arg-type]
    scale = encoders.LogitScale(1 / settings.temperature)

    def sides(pictures):
        seen = [head(tower(pictures).vector) for tower, head in zip(towers, heads, strict=True)]
        return [encoders.unit(side) for side in seen]

    def views_of(batch, generator):
        return task.encoders["image"].plain(batch.choose(task.roles["image"], generator)[0][0])

    @torch.no_grad()
    def meet(epoch, inputs):
        if epoch == 0:
            rows = np.arange(min(len(inputs), 512))
            pictures = views_of(inputs.batch(rows), torch.Generator().manual_seed(0))
            means = [head(tower(pictures).vector).mean(dim=0) for tower, head in zip(towers, heads, strict=True)]
            for head, mean in zip(heads, means, strict=True):
                head.bias -= mean

    return training.Learner(
        modules={"towers": towers, "heads": heads, "scale": scale},
        encoders={"image": towers[0]},  # type: ignore[dict-item]
        views=views_of,
        loss=lambda pictures: objectives.clip(*sides(pictures), logit_scale=scale()),
        before_epoch=meet,
        project={"image": heads[0]},
    )


@needs("learner")
def towers_told_apart(trial):
    """Separability of two towers' vectors of the same pictures: 0.5 where there is no gap."""
    parts, (role, first) = trial.learner.modules, next(iter(trial.scored.spaces.items()))
    second = training.embed_inputs(trial.scored.inputs, role, parts["towers"][1], parts["heads"][1])
    return evaluation.modality_separability(first, second)


CLAIM = Claim(
    sentence="Uniformity across modalities closes the gap that CLIP's loss opens, and nothing is found less often.",
    baseline="clip",
    bed=Bed(set="emoji", roles={"image": ("image:google", "image:twitter"), "text": ("text:en",)}),
    training={"steps": 250, "batch_size": 128},
    arms={
        "CUA": Arm(build=without_cross_uniformity, like="system"),
        "towers": Arm(build=two_towers, settings={"output": 128}, like="baseline"),
        "towers, 4": Arm(build=two_towers, settings={"output": 4}, like="baseline"),
    },
    tune={"learning_rate": (1e-3, 3e-3)},
    choose=claims.recall_both_ways,
    measures=(
        Measure(name="distance of the centres", metric=claims.centres_apart, better="lower", mechanism=True),
        Measure(name="separability", metric=claims.separability, better="lower", mechanism=True),
        Measure(name="separability, with CUA", metric=claims.separability, against="CUA", better="lower"),
        Measure(name="separability of two towers", metric=towers_told_apart, arm="towers", against=0.5, mechanism=True),
        Measure(name="the same, 128 dimensions less 4", metric=towers_told_apart, arm="towers", against="towers, 4"),
        Measure(name="mean R@1, at most 0.01 less", metric=claims.recall_both_ways, margin=-0.01),
        Measure(name="accuracy by names, at most 0.02 less", metric=claims.accuracy_by_names, margin=-0.02),
    ),
)
