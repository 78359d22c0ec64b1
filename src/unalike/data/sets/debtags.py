"""The tags of Debian's packages by their descriptions: hundreds of tags, several a package, most of them rare."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from unalike.data.collection import Collection
from unalike.data.columns import TextColumn
from unalike.data.labels import LabelsColumn
from unalike.data.sets.stored import groups_of, splits_of, write_rows

LEAST_WORDS = 8
"""Words of a paragraph that make it tell: packages that share one are taken for one family."""
UNDECIDED = ("TODO", "invalid-tag")
"""Tags that say that a tag is missing."""


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    table = pq.read_table(sources[0] / "rows.parquet", columns=["id", "tags", "group", "text:en", "text:en-body"])
    write(table, made)


def write(table: pa.Table, made: Path) -> None:
    """The packages of `debian` that have tags and an English description, in groups that hold near-duplicates."""
    tags = [tags_of(each) for each in table["tags"].to_pylist()]
    bodies = table["text:en-body"].to_pylist()
    synopses = table["text:en"].to_pylist()
    kept = [row for row, own in enumerate(tags) if own and synopses[row]]
    texts = [f"{synopses[row]}\n{bodies[row] or ''}".strip() for row in kept]
    sources = np.asarray(table["group"])[kept]
    columns: Mapping[str, pa.Array] = {
        "id": pa.array([table["id"][row].as_py() for row in kept]),
        "text": pa.array(texts),
        "labels": pa.array([tags[row] for row in kept], pa.list_(pa.string())),
    }
    groups = families(sources, [table["id"][row].as_py() for row in kept], [bodies[row] or "" for row in kept])
    write_rows(made / "rows.parquet", columns, groups=groups)


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    return Collection(
        {"text": TextColumn(table["text"]), "labels": LabelsColumn.from_values(table["labels"].to_pylist())},
        name=name,
        ids=table["id"].to_pylist(),
        splits=splits_of(table),
        groups=groups_of(table),
    )


def tags_of(joined: str | None) -> list[str]:
    """The tags of a package, those left out that only say that one is missing."""
    tags = [tag.strip() for tag in (joined or "").split(",")]
    return sorted({tag for tag in tags if tag and tag.rpartition("::")[2] not in UNDECIDED})


def families(sources: np.ndarray, names: Sequence[str], bodies: Sequence[str]) -> np.ndarray:
    """Int64 ``(N,)``: one number for packages that tell much the same.

    Those are packages of one source; packages whose names differ in numbers alone (``gcc-11``, ``gcc-12``), which are
    of several sources; and packages that share a paragraph of some length, numbers aside. What is linked by others
    counts as one.

    Example:
        >>> families(np.array([0, 1, 2, 1]), ["gcc-11-doc", "gcc-12-doc", "vim", "cpp-12"], [""] * 4).tolist()
        [0, 0, 1, 0]
    """
    links: dict[str, int] = {}
    pairs = []
    for row, (source, name, body) in enumerate(zip(sources.tolist(), names, bodies, strict=True)):
        keys = [f"source {source}", f"name {_without_numbers(name)}"]
        paragraphs = (_without_numbers(part) for part in re.split(r"\n\s*\n", body))
        keys += [f"paragraph {part}" for part in paragraphs if len(part.split()) >= LEAST_WORDS]
        pairs += [(row, links.setdefault(key, len(links))) for key in keys]
    rows, keys_of = np.array(pairs, np.int64).T
    shape = (len(names) + len(links),) * 2
    joined = coo_matrix((np.ones(len(rows), bool), (rows, len(names) + keys_of)), shape=shape)
    return np.unique(connected_components(joined, directed=False)[1][: len(names)], return_inverse=True)[1]


def _without_numbers(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join(re.sub(r"[\W\d_]+", " ", folded).split())
