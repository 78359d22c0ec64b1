"""Runs over rows that share things: what the split, the loss and the scores make of them, and what the user is told."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import unalike
from unalike import objectives, pairing
from unalike.data import Collection, TextColumn, open_collection
from unalike.errors import DataError
from unalike.runs.rows import with_splits
from unalike.runs.same import sameness
from unalike.training import Interrupted, Listener


@pytest.fixture(scope="module")
def captions(tmp_path_factory) -> Path:
    """Twenty pictures with five rows each, and copies of two of them under other names."""
    folder = tmp_path_factory.mktemp("captions")
    rng = np.random.default_rng(0)
    lines = ["path,caption"]
    for i in range(20):
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save(folder / f"{i}.png")
        lines += [f"{i}.png,picture {i} wording {k}" for k in range(5)]
    for i in (3, 4):
        shutil.copy(folder / f"{i}.png", folder / f"copy{i}.png")
        lines.append(f"copy{i}.png,another file of {i}")
    (folder / "coco.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def clip_run(captions, tmp_path_factory):
    seen: list[dict] = []
    real = objectives.clip

    def spy(*given, **named):
        seen.append(named)
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectives, "clip", spy)
        run = unalike.fit(
            captions / "coco.csv",
            roles={"image": "path", "text": "caption"},
            system="clip",
            steps=2,
            batch_size=91,
            size=16,
            out=tmp_path_factory.mktemp("runs") / "clip",
        )
    return run, seen


def test_a_pictures_captions_are_not_its_negatives_and_stay_on_one_side(clip_run):
    run, seen = clip_run
    pictures = np.array([*np.arange(20).repeat(5), 3, 4])
    sides = {number: set(run.items.splits[pictures == number]) for number in range(20)}
    assert all(len(side) == 1 for side in sides.values())
    assert {"train", "test"} == set(run.items.splits)
    given = seen[0]["same"]
    assert len(given[:, 0].unique()) == len({n for n, side in sides.items() if side == {"train"}})
    assert torch.equal(pairing.alike(given, given), given[:, :1] == given[:, 0]), "alike are the rows of one picture"


def test_any_caption_of_a_picture_is_right(clip_run):
    scores = {score.name: score for score in clip_run[0].scores}
    tested = np.array([*np.arange(20).repeat(5), 3, 4])[clip_run[0].items.splits == "test"]
    assert scores["recall@1/image>text"].n == len(set(tested)), "each picture asks once"
    asked = scores["recall@1/text>image"].floors["chance"]
    assert asked == pytest.approx(1 / len(set(tested)))


def test_the_user_is_told(clip_run):
    notes = "\n".join(clip_run[0].record["notes"])
    assert "102 of 102 rows share their image with another row" in notes
    assert "are not each other's negatives" in notes
    assert "2 files of image are copies of others (copy3.png of 3.png)" in notes


def test_labels_decide_where_a_system_learns_from_them(tmp_path):
    pictures = list(np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), np.uint8).repeat(4, 0))
    data = open_collection({"image": pictures, "label": [i % 2 for i in range(24)]})
    run = unalike.fit(data, system="supcon", steps=1, batch_size=8, size=16, out=tmp_path / "run")
    told = [note for note in run.record["notes"] if "share their image" in note]
    assert told
    assert "negatives" not in told[0]


def test_a_role_that_the_system_does_not_read_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("q,a,n,x\n" + "".join(f"q {i},a {i},n {i},{i}\n" for i in range(8)))
    with pytest.raises(
        DataError, match=r"does not read text:negatve; it reads text, text:positive, text:negative.*Did you mean"
    ):
        unalike.fit(
            path,
            roles={"text": "q", "text:positive": "a", "text:negatve": "n"},
            system="simcse-supervised",
            out=tmp_path / "r",
        )
    with pytest.raises(DataError, match="simcse does not read array; it reads text"):
        unalike.fit(path, roles={"text": "q", "array": "x"}, system="simcse", out=tmp_path / "r")


def test_rows_that_all_share_something_leave_nothing_to_hold_out():
    chain = Collection(
        {
            "text": TextColumn([f"q{i // 2}" for i in range(30)]),
            "text:positive": TextColumn([f"a{(i + 1) // 2}" for i in range(30)]),
        },
        name="chain",
    )
    same = sameness(chain, {"text": ("text", "text:positive")}, group=True)
    found = with_splits(chain, 0.1, 0, same)
    assert list(found.splits) == ["train"]
    assert "share things in 1 groups, the largest of 30" in found.notes[-1]


def test_a_stopped_run_with_a_queue_goes_on_to_the_same_bits(tmp_path):
    pictures = list(np.random.default_rng(0).integers(0, 255, (20, 16, 16, 3), np.uint8).repeat(2, 0))
    data = open_collection({"image": pictures}, name="twice")
    options = {"system": "moco-v2", "batch_size": 8, "size": 16, "steps": 6}
    whole = unalike.fit(data, out=tmp_path / "whole", **options)

    def stop(step, total, row):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        unalike.fit(data, out=tmp_path / "half", listener=Listener(on_step=stop), **options)
    again = unalike.resume(tmp_path / "half", data)
    ours, theirs = (run.learner.module.state_dict() for run in (whole, again))
    assert "dictionary.queue.codes" in ours
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
