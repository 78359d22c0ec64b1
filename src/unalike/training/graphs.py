"""How a graph is learned from: whole where it fits into one batch, and its influence matrix beside each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from unalike import pairing
from unalike.encoders import NodeMLP, Nodes, projector
from unalike.errors import SettingsError
from unalike.training.batch import Inputs
from unalike.training.embedding import embed_inputs
from unalike.training.learner import Task
from unalike.training.order import Order, ShuffledOrder
from unalike.training.stages import Stage

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGE = 10_000
"""Nodes above which rarer walks are left out, or the walks of a large graph would outgrow the memory."""


class WholeGraph:
    """One batch with all nodes an epoch, always in the same order.

    Args:
        rows: number of nodes.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The one batch, int64 ``(rows,)``."""
        yield np.arange(self.rows)


def graph_order(inputs: Inputs, batch_size: int, seed: int) -> Order:
    """The whole graph where a batch holds it, else parts drawn at random, each with the edges among its nodes.

    Example:
        >>> import numpy as np
        >>> from unalike.training import Inputs, Rows
        >>> from unalike.training.graphs import graph_order
        >>> inputs = Inputs({"graph": Rows(None, np.arange(6))})
        >>> len(graph_order(inputs, 6, 0)), len(graph_order(inputs, 2, 0))
        (1, 3)
    """
    if batch_size >= len(inputs):
        return WholeGraph(len(inputs))
    return ShuffledOrder(len(inputs), batch_size, seed)


class Influence:
    """The influence matrix of a batch's graph, kept as long as the batches are of the same nodes.

    Args:
        hops: longest walk.
        cumulative: whether walks of all lengths count, or the longest alone.
        random_edges: share of edges that are added at random, the same ones for the same nodes.
    """

    def __init__(self, hops: int, *, cumulative: bool = True, random_edges: float = 0.0) -> None:
        self.hops, self.cumulative, self.random_edges = hops, cumulative, random_edges
        self._rows: np.ndarray | None = None
        self._found: Tensor | None = None

    def __call__(self, nodes: Nodes) -> Tensor:
        """Sparse ``(B, B)``; see `unalike.pairing.influence`."""
        if self._found is None or self._rows is None or not np.array_equal(self._rows, nodes.rows):
            graph = disturbed(nodes, self.random_edges)
            least = 1e-3 if len(nodes) <= LARGE else 1e-2
            found = pairing.influence(graph, self.hops, cumulative=self.cumulative, least=least)
            self._rows, self._found = nodes.rows, pairing.as_tensor(found, nodes.features.device)
        return self._found


def disturbed(nodes: Nodes, random_edges: float) -> csr_array:
    """The edges among some nodes, scipy ``(B, B)``, with a share of random ones added; the same ones each time."""
    generator = torch.Generator().manual_seed(int(nodes.rows.sum()) % 2**31)
    return pairing.with_random_edges(nodes.adjacency, random_edges, generator)


def node_parts(task: Task, clusters: int) -> tuple[NodeMLP, str, nn.Module, pairing.StudentClusters]:
    """What systems that cluster nodes are made of: encoder, role of the graph, decoder and clusters.

    Args:
        task: has an encoder of nodes; with labels it tells how many classes there are.
        clusters: how many; 0 takes the number of classes, or 10 without labels.

    Raises:
        SettingsError: the encoder reads no nodes.
    """
    encoder, role = task.encoders["graph"], task.roles["graph"][0]
    if not isinstance(encoder, NodeMLP):
        raise SettingsError(f"nodes are clustered by an encoder of nodes; given: {encoder.describe()}")
    decoder = projector(encoder.width, encoder.hidden, encoder.features, batch_norm=False)
    return encoder, role, decoder, pairing.StudentClusters(clusters or task.classes or 10, encoder.width)


def autoencoding(encoder: NodeMLP, decoder: nn.Module, role: str, *, share: float) -> Stage:
    """The stage that comes first where vectors of nodes are clustered: an autoencoder of their features.

    Args:
        encoder: of nodes; trained with the module of the name ``decoder``.
        decoder: from vectors back to features.
        role: of the graph.
        share: of all steps.
    """

    def loss(nodes: Nodes) -> Tensor:
        return nn.functional.mse_loss(decoder(encoder(nodes).vector), nodes.features)

    return Stage(
        share=share,
        views=lambda batch, generator: batch.role(role),
        loss=loss,
        order=graph_order,
        trains=("encoder", "decoder"),
    )


def clustering(
    encoder: NodeMLP,
    decoder: nn.Module,
    clusters: pairing.StudentClusters,
    role: str,
    *,
    pretraining: float,
    views: Callable[..., Any],
    loss: Callable[[Any], Tensor],
) -> tuple[Stage, Stage]:
    """The stages of a system that clusters nodes: an autoencoder, then its own loss.

    The clusters begin where k-means finds them in the autoencoder's vectors; their targets follow once an epoch.

    Args:
        encoder: of nodes; trained with the modules that the learner has beside it.
        decoder: from vectors back to features.
        clusters: of the vectors.
        role: of the graph.
        pretraining: share of the autoencoder of all steps.
        views: of the second stage.
        loss: of the second stage.
    """

    def vectors(inputs: Inputs) -> Tensor:
        return embed_inputs(inputs, role, encoder)

    return (
        autoencoding(encoder, decoder, role, share=pretraining),
        Stage(
            share=1 - pretraining,
            views=views,
            loss=loss,
            order=graph_order,
            begin=lambda inputs: clusters.begin(vectors(inputs)),
            before_epoch=lambda number, inputs: clusters.refresh(vectors(inputs)),
        ),
    )
