"""Graphs: nodes with features, and which of them are joined."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from unalike.data import tables
from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, Column, ImageColumn, Indices, TextColumn
from unalike.data.edges import TOLERANCE, nearest_neighbours, read_edges
from unalike.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROLES = ("nodes", "edges", "features")
"""What `gather` is told of a graph: the table of its nodes, its edges, and which roles are the nodes' features."""


class GraphColumn(Column):
    """One row a node: its features, and its edges to other rows, without direction.

    Rows chosen out of a graph (`select`) keep the edges among them alone, so that a training split's graph knows no
    held-out node.

    Args:
        edges: integers ``(E, 2)``, row numbers of joined nodes. Direction, repeats and loops are dropped.
        features: columns of one row a node: numbers, texts or pictures.

    Raises:
        DataError: no features, features of different lengths, or an edge to a row that is not there.

    Example:
        >>> import numpy as np
        >>> from unalike.data import ArrayColumn
        >>> from unalike.data.graphs import GraphColumn
        >>> graph = GraphColumn(np.array([[0, 1], [1, 0], [1, 2], [2, 2]]), {"array": ArrayColumn(np.eye(4))})
        >>> graph.edges.tolist(), graph.degrees.tolist(), graph.select([2, 1]).edges.tolist()
        ([[0, 1], [1, 2]], [1, 2, 1, 0], [[0, 1]])
    """

    kind = "graph"

    def __init__(self, edges: np.ndarray, features: Mapping[str, Column]) -> None:
        lengths = {role: len(column) for role, column in features.items()}
        if len(set(lengths.values())) != 1:
            listed = ", ".join(f"{role} has {length}" for role, length in lengths.items()) or "there are none"
            raise DataError(f"the nodes of a graph have features of one length, one row a node: {listed}")
        self.features = dict(features)
        pairs = np.asarray(edges, np.int64).reshape(-1, 2)
        if len(pairs) and not 0 <= pairs.min() <= pairs.max() < len(self):
            raise DataError(f"an edge joins the rows {pairs.min()} to {pairs.max()}, but there are {len(self)} nodes")
        pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
        self.edges: np.ndarray = np.unique(pairs, axis=0)
        """int64 ``(E, 2)``, each pair once, the smaller row first."""

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))

    def __getitem__(self, index: int) -> dict[str, Any] | None:
        """The features of a node, and the rows of its neighbours."""
        if not self.present[index]:
            return None
        row = self.adjacency[[int(index)]]
        return {role: column[index] for role, column in self.features.items()} | {"neighbours": row.indices.tolist()}

    def select(self, indices: Indices) -> GraphColumn:
        rows = np.asarray(indices, np.int64)
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(rows))
        inside = place[self.edges]
        features = {role: column.select(rows) for role, column in self.features.items()}
        return GraphColumn(inside[(inside >= 0).all(axis=1)], features)

    def cut(self, parts: np.ndarray) -> GraphColumn:
        """Without the edges that join nodes of different parts, integers ``(N,)``."""
        return GraphColumn(self.edges[parts[self.edges[:, 0]] == parts[self.edges[:, 1]]], self.features)

    @cached_property
    def adjacency(self) -> csr_array:
        """Symmetric scipy matrix ``(N, N)``, float32, 1 where two nodes are joined, no loops."""
        from scipy.sparse import coo_array

        rows, columns = np.concatenate([self.edges, self.edges[:, ::-1]]).T
        return coo_array((np.ones(len(rows), np.float32), (rows, columns)), (len(self), len(self))).tocsr()

    @property
    def degrees(self) -> np.ndarray:
        """Int64 ``(N,)``: how many neighbours each node has."""
        return np.bincount(self.edges.reshape(-1), minlength=len(self))

    @cached_property
    def _present(self) -> np.ndarray:
        return np.any([column.present for column in self.features.values()], axis=0)

    @property
    def present(self) -> np.ndarray:
        return self._present

    def fingerprint(self) -> str:
        hasher = hashlib.blake2b(b"graph", digest_size=16)
        for role, column in sorted(self.features.items()):
            hasher.update(f"{role} {column.fingerprint()}\n".encode())
        hasher.update(self.edges.astype("<i8").tobytes())
        return hasher.hexdigest()

    def distinct(self) -> np.ndarray:
        """Every node is its own: equal features do not make two nodes one."""
        return np.where(self.present, np.cumsum(self.present) - 1, -1)


def with_loops(adjacency: csr_array, *, symmetric: bool = False) -> csr_array:
    """A graph with an edge from each node to itself, normalised: each row sums to 1, or symmetrically as in a GCN."""
    from scipy.sparse import diags_array, eye_array

    loops = (adjacency + eye_array(adjacency.shape[0], dtype=np.float32)).tocsr()
    degrees = np.asarray(loops.sum(axis=1), np.float32).reshape(-1)
    if symmetric:
        scale = diags_array(degrees**-0.5)
        return (scale @ loops @ scale).tocsr()
    return (diags_array(1 / degrees) @ loops).tocsr()


