"""Descriptions as documents and queries: one document of each source, and none in two splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unalike.data.sets import descriptions
from unalike.data.sets.stored import write_rows


def test_one_document_of_each_source(tmp_path: Path) -> None:
    long = [" ".join(f"word{row}-{n}" for n in range(count)) for row, count in enumerate([20, 30, 19, 25, 40, 22])]
    long[5] = long[3].replace(" ", "\n").upper()  # the same words, set otherwise, of another source
    write_rows(
        tmp_path / "rows.parquet",
        {
            "id": list("abcdef"),
            "section": ["doc"] * 6,
            "text:en": ["one", "two", "three", "four", None, "six"],
            "text:en-body": long,
        },
        groups=np.array([0, 0, 1, 2, 2, 3]),
        splits={"train": np.array([0, 1, 2, 5]), "test": np.array([3, 4])},
    )
    (tmp_path / "release.json").write_text('{"version": "1", "codename": "x"}', encoding="utf-8")
    found = descriptions.open_set("descriptions", tmp_path)
    # b is the longest of its source; c is too short; e is longer than d, but nothing asks for it; f says what d says.
    assert list(found.ids) == ["b", "d"]
    assert [found["text:query"][row] for row in range(2)] == ["two", "four"]
    assert {name: rows.tolist() for name, rows in found.splits.items()} == {"train": [0], "test": [1]}
    assert found.groups is not None and len(set(found.groups.tolist())) == 2
