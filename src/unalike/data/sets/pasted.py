"""A handwritten digit pasted on an emoji: two things to learn from one picture, of which one is easier to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from unalike.data.collection import Collection
from unalike.data.columns import ImageColumn, LabelColumn
from unalike.data.sets.drawing import Draws, art_of, fitted, paste, shape_of
from unalike.data.sets.emoji import open_set as open_emoji
from unalike.data.sets.mnist import open_set as open_mnist
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows

SIDE = 32
ROWS: Mapping[str, int] = {"train": 4000, "validation": 1000, "test": 2000}
FEWEST = {"train": 12, "validation": 2, "test": 4}
"""Emoji that a subgroup has in each split, at least; smaller subgroups are left out."""


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    render(open_emoji("emoji", sources[0]), open_mnist("mnist", sources[1]), made, ROWS, FEWEST)


def render(
    emoji: Collection, mnist: Collection, made: Path, rows: Mapping[str, int], fewest: Mapping[str, int]
) -> None:
    """Draw the set: each digit once; subgroups equally often, and of each its emoji; neither tells of the other."""
    art, digits = emoji["image:google"], mnist["image"]
    subgroups, categories, labels = emoji["label:subgroup"], emoji["label"], mnist["label"]
    assert isinstance(art, ImageColumn) and isinstance(digits, ImageColumn) and isinstance(subgroups, LabelColumn)
    members = {split: _members(subgroups.codes, emoji.splits[split], art.present) for split in rows}
    kept = [
        code
        for code in range(len(subgroups.names))
        if all(len(members[split].get(code, ())) >= fewest[split] for split in rows)
    ]
    pixels, table = [], []
    for split, count in rows.items():
        known = mnist.splits[split]
        for row in known[Draws("pasted", split).shuffled(len(known))[:count]]:
            draws = Draws("pasted", row)
            subgroup = kept[draws.whole(len(kept))]
            choice = members[split][subgroup]
            chosen = int(choice[draws.whole(len(choice))])
            shape = fitted(shape_of(np.asarray(digits.source(int(row)))), draws.number(10, 14))
            pixels.append(paste(_on_ground(art_of(art, chosen), draws), shape, draws, contrast=90))
            table.append((labels[int(row)], subgroups.names[subgroup], categories[chosen], emoji.ids[chosen], split))
    label, subgroup_of, group_of, emoji_of, split_of = (list(column) for column in zip(*table, strict=True))
    assert emoji.groups is not None
    group = dict(zip(emoji.ids, emoji.groups.tolist(), strict=True))
    np.save(made / "pixels.npy", np.stack(pixels), allow_pickle=False)
    write_rows(
        made / "rows.parquet",
        {"label": label, "subgroup": subgroup_of, "group_of_emoji": group_of, "emoji": emoji_of},
        groups=np.array([group[id] for id in emoji_of]),
        splits={split: np.flatnonzero(np.array(split_of) == split) for split in rows},
    )


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    return Collection(
        {
            "image": ImageColumn(np.load(folder / "pixels.npy", allow_pickle=False)),
            "label": label_of(table, "label"),
            "label:subgroup": label_of(table, "subgroup"),
            "label:group": label_of(table, "group_of_emoji"),
            "label:emoji": label_of(table, "emoji"),
        },
        name=name,
        splits=splits_of(table),
        groups=groups_of(table),
    )


def _members(codes: np.ndarray, rows: np.ndarray, present: np.ndarray) -> dict[int, np.ndarray]:
    """Rows that have a picture, by class."""
    there = rows[present[rows]]
    return {code: there[codes[there] == code] for code in np.unique(codes[there]).tolist() if code >= 0}


def _on_ground(art: Image.Image, draws: Draws) -> np.ndarray:
    """An emoji on paper of a light random colour, uint8 ``(SIDE, SIDE, 3)``; it fills most of it."""
    edge = round(draws.number(26, SIDE))
    small = art.resize((edge, edge), Image.Resampling.BOX)
    ground = Image.new("RGBA", (SIDE, SIDE), tuple(round(draws.number(150, 255)) for _ in range(3)))
    ground.alpha_composite(small, (draws.whole(SIDE - edge + 1), draws.whole(SIDE - edge + 1)))
    return np.asarray(ground.convert("RGB"))
