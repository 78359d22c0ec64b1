"""IAC and PAMC against plain loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, norm, seeds, vectors
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import iac, pamc


def influence(seed: int, size: int) -> Tensor:
    """A random row-normalised graph, some rows of which may be empty."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(size, size, generator=generator, dtype=torch.float64)
    weights = weights * (torch.rand(size, size, generator=generator) < 0.4)
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-9)


def cosine(z: Tensor, i: int, j: int) -> Tensor:
    return z[i] @ z[j] / (norm(z[i]) * norm(z[j])) if i != j else z[i, 0] * 0


@few
@given(seeds, batches, st.integers(2, 5), st.sampled_from(["dense", "coo", "csr"]))
def test_iac_and_pamc_equal_loops(seed: int, size: int, width: int, layout: str) -> None:
    rows, graph = vectors(seed, size, width, unit=False), influence(seed, size)
    clusters = torch.randint(0, 4, (size,), generator=torch.Generator().manual_seed(seed))
    shown = {"dense": graph, "coo": graph.to_sparse(), "csr": graph.to_sparse_csr()}[layout]
    paired = [i for i in range(size) if graph[i].sum() > 0]

    def near(z: Tensor, i: int) -> Tensor:
        return sum(graph[i, j] * (1.7 * cosine(z, i, j)).exp() for j in range(size)).log()

    def iac_loops(z: Tensor) -> Tensor:
        every = [sum((1.7 * cosine(z, i, j)).exp() for j in range(size)).log() - near(z, i) for i in paired]
        return sum(every) / len(every) if every else z.sum() * 0

    def pamc_loops(z: Tensor) -> Tensor:
        blocks = torch.stack([z[clusters == k].sum(dim=0) for k in range(4) if (clusters == k).any()])
        spread = [
            sum((1.7 * cosine(blocks, k, other)).exp() for other in range(len(blocks))).log()
            for k in range(len(blocks))
        ]
        pull = sum(near(z, i) for i in paired) / len(paired) if paired else z.sum() * 0
        return sum(spread) / len(spread) - pull

    agree(lambda z: iac(z, shown, scale=1.7), iac_loops, rows)
    agree(lambda z: pamc(z, shown, clusters, scale=1.7), pamc_loops, rows)


def test_one_node_a_cluster_makes_pamcs_repulsion_exact() -> None:
    rows, graph = vectors(3, 6, 4), influence(3, 6)
    graph.fill_diagonal_(0.5)
    scores = rows @ rows.T
    scores.fill_diagonal_(0)
    near = (graph * (2 * scores).exp()).sum(dim=1).log()
    exact = (2 * scores).logsumexp(dim=1)
    torch.testing.assert_close(pamc(rows, graph, torch.arange(6), scale=2.0), (exact.mean() - near.mean()))
    torch.testing.assert_close(iac(rows, graph, scale=2.0), (exact - near).mean())


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"a graph of \(2, 2\) for 3 nodes"):
        iac(torch.eye(3), torch.eye(2), scale=1.0)
    with pytest.raises(DataError, match="weight -1"):
        iac(torch.eye(3), -torch.eye(3), scale=1.0)
    with pytest.raises(DataError, match="3 embeddings, 2 clusters"):
        pamc(torch.eye(3), torch.eye(3), torch.zeros(2), scale=1.0)
    with pytest.raises(SettingsError, match="scale=0"):
        pamc(torch.eye(3), torch.eye(3), torch.zeros(3), scale=0)