def with_graph(
    collection: Collection,
    edges: Any,
    *,
    features: Sequence[str] = (),
    encoding: str | None = None,
    tolerance: float = TOLERANCE,
) -> Collection:
    """Add the role ``graph``: the rows of a collection as nodes.

    Args:
        collection: one row a node; its ids are what the edges name.
        edges: a CSV, TSV, Parquet or JSON lines file, or such a table in memory, with two columns of ids; integers
            ``(E, 2)`` of row numbers; or ``"knn:3"``, which joins each row to the three rows of most alike features, of
            the same split where there are splits.
        features: the roles that describe a node; those of numbers, else texts, else pictures unless given.
        encoding: of a text file, if it is not UTF-8.
        tolerance: share of the edges that may name a node which is not there.

    Returns:
        The collection with ``graph``; loops, repeats, lost edges and nodes without an edge are counted in its notes.

    Raises:
        DataError: no edges, too many edges to nodes that are not there, or no features.

    Example:
        >>> import pyarrow as pa
        >>> from unalike.data import Collection, TextColumn
        >>> from unalike.data.graphs import with_graph
        >>> nodes = Collection({"text": TextColumn(["red", "blue", "sea"])}, name="words", ids=["a", "b", "c"])
        >>> graph = with_graph(nodes, pa.table({"from": ["a", "b"], "to": ["b", "b"]}))
        >>> graph["graph"].edges.tolist(), graph.notes[0]
        ([[0, 1]], '1 of 2 edges joins a node to itself and is left out')
    """
    roles = list(features) or suggested_features(collection)
    columns = {role: collection[role] for role in roles}
    wrong = [role for role, column in columns.items() if not isinstance(column, ArrayColumn | TextColumn | ImageColumn)]
    if wrong or not columns:
        raise DataError(
            f"nodes are described by numbers, texts or pictures; {collection.name} has {', '.join(collection.columns)}"
            + (f", and {', '.join(wrong)} was asked for" if wrong else "")
        )
    notes: list[str] = []
    nearest = re.fullmatch(r"knn:(\d+)", edges) if isinstance(edges, str) else None
    if nearest:
        pairs = nearest_neighbours(columns, int(nearest[1]), collection.splits)
    else:
        pairs, notes = read_edges(collection, edges, encoding, tolerance)
    graph = GraphColumn(pairs, columns)
    if not len(graph.edges):
        told = "".join(f"; {note}" for note in notes)
        raise DataError(
            f"the graph of {collection.name} has no edges, so that there is nothing to learn from it{told}. Give edges "
            "between two nodes, or join each to its nearest neighbours (--edges knn:3 beside the table of nodes)"
        )
    alone = int((graph.degrees == 0).sum())
    if alone:
        notes.append(f"{alone:,} of {len(graph):,} nodes have no edge; they are learned from by their features alone")
    return collection.with_columns({"graph": graph}).replace(notes=(*collection.notes, *notes))


def suggested_features(collection: Collection) -> list[str]:
    """The roles of numbers, else of texts (English ones where there are many languages), else of pictures."""
    for kind in ("array", "text", "image"):
        roles = [role for role in collection.roles(kind) if role != "array:target"]
        if roles:
            english = [role for role in roles if role == "text" or role.startswith("text:en")]
            return english or roles
    return []


def separated(collection: Collection) -> Collection:
    """Take the edges between splits out of every graph, so that no training graph knows a held-out node.

    Example:
        >>> import numpy as np
        >>> from unalike.data import ArrayColumn, Collection
        >>> from unalike.data.graphs import GraphColumn, separated
        >>> graph = GraphColumn(np.array([[0, 1], [1, 2]]), {"array": ArrayColumn(np.eye(3))})
        >>> line = Collection({"graph": graph}, name="line", splits={"train": [0, 1], "test": [2]})
        >>> separated(line)["graph"].edges.tolist()
        [[0, 1]]
    """
    parts = np.full(len(collection), -1)
    for number, rows in enumerate(collection.splits.values()):
        parts[rows] = number
    columns: dict[str, Column] = {}
    notes = []
    for role in collection.roles("graph"):
        whole = collection[role]
        assert isinstance(whole, GraphColumn)
        columns[role] = cut = whole.cut(parts)
        lost = len(whole.edges) - len(cut.edges)
        if not len(cut.edges):
            raise DataError(f"no edge of {collection.name} lies inside a split; hold fewer nodes out (--holdout)")
        if lost:
            notes.append(f"{lost:,} of {len(whole.edges):,} edges join nodes of two splits and are left out")
    return collection.with_columns(columns).replace(notes=(*collection.notes, *notes)) if columns else collection


def open_nodes(
    nodes: Any,
    *,
    roles: Mapping[str, str] | None = None,
    label: str | None = None,
    id: str | None = None,
    encoding: str | None = None,
    **options: Any,
) -> Collection:
    """A table with one node a row; columns that are not named play the role that their type suggests.

    A column ``id`` names the nodes, a column ``label`` is their class; further columns of numbers are features, and
    those of strings are texts, unless roles are given. The other arguments are those of `unalike.data.open_collection`.
    """
    from unalike.data.readers import open_collection

    table = tables.table_of(nodes, encoding)
    chosen = dict(roles or {})
    if table is not None:
        types = dict(table.columns)
        id = "id" if id is None and "id" in types else id
        label = "label" if label is None and "label" in types and "label" not in chosen else label
        if not chosen:
            rest = {name: each for name, each in types.items() if name not in (id, label, options.get("group"))}
            numbers = [n for n, t in rest.items() if pa.types.is_integer(t) or pa.types.is_floating(t)]
            texts = [n for n, t in rest.items() if pa.types.is_string(t) or pa.types.is_large_string(t)]
            chosen |= {"array": ",".join(numbers)} if numbers else {}
            chosen |= {"text" if len(texts) == 1 or name == "text" else f"text:{name}": name for name in texts}
    return open_collection(nodes, roles=chosen or None, label=label, id=id, encoding=encoding, **options)
