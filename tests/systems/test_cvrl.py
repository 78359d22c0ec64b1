"""CVRL: the loss by its formula, and what would make a toy of it: one change a frame, one clip twice, no motion."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from unalike import encoders, systems, training
from unalike.data import ClipColumn
from unalike.systems.video import cvrl

FRAMES, LENGTH, SIZE = 3, 12, 16


def learner_of(build, **settings) -> training.Learner:
    encoder = encoders.ClipConv(size=SIZE, frames=FRAMES, length=LENGTH, widths=(4, 8))
    task = training.Task(encoders={"video": encoder}, roles={"video": ("video",)}, rows=6, steps=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(cvrl.Settings(**settings), task)


def films(folder: Path, still: bool = False) -> ClipColumn:
    """Six films; the frames of one are alike where they stand still."""
    generator, paths = np.random.default_rng(0), []
    for row in range(6):
        first = generator.integers(0, 255, (SIZE, SIZE, 3), np.uint8)
        shown = [Image.fromarray(first if still else np.roll(first, 2 * t, axis=1)) for t in range(LENGTH)]
        for number, frame in enumerate(shown):  # or the format keeps one of two equal frames
            frame.putpixel((0, 0), (number, 0, 0))
        paths.append(str(folder / f"{row}-{still}.webp"))
        shown[0].save(paths[-1], save_all=True, append_images=shown[1:], lossless=True)
    return ClipColumn(paths)


def seen_by(learner: training.Learner, column: ClipColumn) -> list[torch.Tensor]:
    inputs = training.Inputs({"video": learner.encoders["video"].prepare(column)})
    return learner.views(inputs.batch(np.arange(6)), training.step_generator(0, 0))


def test_the_loss_by_its_formula(tmp_path: Path) -> None:
    learner = learner_of(cvrl.build, temperature=0.3)
    pair = seen_by(learner, films(tmp_path))
    learner.module.eval()
    found = float(learner.loss(pair).detach())
    heads = [learner.modules["projector"](learner.encoders["video"](clips).vector) for clips in pair]
    z = torch.cat(heads).double()
    z = z / z.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(12):
        scores = {j: float((z[i] @ z[j]).detach()) / 0.3 for j in range(12) if j != i}
        total += np.log(sum(np.exp(value) for value in scores.values())) - scores[(i + 6) % 12]
    assert found == pytest.approx(total / 12, rel=1e-5)


def test_what_stands_still_stays_still_unless_each_frame_is_changed_on_its_own(tmp_path: Path) -> None:
    column = films(tmp_path, still=True)
    # The first pixel counts the frames; away from it, and from what a blur or the crop mixes with it, nothing changes.
    away = (slice(None), slice(None), slice(None), slice(SIZE // 2, None), slice(SIZE // 2, None))
    for clips in seen_by(learner_of(cvrl.build), column):
        spread = (clips - clips[:, :1])[away].abs().amax((1, 2, 3, 4))
        assert (spread < 0.15).sum() >= 4
    for clips in seen_by(learner_of(cvrl.each_frame_on_its_own), column):
        assert ((clips - clips[:, :1])[away].abs().amax((1, 2, 3, 4)) > 0.3).all()


def test_two_clips_at_two_moments_and_near_ones_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    sampled = cvrl.views.sampled_clips

    def noted(films, generator, **options):
        pair = sampled(films, generator, **options)
        asked.append((options, [clips[:, 0, 0, 0, 0].long() for clips in pair]))
        return pair

    monkeypatch.setattr(cvrl.views, "sampled_clips", noted)
    counting = torch.arange(LENGTH, dtype=torch.uint8).view(1, LENGTH, 1, 1, 1).expand(600, -1, 3, SIZE, SIZE)
    batch = SimpleNamespace(choose=lambda roles, generator: [(counting, None)], same=None)
    mean = {}
    for build in (cvrl.build, cvrl.any_interval):
        learner_of(build).views(batch, training.step_generator(0, 0))
        options, (first, second) = asked[-1]
        assert options["frames"] == FRAMES
        mean[build] = float((first - second).abs().double().mean())
    longest = LENGTH - FRAMES
    assert mean[cvrl.build] == pytest.approx(longest / 3, abs=0.4)
    assert mean[cvrl.any_interval] == pytest.approx(longest / 2, abs=0.4)


def test_frames_alone_see_one_frame_twice_and_no_order(tmp_path: Path) -> None:
    column = films(tmp_path)
    learner = learner_of(cvrl.simclr_on_frames)
    assert [clips.shape[1] for clips in seen_by(learner, column)] == [1, 1]
    moving = learner_of(cvrl.build)
    for found, expected in ((learner, 0.0), (moving, 0.01)):
        prepared = found.encoders["video"].prepare(column)
        trial = SimpleNamespace(
            learner=found, seed=0, scored=SimpleNamespace(inputs=training.Inputs({"video": prepared}))
        )
        value = float(cvrl.order_matters(trial))
        assert value == pytest.approx(0, abs=1e-5) if expected == 0 else value > expected


def test_the_arms_differ_in_what_they_are_named_for() -> None:
    claim = systems.find("cvrl").claim
    arms = claim.all_arms
    assert {name: arm.build for name, arm in arms.items()} == {
        "system": None,
        "baseline": cvrl.simclr_on_frames,
        "each frame on its own": cvrl.each_frame_on_its_own,
        "any interval": cvrl.any_interval,
        "games": None,
        "games, frames": cvrl.simclr_on_frames,
        "games, each frame on its own": cvrl.each_frame_on_its_own,
    }
    # On the games each arm has the learning rate that was chosen for the one that it repeats.
    for name, like in (("games", "system"), ("games, frames", "baseline"), (f"games, {cvrl.EACH}", cvrl.EACH)):
        assert arms[name].like == like and arms[name].build is arms[like].build
    for one, other in itertools.combinations(arms.values(), 2):
        assert one.settings == other.settings
        assert one.training == other.training or one.bed != other.bed
