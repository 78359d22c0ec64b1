"""Graphs: nodes with features, and which of them are joined."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unalike.data import tables
from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, Column, ImageColumn, Indices, LabelColumn, TextColumn
from unalike.errors import DataError, MissingExtra, SettingsError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROLES = ("nodes", "edges", "features")
"""What `gather` is told of a graph: the table of its nodes, its edges, and which roles are the nodes' features."""

TOLERANCE = 0.01
"""Share of the edges that may name a node which is not there; they are left out and counted."""

ENDS = (("source", "target"), ("from", "to"), ("src", "dst"))
"""Names of the two columns of a table of edges; without such the first two columns are taken."""


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
    table: tables.Table | None = tables.memory_table(edges)
    if table is None and isinstance(edges, str | Path) and Path(edges).is_file():
        table = tables.open_table(Path(edges), encoding)
    if table is None:
        raise DataError(
            f"{edges} is no table of edges; expected a .csv, .tsv, .parquet or .jsonl file with two columns of ids, or "
            "knn:K for the K nearest neighbours of each row"
        )
    names = list(table.columns)
    ends = next((pair for pair in ENDS if set(pair) <= set(names)), tuple(names[:2]))
    if len(ends) != 2:
        raise DataError(f"{edges} has the columns {', '.join(names) or '(none)'}; edges have two columns of ids")
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

    table: tables.Table | None = tables.memory_table(nodes)
    if table is None and isinstance(nodes, str | Path) and Path(nodes).is_file():
        table = tables.open_table(Path(nodes), encoding)
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


def from_pyg(data: Any, *, name: str = "graph") -> Collection:
    """A collection out of a `torch_geometric.data.Data`: ``x`` as features, ``edge_index``, ``y`` and the masks.

    Raises:
        DataError: it has no features, or no edges.
    """
    if data.x is None or data.edge_index is None:
        raise DataError("a Data object needs x, the features of its nodes, and edge_index; one of them is missing")
    splits = {
        split: np.flatnonzero(np.asarray(mask))
        for split, mask in (("train", data.get("train_mask")), ("validation", data.get("val_mask")),
                            ("test", data.get("test_mask")))
        if mask is not None and np.asarray(mask).ndim == 1
    }  # fmt: skip
    columns: dict[str, Column] = {"array": ArrayColumn(np.asarray(data.x))}
    if data.y is not None and np.asarray(data.y).ndim == 1:
        columns["label"] = LabelColumn.from_values(np.asarray(data.y).tolist())
    return with_graph(Collection(columns, name=name, splits=splits), np.asarray(data.edge_index).T)


def to_pyg(collection: Collection) -> Any:
    """The first graph of a collection as a `torch_geometric.data.Data` with both directions of each edge.

    Raises:
        DataError: there is no graph, or its nodes have no numbers.
        MissingExtra: PyTorch Geometric is not installed (``pip install 'unalike[graph]'``).
    """
    try:
        from torch_geometric.data import Data
    except ImportError as error:
        raise MissingExtra("PyTorch Geometric", "graph") from error
    import torch

    graph = next((collection[role] for role in collection.roles("graph")), None)
    arrays = [] if not isinstance(graph, GraphColumn) else [c for c in graph.features.values() if c.kind == "array"]
    if not isinstance(graph, GraphColumn) or not arrays:
        raise DataError(f"{collection.name} has no graph whose nodes have numbers; Data objects hold such")
    values = np.concatenate([column.values for column in arrays if isinstance(column, ArrayColumn)], axis=1)
    pairs = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    found = Data(x=torch.from_numpy(values.copy()), edge_index=torch.from_numpy(pairs.T.copy()))
    if collection.label is not None:
        found.y = torch.from_numpy(collection.label.codes.copy())
    for split, key in (("train", "train_mask"), ("validation", "val_mask"), ("test", "test_mask")):
        if split in collection.splits:
            mask = torch.zeros(len(collection), dtype=torch.bool)
            mask[torch.from_numpy(collection.splits[split])] = True
            found[key] = mask
    return found
