"""Three stamps named in three languages, and a voice in one of them: which of the three is shown?

Neither the names nor the voice alone tell; both together do.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from unalike.data.collection import Collection
from unalike.data.columns import ImageColumn, LabelColumn, TextColumn
from unalike.data.media import AudioColumn
from unalike.data.sets.drawing import Draws, art_of
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows
from unalike.data.sets.tuxpaint import open_set as open_tuxpaint

LANGUAGES = ("es", "fr", "ru")
SIDE = 32
ROWS: Mapping[str, int] = {"train": 6000, "validation": 600, "test": 1500}
RECORDINGS: Mapping[str, int] = {"train": 200, "validation": 40, "test": 80}
"""Of each language, at most."""


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    render(open_tuxpaint("tuxpaint", sources[0]), made, ROWS, RECORDINGS)


def render(stamps: Collection, made: Path, rows: Mapping[str, int], recordings: Mapping[str, int]) -> None:
    """Make the set: each row names three stamps of its split and plays a recording of a fourth one of it."""
    captions = [stamps[f"text:{language}"] for language in LANGUAGES]
    voices = [stamps[f"audio:{language}"] for language in LANGUAGES]
    groups = stamps.groups
    assert groups is not None
    named = stamps["image"].present & np.all([each.present for each in captions], axis=0)
    for caption in captions:  # what is not translated would be told by all three languages
        others = [other for other in captions if other is not caption]
        named &= np.array([all(caption[row] != other[row] for other in others) for row in range(len(stamps))])
    # Stamps of two splits may have one recording in common (a letter, large and small); only the first keeps it.
    firsts = [_first(voice.distinct()) for voice in voices]
    table: dict[str, list[str]] = {
        role: [] for role in ("text", "audio", "shown", *LANGUAGES, "language", "spoken", "split")
    }
    for split, count in rows.items():
        members = [int(row) for row in stamps.splits[split] if named[row]]
        heard = []
        for language, voice, first in zip(LANGUAGES, voices, firsts, strict=True):
            there = [int(row) for row in stamps.splits[split] if voice.present[row] and first[row] == row]
            kept = Draws("three-names", split, language).shuffled(len(there))[: recordings[split]]
            heard.append([there[place] for place in kept])
        for row in range(count):
            draws = Draws("three-names", split, row)
            which = row % len(LANGUAGES)
            chosen = _different(members, groups, draws, len(LANGUAGES), ())
            (spoken,) = _different(heard[which], groups, draws, 1, groups[chosen])
            table["text"].append(" ".join(str(caption[stamp]) for caption, stamp in zip(captions, chosen, strict=True)))
            table["audio"].append(_copy(Path(voices[which][spoken]), LANGUAGES[which], stamps.ids[spoken], made))
            table["shown"].append(stamps.ids[chosen[which]])
            for language, stamp in zip(LANGUAGES, chosen, strict=True):
                table[language].append(stamps.ids[stamp])
            table["language"].append(LANGUAGES[which])
            table["spoken"].append(stamps.ids[spoken])
            table["split"].append(split)
    shown = sorted({stamp for language in LANGUAGES for stamp in table[language]})
    number = {id: place for place, id in enumerate(stamps.ids)}
    art = stamps["image"]
    assert isinstance(art, ImageColumn)
    pixels = np.stack([_small(art_of(art, number[stamp])) for stamp in shown])
    np.save(made / "pixels.npy", pixels, allow_pickle=False)
    split_of = np.array(table.pop("split"))
    write_rows(
        made / "rows.parquet",
        {**table, "picture": [shown.index(stamp) for stamp in table["shown"]]},
        # Rows of a split have stamps and recordings in common, rows of two splits none.
        groups=np.unique(split_of, return_inverse=True)[1],
        splits={split: np.flatnonzero(split_of == split) for split in rows},
    )


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    pixels = np.load(folder / "pixels.npy", allow_pickle=False)
    stamps = sorted({stamp for role in ("shown", *LANGUAGES) for stamp in table[role].to_pylist()})
    codes = {stamp: code for code, stamp in enumerate(stamps)}

    def which(column: str) -> LabelColumn:
        return LabelColumn(np.array([codes[stamp] for stamp in table[column].to_pylist()], np.int64), stamps)

    return Collection(
        {
            "image": ImageColumn(pixels[np.asarray(table["picture"], np.int64)]),
            "text": TextColumn(table["text"]),
            "audio": AudioColumn(table["audio"].to_pylist(), root=folder),
            "label": which("shown"),
            **{f"label:among-{language}": which(language) for language in LANGUAGES},
            "label:language": label_of(table, "language"),
            "label:spoken": label_of(table, "spoken"),
        },
        name=name,
        splits=splits_of(table),
        groups=groups_of(table),
    )


def _first(contents: np.ndarray) -> np.ndarray:
    """For each row the first row with the same content."""
    _, first, inverse = np.unique(contents, return_index=True, return_inverse=True)
    return first[inverse]


def _different(
    members: Sequence[int], groups: np.ndarray, draws: Draws, count: int, without: Sequence[int] | np.ndarray
) -> list[int]:
    """So many members, each of a group of its own, and none of some groups."""
    taken, chosen = set(map(int, without)), list[int]()
    while len(chosen) < count:
        member = members[draws.whole(len(members))]
        if int(groups[member]) not in taken:
            taken.add(int(groups[member]))
            chosen.append(member)
    return chosen


def _copy(recording: Path, language: str, stamp: str, made: Path) -> str:
    kept = Path("recordings", language, stamp).with_suffix(".ogg")
    if not (made / kept).exists():
        (made / kept).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(recording, made / kept)
    return kept.as_posix()


def _small(art: Image.Image) -> np.ndarray:
    """A stamp on white paper, uint8 ``(SIDE, SIDE, 3)``."""
    scale = SIDE / max(art.size)
    small = art.resize([max(1, round(edge * scale)) for edge in art.size], Image.Resampling.BOX)  # type: ignore[arg-type]
    ground = Image.new("RGBA", (SIDE, SIDE), "white")
    ground.alpha_composite(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return np.asarray(ground.convert("RGB"))
