"""Tux Paint's stamps: pictures with captions in many languages, some of them spoken."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import Column
from unalike.data.media import AudioColumn
from unalike.data.sets.stored import columns_of, groups_of, label_of, locale_of, splits_of, write_rows


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    stamps = sources[0] / "usr/share/tuxpaint/stamps"
    rows = sorted(path.with_suffix("") for path in stamps.rglob("*.txt") if _picture(path.with_suffix("")) is not None)
    captions = [_captions(row.with_suffix(".txt")) for row in rows]
    spoken = [_recordings(row, made) for row in rows]
    columns: dict[str, pa.Array | Sequence] = {
        "id": [row.relative_to(stamps).as_posix() for row in rows],
        "category": [row.relative_to(stamps).parts[0] for row in rows],
        "image": pa.array([_bytes(row.with_suffix(".png")) for row in rows], pa.binary()),
        "svg": pa.array([_bytes(row.with_suffix(".svg")) for row in rows], pa.binary()),
    }
    for locale in sorted({locale for caption in captions for locale in caption}):
        columns[f"text:{locale}"] = pa.array([caption.get(locale) for caption in captions], pa.string())
    for locale in sorted({locale for recordings in spoken for locale in recordings}):
        columns[f"audio:{locale}"] = pa.array([recordings.get(locale) for recordings in spoken], pa.string())
    # Pictures with the same caption, such as ten red roses, stay together.
    groups = np.unique([caption["en"] for caption in captions], return_inverse=True)[1]
    labels = np.unique(np.array(columns["category"]), return_inverse=True)[1]
    write_rows(made / "rows.parquet", columns, groups=groups, labels=labels)


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    spoken: dict[str, Column] = {
        column: AudioColumn(table[column].to_pylist(), root=folder)
        for column in table.column_names
        if column.startswith("audio:")
    }
    columns = columns_of(table) | spoken | {"label": label_of(table, "category")}
    return Collection(columns, name=name, ids=table["id"].to_pylist(), splits=splits_of(table), groups=groups_of(table))


def _picture(row: Path) -> Path | None:
    return next((path for suffix in (".png", ".svg") if (path := row.with_suffix(suffix)).is_file()), None)


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _captions(path: Path) -> dict[str, str]:
    """By language: English on the first line, the others as ``fr.utf8=Une pomme.``"""
    english, *others = path.read_text(encoding="utf-8").splitlines() or [""]
    stated = [("en", english), *(line.split(".utf8=", 1) for line in others if ".utf8=" in line)]
    return {locale_of(code): text.strip() for code, text in stated if text.strip()}


def _recordings(row: Path, made: Path) -> dict[str, str]:
    """Move the recordings of a row to where they are kept, and tell their paths by language.

    ``apple_desc_fr.ogg`` says the caption in French, ``apple_desc.ogg`` in English; ``apple.ogg`` is a sound effect.
    """
    kept = {}
    for path in sorted(row.parent.glob(f"{row.name}*.ogg")):
        said, _, code = path.stem.removeprefix(row.name).partition("_desc")
        if said:  # a recording of another stamp whose name begins alike, or an effect in another language
            continue
        spoken = path.stem != row.name
        # One file ends in .ogg.ogg.
        locale = locale_of(code.removesuffix(".ogg").removeprefix("_") or "en") if spoken else "effect"
        target = Path("recordings", locale, *row.parts[row.parts.index("stamps") + 1 :]).with_suffix(".ogg")
        (made / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, made / target)
        kept[locale] = target.as_posix()
    return kept
