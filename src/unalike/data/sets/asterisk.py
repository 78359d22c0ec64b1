"""Asterisk's telephone prompts: the same sentences spoken in five languages, with what is said."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import Column
from unalike.data.media import AudioColumn
from unalike.data.sets.stored import columns_of, groups_of, splits_of, write_rows


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    spoken: dict[str, dict[str, str]] = {}
    written: dict[str, dict[str, str]] = {}
    for source in sources:
        for path in source.glob("usr/share/doc/*/core-sounds-*.txt.gz"):
            written[path.name.removeprefix("core-sounds-")[:2]] = _transcripts(path)
        for voice in source.glob("usr/share/asterisk/sounds/*"):
            spoken[voice.name[:2]] = _recordings(voice, made)
    prompts = sorted({prompt for recordings in spoken.values() for prompt in recordings})
    columns: dict[str, pa.Array | Sequence] = {"id": prompts}
    for locale in sorted(spoken):
        columns[f"audio:{locale}"] = pa.array([spoken[locale].get(prompt) for prompt in prompts], pa.string())
        # What is written down but was never recorded is of no use here.
        texts = [written[locale].get(prompt) if prompt in spoken[locale] else None for prompt in prompts]
        columns[f"text:{locale}"] = pa.array(texts, pa.string())
    # Prompts that say the same in English, such as "goodbye" and its copy for voice mail, stay together.
    said = [written["en"].get(prompt, prompt).lower() for prompt in prompts]
    write_rows(made / "rows.parquet", columns, groups=np.unique(said, return_inverse=True)[1])


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    spoken: dict[str, Column] = {
        column: AudioColumn(table[column].to_pylist(), root=folder)
        for column in table.column_names
        if column.startswith("audio:")
    }
    columns = spoken | columns_of(table)
    return Collection(columns, name=name, ids=table["id"].to_pylist(), splits=splits_of(table), groups=groups_of(table))


def _transcripts(path: Path) -> dict[str, str]:
    """What is said in each prompt: lines such as ``digits/1: one``, comments begin with a semicolon."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line and not line.startswith(";")]
    return {prompt.strip(): said.strip() for prompt, said in pairs if said.strip()}


def _recordings(voice: Path, made: Path) -> dict[str, str]:
    kept = {}
    for path in sorted(voice.rglob("*.wav")):
        target = Path("recordings", voice.name[:2], path.relative_to(voice))
        (made / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, made / target)
        kept[path.relative_to(voice).with_suffix("").as_posix()] = target.as_posix()
    return kept
