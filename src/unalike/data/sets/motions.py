"""Emoji that move over a changing ground: what moves and where are known, and the class is how it moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from unalike.data.collection import Collection
from unalike.data.columns import ImageColumn
from unalike.data.media import ClipColumn
from unalike.data.sets.drawing import Draws, art_of, crop, open_photo, write_frames
from unalike.data.sets.emoji import open_set as open_emoji
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows

SIDE, FRAMES = 24, 32
GROUNDS = 4
"""Crops of photos that the ground of a film goes through; the ends of a film have none in common."""
BLUR = 12
"""Pixels of a ground over which it changes: it is out of focus."""
THINGS: Mapping[str, tuple[int, int]] = {"train": (5, 15), "validation": (4, 5), "test": (8, 5)}
"""Of each split how many emoji, no two of one base emoji, and how many films show each of them in each motion."""
PHOTOS: Mapping[str, tuple[str, ...]] = {
    "train": ("astronaut", "brick", "camera", "chelsea", "coins", "hubble_deep_field", "moon", "rocket"),
    "validation": ("coffee", "gravel"),
    "test": ("motorcycle_left", "grass", "clock_motion"),
}
"""Scikit-image's photos by name; none is in two splits."""


@dataclass(frozen=True)
class Pose:
    """Where a thing is: its middle, in sides of the picture; its size, of its own; its turn, in turns."""

    x: float = 0.5
    y: float = 0.5
    scale: float = 1.0
    turn: float = 0.0


MOTIONS: Mapping[str, Callable[[float, float], Pose]] = {
    "still": lambda phase, way: Pose(),
    "across": lambda phase, way: Pose(x=0.5 + way * 1.1 * (phase % 1 - 0.5)),
    "fall": lambda phase, way: Pose(y=0.5 + 1.1 * (phase % 1 - 0.5)),
    "grow": lambda phase, way: Pose(scale=0.5 + phase % 1),
    "shrink": lambda phase, way: Pose(scale=1.5 - phase % 1),
    "spin": lambda phase, way: Pose(turn=way * phase),
    "circle": lambda phase, way: Pose(
        x=0.5 + 0.22 * math.cos(math.tau * phase), y=0.5 + way * 0.22 * math.sin(math.tau * phase)
    ),
    "shake": lambda phase, way: Pose(x=0.5 + way * 0.1 * math.sin(3 * math.tau * phase)),
}
"""By class the pose at a phase, in periods, and one of two ways (1 or -1) that a mirror exchanges. Each goes on and on;
grow and shrink show the same frames in another order."""


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    wheel = sources[1] / "skimage/data"
    photos = {
        split: [(photo, open_photo(next(wheel.glob(f"{photo}.*g")))) for photo in names]
        for split, names in PHOTOS.items()
    }
    render(open_emoji("emoji", sources[0]), photos, made, THINGS)


def render(
    emoji: Collection,
    photos: Mapping[str, Sequence[tuple[str, Image.Image]]],
    made: Path,
    things: Mapping[str, tuple[int, int]],
) -> None:
    """Draw the set: emoji of each split in every motion, over photos of that split."""
    art, groups = emoji["image:google"], emoji.groups
    assert isinstance(art, ImageColumn) and groups is not None
    (made / "films").mkdir()
    table, group = [], []
    for split, (count, takes) in things.items():
        for row in _one_a_group(emoji.splits[split], groups, art.present, Draws("motions", split))[:count]:
            thing, picture = emoji.ids[row], art_of(art, row)
            for motion, take in itertools.product(MOTIONS, range(takes)):
                path = f"films/{thing}-{motion}-{take}.webp"
                write_frames(made / path, film(picture, motion, photos[split], Draws("motions", thing, motion, take)))
                table.append((path, motion, thing, split))
                group.append(groups[row])
    video, label, thing, split_of = (list(column) for column in zip(*table, strict=True))  # type: ignore[assignment]
    write_rows(
        made / "rows.parquet",
        {"video": video, "label": label, "thing": thing},
        groups=np.array(group),
        splits={split: np.flatnonzero(np.array(split_of) == split) for split in things},
    )


def film(art: Image.Image, motion: str, photos: Sequence[tuple[str, Image.Image]], draws: Draws) -> list[Image.Image]:
    """The frames of one film: one thing in one motion, of its own size, speed and place, over a ground that fades from
    one crop of a photo to the next."""
    period, phase, way = draws.number(8, 11), draws.number(), (-1.0, 1.0)[draws.whole(2)]
    size = draws.number(12, 15)
    off = draws.number(-0.15, 0.15), draws.number(-0.15, 0.15)
    grounds = [_ground(photos[draws.whole(len(photos))][1], draws) for _ in range(GROUNDS)]
    frames = []
    for time in range(FRAMES):
        place = time / (FRAMES - 1) * (GROUNDS - 1)
        before = min(int(place), GROUNDS - 2)
        share = place - before
        ground = Image.fromarray(np.rint((1 - share) * grounds[before] + share * grounds[before + 1]).astype(np.uint8))
        frames.append(_placed(ground, art, MOTIONS[motion](phase + time / period, way), size, off))
    return frames


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    return Collection(
        {
            "video": ClipColumn(table["video"].to_pylist(), root=folder),
            "label": label_of(table, "label"),
            "label:thing": label_of(table, "thing"),
        },
        name=name,
        ids=[Path(path).stem for path in table["video"].to_pylist()],
        splits=splits_of(table),
        groups=groups_of(table),
    )


def _one_a_group(rows: np.ndarray, groups: np.ndarray, present: np.ndarray, draws: Draws) -> list[int]:
    """Rows that have a picture in a random order, the first of each group."""
    seen: dict[int, int] = {}
    for row in rows[draws.shuffled(len(rows))].tolist():
        if present[row]:
            seen.setdefault(int(groups[row]), row)
    return list(seen.values())


def _ground(photo: Image.Image, draws: Draws) -> np.ndarray:
    """A crop of a photo out of focus, float64 ``(SIDE, SIDE, 3)``."""
    part = Image.fromarray(crop(photo, SIDE, draws)).resize((SIDE // BLUR, SIDE // BLUR), Image.Resampling.BOX)
    return np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float64)


def _placed(ground: Image.Image, art: Image.Image, pose: Pose, size: float, off: tuple[float, float]) -> Image.Image:
    """The art on a ground, in a pose, so that fractions of a pixel count: drawn four times as large and reduced."""
    large = 4
    edge = max(1, round(size * pose.scale * large))
    shape = art.resize((edge, edge), Image.Resampling.BOX)
    turned = shape.rotate(-360 * pose.turn, Image.Resampling.BICUBIC, expand=True)
    sheet = Image.new("RGBA", (SIDE * large, SIDE * large))
    x, y = ((share + by) * SIDE * large - turned.width / 2 for share, by in zip((pose.x, pose.y), off, strict=True))
    sheet.paste(turned, (round(x), round(y)))
    # Colours weigh by their opacity, so that an edge takes nothing of what is transparent.
    small = sheet.convert("RGBa").resize((SIDE, SIDE), Image.Resampling.BOX).convert("RGBA")
    return Image.alpha_composite(ground.convert("RGBA"), small).convert("RGB")
