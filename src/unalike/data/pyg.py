"""Graphs of PyTorch Geometric, in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unalike.data.collection import Collection
from unalike.data.columns import ArrayColumn, Column, LabelColumn
from unalike.data.graphs import GraphColumn, with_graph
from unalike.errors import DataError, MissingExtra

if TYPE_CHECKING:
    pass


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
