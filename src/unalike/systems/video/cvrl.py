"""CVRL: two clips of one film, near in time more often than far, each changed alike in all of its frames, agree.

Changing each frame on its own, as for pictures, destroys the motion that a film has beyond its frames. And two moments
far apart may show different things: the farther, the more seldom they are taken for a pair.
"""

from __future__ import annotations

from dataclasses import dataclass

from unalike import encoders, objectives, training, views
from unalike.records import Claim, Paper, Recipe

PAPER = Paper(
    number=84,
    slug="cvrl",
    title="Spatiotemporal Contrastive Video Representation Learning",
    authors="Qian, Meng, Gong, Yang, Wang, Belongie, Cui",
    year=2021,
    venue="CVPR",
    arxiv="2008.03800",
    modality="video",
    roles=("video",),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    temperature: float = 0.1  # section 3.1
    hidden: int = 256  # the paper's 2048 for its wider network
    output: int = 128  # section 3.1
    layers: int = 3  # section 3.1


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=32, epochs=40)

CLAIM = Claim(sentence="One change for all frames of a clip, and near moments before far ones, teach motion.")


def build(settings: Settings, task: training.Task) -> training.Learner:
    encoder = task.encoders["video"]
    width = encoder.width
    projector = encoders.projector(width, settings.hidden, settings.output, layers=settings.layers)
    reading = encoder.config()
    frame = {"size": reading["size"], "crop_scale": (0.3, 1.0), "crop_ratio": (0.5, 2.0)}
    # The release: one view is always blurred, the other seldom blurred and sometimes inverted.
    looks = (
        views.ClipViews(views.ImageViews(**frame, blur=1.0)),
        views.ClipViews(views.ImageViews(**frame, blur=0.1, solarize=0.2)),
    )

    def look(batch, generator):
        [(films, _)] = batch.choose(task.roles["video"], generator)
        pair = views.sampled_clips(films, generator, frames=reading["frames"], stride=reading["stride"])
        return [change(clips, generator) for change, clips in zip(looks, pair, strict=True)]

    def loss(pair):
        first, second = (encoders.unit(projector(encoder(clips).vector)) for clips in pair)
        return objectives.nt_xent(first, second, temperature=settings.temperature)

    modules = {"encoder": encoder, "projector": projector}
    return training.Learner(modules=modules, encoders={"video": encoder}, views=look, loss=loss)
