"""CVRL: two clips of one film, near in time more often than far, each changed alike in all of its frames, agree.

Changing each frame on its own, as for pictures, destroys the motion that a film has beyond its frames. And two moments
far apart may show different things: the farther, the more seldom they are taken for a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unalike import encoders, objectives, training, views
from unalike.records import Arm, Bed, Claim, Measure, Paper, Recipe, needs

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
    smallest: float = 0.3  # section 3.3: area of a crop, as a share of the frame
    strength: float = 1.0  # section 3.3: of the change of colours


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-4, batch_size=32, epochs=40)


def build(
    settings: Settings, task: training.Task, *, consistent: bool = True, decreasing: bool = True, moving: bool = True
) -> training.Learner:
    encoder = task.encoders["video"]
    reading = encoder.config()
    if not moving:
        encoder = encoders.FrameByFrame(encoder)  # type: ignore[arg-type]
    projector = encoders.projector(encoder.width, settings.hidden, settings.output, layers=settings.layers)
    frame = {
        "size": reading["size"],
        "crop_scale": (settings.smallest, 1.0),
        "crop_ratio": (0.5, 2.0),
        "strength": settings.strength,
    }
    # The release: one view is always blurred, the other seldom blurred and sometimes inverted.
    looks = (
        views.ClipViews(views.ImageViews(**frame, blur=1.0), consistent),
        views.ClipViews(views.ImageViews(**frame, blur=0.1, solarize=0.2), consistent),
    )

    def look(batch, generator):
        [(films, _)] = batch.choose(task.roles["video"], generator)
        count = reading["frames"] if moving else 1
        pair = views.sampled_clips(films, generator, frames=count, stride=reading["stride"], decreasing=decreasing)
        if not moving:
            pair = pair[0], pair[0]
        return training.Looks([change(clips, generator) for change, clips in zip(looks, pair, strict=True)], batch.same)

    def loss(pair):
        first, second = (encoders.unit(projector(encoder(clips).vector)) for clips in pair)
        return objectives.nt_xent(first, second, temperature=settings.temperature, same=pair.same)

    modules = {"encoder": encoder, "projector": projector}
    return training.Learner(modules=modules, encoders={"video": encoder}, views=look, loss=loss)


def simclr_on_frames(settings: Settings, task: training.Task) -> training.Learner:
    """The baseline: the same network sees one frame at a time, and two changes of one frame agree."""
    return build(settings, task, moving=False)


def each_frame_on_its_own(settings: Settings, task: training.Task) -> training.Learner:
    """The control: every frame of a clip has a change of its own."""
    return build(settings, task, consistent=False)


def any_interval(settings: Settings, task: training.Task) -> training.Learner:
    """The control: two clips of a film are as often far apart as near."""
    return build(settings, task, decreasing=False)


@needs("learner")
def order_matters(trial):
    """How far a clip goes when its frames are shuffled, in mean distances of two clips: 0 if order says nothing."""
    import torch

    encoder, clips = trial.learner.encoders["video"].eval(), trial.scored.inputs.prepared["video"]
    shown = encoder.plain(clips.take(np.arange(len(clips))))
    places = torch.rand(shown.shape[:2], generator=training.step_generator(trial.seed, 2**29)).argsort(dim=1)
    with torch.inference_mode():
        found = encoders.unit(encoder(shown).vector)
        moved = encoders.unit(encoder(shown[torch.arange(len(shown))[:, None], places]).vector)
        return (found - moved).norm(dim=1).mean() / torch.pdist(found).mean()


SMALL = {"smallest": 0.6, "strength": 0.5}  # of frames of 16 pixels less may be cut off and changed
EACH = "each frame on its own"
GAMES: dict[str, Any] = {"bed": Bed(set="games", size=24), "settings": SMALL, "training": {"steps": 600}}

CLAIM = Claim(
    sentence="One change for all frames of a clip, and near moments before far ones, teach motion.",
    baseline="simclr",
    bed=Bed(set="motions", size=16),
    encoder={"video": {"name": "clip", "widths": (8, 16, 64), "frames": 8, "length": 32}},
    training={"batch_size": 32, "steps": 800},
    tune={"learning_rate": (1e-3, 3e-3)},
    arms={
        "system": Arm(settings=SMALL),
        "baseline": Arm(build=simclr_on_frames, settings=SMALL),
        EACH: Arm(build=each_frame_on_its_own, settings=SMALL),
        "any interval": Arm(build=any_interval, settings=SMALL, like="system"),
        "games": Arm(like="system", **GAMES),
        "games, frames": Arm(build=simclr_on_frames, like="baseline", **GAMES),
        f"games, {EACH}": Arm(build=each_frame_on_its_own, like=EACH, **GAMES),
    },
    measures=(
        Measure(name="which motion, linear probe", metric="linear_probe"),
        Measure(name="weight of the frames' order", metric=order_matters, against=EACH, mechanism=True),
        Measure(
            name="which motion against a change for each frame, linear probe",
            metric="linear_probe",
            against=EACH,
            mechanism=True,
        ),
        Measure(name="which motion, kNN", metric="knn"),
        Measure(name="which motion against a change for each frame, kNN", metric="knn", against=EACH),
        Measure(name="which motion against any interval, linear probe", metric="linear_probe", against="any interval"),
        Measure(name="which motion against any interval, kNN", metric="knn", against="any interval"),
        Measure(name="how the stick goes, linear probe", metric="linear_probe", arm="games", against="games, frames"),
        Measure(
            name="how the stick goes against a change for each frame, linear probe",
            metric="linear_probe",
            arm="games",
            against=f"games, {EACH}",
            mechanism=True,
        ),
    ),
)
