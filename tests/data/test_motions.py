"""The set of moving emoji: what crosses no split, what is kept of a film, and what the motions are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unalike.data import Collection, open_set
from unalike.data.clips import iter_frames
from unalike.data.sets import motions
from unalike.data.sets.drawing import Draws, art_of, write_frames

THINGS = {"train": (3, 2), "validation": (1, 1), "test": (2, 1)}
RED = Image.new("RGBA", (32, 32), (250, 0, 0, 255))


@pytest.fixture(scope="module")
def photos() -> dict[str, list[tuple[str, Image.Image]]]:
    """Two photos a split, each of one grey that no other photo has."""
    greys = {"train": (10, 40), "validation": (70, 100), "test": (130, 160)}
    return {
        split: [(f"grey{grey}", Image.new("RGB", (60, 40), (grey, grey, grey))) for grey in pair]
        for split, pair in greys.items()
    }


@pytest.fixture(scope="module")
def made(photos: dict, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    folder = tmp_path_factory.mktemp("motions")
    motions.render(open_set("emoji"), photos, folder, THINGS)
    return motions.open_set("motions", folder)


def frames_of(made: Collection, row: int) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in iter_frames(made["video"][row])])


def red(frame: Image.Image) -> np.ndarray:
    """Where a frame over grey is red."""
    pixels = np.asarray(frame).astype(int)
    return pixels[..., 0] - pixels[..., 1]


def middle(frame: Image.Image) -> tuple[float, float]:
    weight = red(frame)
    down, across = np.indices(weight.shape)
    return float((across * weight).sum() / weight.sum()), float((down * weight).sum() / weight.sum())


def test_no_emoji_and_no_photo_crosses_a_split(made: Collection, photos: dict) -> None:
    emoji = open_set("emoji")
    group = dict(zip(emoji.ids, emoji.groups.tolist(), strict=True))
    split_of = {id: split for split, rows in emoji.splits.items() for id in [emoji.ids[row] for row in rows]}
    held: dict[str, set] = {}
    for split, rows in made.splits.items():
        things = {made["label:thing"][int(row)] for row in rows}
        assert len(things) == THINGS[split][0]
        assert {split_of[thing] for thing in things} == {split}, "an emoji is of the split in which emoji has it"
        held[split] = {group[thing] for thing in things}
        assert len(held[split]) == len(things), "no two of one base emoji"
        assert len(rows) == THINGS[split][0] * THINGS[split][1] * 8, "every emoji in every motion"
        seen = {frame[0, 23, 0] for row in rows for frame in frames_of(made, int(row))[[0, -1], :1]}
        greys = {int(name.removeprefix("grey")) for name, _ in photos[split]}
        assert len(seen & greys) == 2
        others = {int(name.removeprefix("grey")) for other in photos if other != split for name, _ in photos[other]}
        assert not seen & (others - set(range(min(greys), max(greys) + 1)))
    assert not held["train"] & held["test"] and not held["train"] & held["validation"]
    assert not held["validation"] & held["test"]
    assert len(set(made.groups[made.splits["train"]]) & set(made.groups[made.splits["test"]])) == 0


def test_a_film_is_kept_without_loss_and_equal_frames_are_not_merged(made: Collection, photos: dict) -> None:
    row = int(made.splits["test"][0])
    thing, motion = made["label:thing"][row], made["label"][row]
    emoji = open_set("emoji")
    art = art_of(emoji["image:google"], emoji.ids.index(thing))
    drawn = motions.film(art, motion, photos["test"], Draws("motions", thing, motion, 0))
    kept = frames_of(made, row)
    assert len(kept) == motions.FRAMES
    differs = np.abs(kept.astype(int) - np.stack([np.asarray(frame) for frame in drawn]))
    assert differs[:, 0, 0].max() <= 1
    differs[:, 0, 0] = 0
    assert not differs.any()
    for row in range(len(made)):
        assert len(frames_of(made, row)) == motions.FRAMES


def test_equal_frames_stay_apart(tmp_path: Path) -> None:
    write_frames(tmp_path / "still.webp", [Image.new("RGB", (24, 24), (9, 9, 9))] * 5)
    assert len(list(iter_frames(tmp_path / "still.webp"))) == 5


def test_the_ground_goes_from_one_crop_to_another() -> None:
    photos = [(str(grey), Image.new("RGB", (60, 40), (grey,) * 3)) for grey in range(0, 250, 10)]
    frames = motions.film(RED, "still", photos, Draws("ground", 1))
    corner = [frame.getpixel((23, 23))[0] for frame in frames]
    assert corner[0] != corner[-1] and len(set(corner)) > 10
    assert all(value % 10 == 0 for value in (corner[0], corner[-1]))


@pytest.mark.parametrize("number", range(3))
def test_motions_are_what_they_are_called(number: int) -> None:
    photos = [("grey", Image.new("RGB", (60, 40), (90,) * 3))]
    shown = {motion: motions.film(RED, motion, photos, Draws("shown", motion, number)) for motion in motions.MOTIONS}
    size = {motion: np.array([red(frame).sum() for frame in frames]) for motion, frames in shown.items()}
    place = {motion: np.array([middle(frame) for frame in frames]) for motion, frames in shown.items()}
    assert np.ptp(size["still"]) == 0 and np.ptp(place["still"], axis=0).max() == 0
    up, down = (np.sign(np.diff(size[motion])) for motion in ("grow", "shrink"))
    assert (up > 0).mean() > 0.75 and (down < 0).mean() > 0.75, "but where it starts again"
    falling = np.diff(place["fall"][:, 1])
    assert (falling > 0).mean() > 0.6 and np.ptp(place["fall"][:, 0]) < 1
    assert np.ptp(place["across"][:, 1]) < 1 and np.ptp(place["across"][:, 0]) > 8
    for motion in ("circle", "shake"):
        assert np.ptp(place[motion][:, 0]) > 2
    assert np.ptp(place["circle"][:, 1]) > 4 and np.ptp(place["shake"][:, 1]) < 1
    turned = np.array([(red(frame) > 80).sum() for frame in shown["spin"]])
    assert np.ptp(place["spin"], axis=0).max() < 1.5 and np.ptp(turned) > 0


def test_a_mirror_exchanges_the_two_ways_and_shrinking_is_growing_backwards() -> None:
    for motion, pose in motions.MOTIONS.items():
        for phase in (0.0, 0.3, 1.7):
            one, other = pose(phase, 1.0), pose(phase, -1.0)
            if motion == "across":
                assert one.x - 0.5 == pytest.approx(0.5 - other.x)
            if motion == "spin":
                assert one.turn == -other.turn
    grow, shrink = motions.MOTIONS["grow"], motions.MOTIONS["shrink"]
    for phase in (0.1, 0.4, 0.8):
        assert grow(phase, 1).scale == pytest.approx(shrink(1 - phase, 1).scale)
