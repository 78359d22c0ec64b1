"""WordNet: meanings of English words, and how they hang together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.columns import Column, TextColumn
from unalike.data.sets.stored import groups_of, label_of, splits_of
from unalike.errors import DataError

TABLES = {"wordnet": {"links": "wordnet-links.parquet"}}


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "wordnet.parquet").combine_chunks()
    examples = table["examples"].chunk(0)
    starts = pa.array(np.asarray(examples.offsets[:-1]), mask=np.asarray(pc.equal(pc.list_value_length(examples), 0)))
    columns: dict[str, Column] = {
        "text": TextColumn(table["definition"]),
        "text:lemmas": TextColumn(pc.binary_join(table["lemmas"], ", ")),
        "text:example": TextColumn(examples.values.take(starts)),
        "label": label_of(table, "lexname"),
    }
    ids = table["id"].to_pylist()
    return Collection(columns, name=name, ids=ids, splits=splits_of(table), groups=groups_of(table))


def wordnet_links(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The links of one kind between the rows of the set ``wordnet``.

    Args:
        kind: such as ``hypernym`` (from a meaning to a wider one), ``antonym`` (both ways), ``similar to``,
            ``part holonym`` (from a part to the whole); the card counts all of them.

    Returns:
        Source and target: row numbers, int64 ``(L,)`` each. Links between two words of a pair of meanings occur once
        for each pair of words; ``open_table("wordnet", "links")`` tells which.

    Raises:
        DataError: there is no such kind.

    Example:
        >>> source, target = wordnet_links("antonym")
        >>> len(source)
        7979
    """
    from unalike.data.opening import open_table

    table = open_table("wordnet", "links")
    kinds = table["kind"].unique().to_pylist()
    if kind not in kinds:
        raise DataError(f"wordnet has no links of the kind {kind!r}; it has {', '.join(kinds)}")
    chosen = table.filter(pc.equal(table["kind"], kind))
    return np.asarray(chosen["source"], np.int64), np.asarray(chosen["target"], np.int64)
