"""Pairs of English words, and how alike people find them: SimLex-999 and WordSim-353."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, TextColumn
from unalike.data.sets.stored import groups_of, label_of, splits_of, write_rows

STUDIES = {"SimLex-999": "simlex999.txt", "WordSim-353": "wordsim353.tsv"}


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    rows = []
    for study, file in STUDIES.items():
        for line in (sources[0] / "gensim/test/test_data" / file).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                one, other, rating = line.split("\t")
                rows.append((one, other, float(rating), study))
    first, second, ratings, studies = zip(*rows, strict=True)
    # The same two words, in either order and in either study, stay in one split.
    pairs = ["\n".join(sorted((a.lower(), b.lower()))) for a, b in zip(first, second, strict=True)]
    groups = np.unique(pairs, return_inverse=True)[1]
    labels = np.unique(studies, return_inverse=True)[1]
    columns = {"first": first, "second": second, "rating": pa.array(ratings, pa.float32()), "study": studies}
    # Nobody learns from so few ratings: they are there to choose by, and to score.
    write_rows(made / "rows.parquet", columns, groups=groups, labels=labels, fractions={"validation": 0.3, "test": 0.7})


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    return Collection(
        {
            "text": TextColumn(table["first"]),
            "text:second": TextColumn(table["second"]),
            "array": ArrayColumn(np.asarray(table["rating"], np.float32)[:, None]),
            "label": label_of(table, "study"),
        },
        name=name,
        splits=splits_of(table),
        groups=groups_of(table),
    )
