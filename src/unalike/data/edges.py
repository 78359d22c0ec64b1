"""Edges of a graph: read from a table, or found among the nearest rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unalike.data import tables
from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, Column, ImageColumn
from unalike.data.wording import few
from unalike.errors import DataError, SettingsError

if TYPE_CHECKING:
    pass

TOLERANCE = 0.01
"""Share of the edges that may name a node which is not there; they are left out and counted."""


ENDS = (("source", "target"), ("from", "to"), ("src", "dst"))
"""Names of the two columns of a table of edges; without such the first two columns are taken."""


def read_edges(
    collection: Collection, edges: Any, encoding: str | None, tolerance: float
) -> tuple[np.ndarray, list[str]]:
    """Pairs of row numbers, int64 ``(E, 2)``, and what was left out."""
    if isinstance(edges, np.ndarray):
        pairs = np.asarray(edges)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise DataError(f"edges {pairs.shape} of {pairs.dtype}; expected two row numbers each, (E, 2)")
        pairs = np.where((pairs >= 0) & (pairs < len(collection)), pairs, -1).astype(np.int64)
        named = [[str(each) for each in side] for side in np.asarray(edges).T]
    else:
        ids = pa.array(collection.ids, pa.large_string())
        sides = _two_columns(edges, encoding)
        pairs = np.stack([np.asarray(pc.fill_null(pc.index_in(side, ids), -1), np.int64) for side in sides], axis=1)
        named = [side.to_pylist() for side in sides]
    notes = []
    lost: np.ndarray = np.asarray((pairs < 0).any(axis=1))
    if lost.any():
        row = int(np.argmax(lost))
        missing = named[int(pairs[row, 0] >= 0)][row]
        what = f"{int(lost.sum()):,} of {len(pairs):,} edges name a node that is not there, such as {missing!r}"
        if lost.mean() > tolerance:
            raise DataError(
                f"{what}; ids of the nodes look like {collection.ids[0]!r}. Name the nodes' column of ids with --id "
                f"COLUMN, or raise the tolerance (up to {tolerance:.1%} are left out)"
            )
        notes.append(f"{what}; left out")
    pairs = pairs[~lost]
    loops = int((pairs[:, 0] == pairs[:, 1]).sum())
    if loops:
        joins = "joins a node to itself and is" if loops == 1 else "join a node to itself and are"
        notes.append(f"{loops:,} of {len(lost):,} edges {joins} left out")
    repeats = len(pairs) - len(np.unique(pairs, axis=0))
    if repeats:
        notes.append(f"{repeats:,} of {len(lost):,} edges are there more than once and count once")
    return pairs, notes


def _two_columns(edges: Any, encoding: str | None) -> list[pa.Array]:
    """The ids at both ends, as strings."""
    table = tables.table_of(edges, encoding)
    if table is None:
        raise DataError(
            f"{edges} is no table of edges; expected a .csv, .tsv, .parquet or .jsonl file with two columns of ids, or "
            "knn:K for the K nearest neighbours of each row"
        )
    names = list(table.columns)
    ends = next((pair for pair in ENDS if set(pair) <= set(names)), tuple(names[:2]))
    if len(ends) != 2:
        raise DataError(f"{edges} has the columns {few(names)}; edges have two columns of ids")
    read = table.read(dict.fromkeys(ends, "anything"))
    return [_ids(read[name]) for name in ends]


def _ids(values: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_floating(values.type):  # whole numbers with gaps arrive as floats
        values = values.cast(pa.int64())
    array = values.cast(pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def nearest_neighbours(columns: Mapping[str, Column], count: int, splits: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pairs of each row and its nearest rows of the same split, int64 ``(E, 2)``.

    Raises:
        DataError: the features are no numbers or pictures, or there are fewer rows than neighbours.
        SettingsError: no neighbour is asked for.
    """
    from sklearn.neighbors import NearestNeighbors

    if count < 1:
        raise SettingsError(f"got knn:{count}; expected at least 1 neighbour")
    parts = []
    for column in columns.values():
        if not isinstance(column, ArrayColumn | ImageColumn):
            raise DataError("nearest neighbours are found among numbers or pictures; give edges for texts as a file")
        values = column.values if isinstance(column, ArrayColumn) else small_pictures(column)
        values = np.where(column.present[:, None], values, 0)
        parts.append((values - values.mean(0)) / max(float(values.std()), 1e-12))
    values = np.concatenate(parts, axis=1)
    inside = np.concatenate([*splits.values()]) if splits else np.arange(0)
    rest = np.setdiff1d(np.arange(len(values)), inside)
    found = []
    for rows in (*splits.values(), rest):
        if not len(rows):
            continue
        if len(rows) <= count:
            raise DataError(f"{count} nearest neighbours among {len(rows)} rows; give more rows or fewer neighbours")
        near = NearestNeighbors(n_neighbors=count).fit(values[rows]).kneighbors(return_distance=False)
        found.append(np.stack([np.repeat(rows, count), rows[near.reshape(-1)]], axis=1))
    return np.concatenate(found)


def small_pictures(column: ImageColumn, size: int = 16) -> np.ndarray:
    """Float32 ``(N, size * size)``: pictures as grey pixels from 0 to 1, zeros where one is missing."""
    from PIL import Image

    found = np.zeros((len(column), size * size), np.float32)
    for row in np.flatnonzero(column.present):
        whole = column[int(row)]
        assert whole is not None, "present rows have a picture"
        picture = whole.convert("L").resize((size, size), Image.Resampling.BICUBIC)
        found[row] = np.asarray(picture, np.float32).reshape(-1) / 255
    return found
