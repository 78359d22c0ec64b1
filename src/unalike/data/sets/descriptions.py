"""Debian's packages as documents to search: the long description is the document, the short one asks for it.

One package of each source, that with the longest description, since packages of one source share most of their text.
Documents of few words say too little to be found by, and one that two sources share is kept once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unalike.data.collection import Collection
from unalike.data.columns import TextColumn
from unalike.data.sets.debian import convert as convert
from unalike.data.sets.debian import open_set as open_debian

LEAST_WORDS = 20


def open_set(name: str, folder: Path) -> Collection:
    debian = open_debian("debian", folder)
    documents, queries = debian["text:en-body"], debian["text:en"]
    assert isinstance(documents, TextColumn) and isinstance(queries, TextColumn) and debian.groups is not None
    words = [(text or "").lower().split() for text in documents]
    longest: dict[int, int] = {}
    for row in np.flatnonzero(queries.present).tolist():
        group = int(debian.groups[row])
        if len(words[row]) >= max(LEAST_WORDS, len(words[longest[group]]) + 1 if group in longest else 0):
            longest[group] = row
    wordings: dict[str, int] = {}
    for row in sorted(longest.values()):
        wordings.setdefault(" ".join(words[row]), row)
    rows = np.array(list(wordings.values()), np.int64)
    columns = {"text": documents, "text:query": queries, "label": debian["label"]}
    whole = Collection(
        columns, name=name, ids=debian.ids, splits=debian.splits, groups=debian.groups, notes=debian.notes
    )
    return whole.select(rows)
