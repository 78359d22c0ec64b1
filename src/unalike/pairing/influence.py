"""How much each node of a graph influences each other one, over paths of several edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from unalike.data.graphs import with_loops
from unalike.errors import SettingsError

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def influence(adjacency: csr_array, hops: int, *, cumulative: bool = True, least: float = 1e-3) -> csr_array:
    """Where walks of a few steps from each node end: powers of the row-normalised adjacency with self-loops.

    Kulatilleke, Portmann, Chandra, "SCGC: Self-Supervised Contrastive Graph Clustering", 2022: SCGC takes the power
    ``A^R``, SCGC* the influence ``A + A^2 + ... + A^R``.

    Args:
        adjacency: scipy matrix ``(N, N)``, symmetric, without loops.
        hops: R, the longest walk.
        cumulative: sum over all lengths, rather than the longest alone.
        least: steps and walks of a smaller probability are not followed further, without which one hub makes the
            powers of a graph dense. 0 follows all.

    Returns:
        scipy matrix ``(N, N)`` with weights above 0.

    Raises:
        SettingsError: fewer than one hop.

    Example:
        >>> import numpy as np
        >>> from scipy.sparse import csr_array
        >>> from unalike.pairing.influence import influence
        >>> path = csr_array(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32))
        >>> [round(float(weight), 2) for weight in influence(path, 2, cumulative=False).toarray()[0]]
        [0.42, 0.42, 0.17]
    """
    if hops < 1:
        raise SettingsError(f"got hops={hops}; expected at least 1")
    step = with_loops(adjacency)
    followed = _without_rare(step, least)
    power = total = step
    for _ in range(hops - 1):
        power = _without_rare(_without_rare(power, least) @ followed, least)
        total = total + power if cumulative else power
    return total.tocsr()


def _without_rare(matrix: csr_array, least: float) -> csr_array:
    if least <= 0:
        return matrix
    kept = matrix.tocsr().copy()
    kept.data[kept.data < least] = 0
    kept.eliminate_zeros()
    return kept


def as_tensor(matrix: csr_array, device: torch.device | str = "cpu") -> Tensor:
    """A scipy matrix as a sparse COO tensor, float32."""
    found = matrix.tocoo()
    indices = torch.from_numpy(np.stack(found.coords).astype(np.int64))
    values = torch.from_numpy(found.data.astype(np.float32))
    return torch.sparse_coo_tensor(indices, values, found.shape, device=device, check_invariants=False).coalesce()


def with_random_edges(adjacency: csr_array, share: float, generator: torch.Generator) -> csr_array:
    """A graph with edges added between nodes drawn at random, as many as ``share`` of the edges that it has."""
    from scipy.sparse import coo_array

    size, count = adjacency.shape[0], round(share * adjacency.nnz / 2)
    if not count:
        return adjacency
    ends = torch.randint(size, (2, count), generator=generator).numpy()
    rows, columns = ends[:, ends[0] != ends[1]]
    both = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    added = coo_array((np.ones(len(both[0]), np.float32), both), adjacency.shape).tocsr()
    found = (adjacency + added).tocsr()
    found.data[:] = 1
    return found
