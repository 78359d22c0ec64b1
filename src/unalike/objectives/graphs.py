"""Contrast of nodes with their neighbourhood in a graph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from unalike.errors import DataError
from unalike.objectives.checks import positive, same_length
from unalike.objectives.masked import EVERY, mean_where, own
from unalike.objectives.precision import full_precision
from unalike.objectives.score import edge_scores, log_add, score_sums, segment_logsumexp
from unalike.pairing import Edges


@full_precision
def iac(embeddings: Tensor, influence: Tensor, *, scale: float) -> Tensor:
    """IAC, the loss of SCGC: a node's neighbours, weighed by their influence, against all nodes.

    ``-mean_i log [ sum_j A_ij exp(scale s_ij) / sum_j exp(scale s_ij) ]`` with cosines s and s_ii := 0.

    Paper: Kulatilleke, Portmann, Chandra, "SCGC: Self-Supervised Contrastive Graph Clustering", 2022, As in the
    authors' release the cosine of a node with itself is set to zero and stays in both sums.

    Args:
        embeddings: of the nodes ``(N, D)``, any length but zero.
        influence: sparse (COO or CSR) or dense ``(N, N)``, weights at least zero: a power of the row-normalised
            adjacency with self-loops, or the sum of its powers (SCGC*).
        scale: what cosines are multiplied by; 0.25 to 2.25 in the paper, named tau there.

    Data: nodes of a graph, or samples with their nearest neighbours; no labels. Nodes without a neighbour do not count.
    Cost: 4 N^2 D flops and O(edges D); memory O(N D + edges).

    Raises:
        DataError: the graph does not fit the nodes. SettingsError: scale is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import iac
        >>> nodes, loops = torch.eye(3), torch.eye(3)
        >>> round(float(iac(nodes, loops, scale=1.0)), 4)  # all cosines count as zero: log 3
        1.0986
    """
    positive(scale=scale)
    vectors = normalize(embeddings, dim=1)
    near, found = _neighbourhood(vectors, influence, scale)
    others = score_sums(vectors, temperature=1 / scale).negative
    every = log_add(others, torch.zeros_like(others))
    return mean_where(every - torch.where(found, near, 0), found).to(embeddings.dtype)


@full_precision
def pamc(embeddings: Tensor, influence: Tensor, clusters: Tensor, *, scale: float) -> Tensor:
    """PAMC: a node's neighbours against meta-nodes, one for each cluster, instead of against all nodes.

    ``-mean_i log sum_j A_ij exp(scale s_ij) + mean_k log sum_l exp(scale cos(c_k, c_l))`` with c_k the sum of the nodes
    of cluster k, and the cosine of anything with itself set to zero.

    Paper: Kulatilleke, Portmann, Chandra, "Efficient block contrastive learning via parameter-free meta-node
    approximation", 2022. As in the authors' release clusters are hard, where the paper speaks of soft ones, and the
    assignment gets no gradient.

    Args:
        embeddings: of the nodes ``(N, D)``, any length but zero.
        influence: sparse (COO or CSR) or dense ``(N, N)``, weights at least zero.
        clusters: the cluster of each node, int64 ``(N,)``; empty clusters are left out.
        scale: what cosines are multiplied by; 0.5 in the paper, named tau there.

    Data: nodes of a graph, or samples with their nearest neighbours, and a clustering of them; no labels.
    Cost: O(edges D + K^2 D) time, O(N D + edges + K^2) memory: linear in the nodes.

    Raises:
        DataError: the graph or the clusters do not fit the nodes. SettingsError: scale is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import pamc
        >>> nodes = torch.eye(2).repeat(2, 1)
        >>> round(float(pamc(nodes, torch.eye(4), torch.tensor([0, 1, 0, 1]), scale=1.0)), 4)  # log 2
        0.6931
    """
    positive(scale=scale)
    same_length(embeddings=embeddings, clusters=clusters)
    near, found = _neighbourhood(normalize(embeddings, dim=1), influence, scale)
    _, codes = torch.unique(clusters, return_inverse=True)
    blocks = embeddings.new_zeros(int(codes.max()) + 1, embeddings.shape[1]).index_add(0, codes, embeddings)
    blocks = normalize(blocks, dim=1)
    scores = scale * blocks @ blocks.T
    apart = scores.masked_fill(own(EVERY, len(blocks), scores), 0).logsumexp(dim=1).mean()
    return apart - mean_where(torch.where(found, near, 0), found).to(embeddings.dtype)


def _neighbourhood(vectors: Tensor, influence: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """``(N,)``: log of the influence-weighted sum of exponentials over each node's edges, and whether it has any."""
    size = len(vectors)
    if tuple(influence.shape) != (size, size):
        raise DataError(f"a graph of {tuple(influence.shape)} for {size} nodes; both must agree")
    sparse = influence.to(vectors.device).to_sparse(sparse_dim=2).coalesce()
    (rows, columns), weights = sparse.indices(), sparse.values().detach()
    if weights.numel() and float(weights.min()) < 0:
        raise DataError(f"the graph has an edge of weight {float(weights.min()):g}; weights are at least 0")
    scores = edge_scores(vectors, vectors, Edges(rows, columns, weights, (size, size)), scale)
    terms = torch.where(rows == columns, 0, scores) + weights.to(scores.dtype).log()
    sums = segment_logsumexp(terms, weights > 0, rows, size)
    return sums, sums > -torch.inf
