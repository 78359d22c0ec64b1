"""Clusters with centres that are learned, after Student's t: the heart of deep embedded clustering."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unalike.errors import DataError, SettingsError
from unalike.pairing.kmeans import k_means


class StudentClusters(nn.Module):
    """Soft clusters ``q_ik ~ 1 / (1 + |z_i - c_k|^2)``, pulled towards their own sharpened form.

    Xie, Girshick, Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", 2016, arXiv:1511.06335.

    Args:
        clusters: number K of clusters.
        width: length D of the vectors.

    Raises:
        SettingsError: fewer than two clusters.

    Example:
        >>> import torch
        >>> from unalike.pairing.student import StudentClusters
        >>> clusters = StudentClusters(2, 1)
        >>> clusters.begin(torch.tensor([[0.0], [0.2], [5.0], [5.2]]), seed=0)
        >>> codes = clusters.assign(torch.tensor([[0.1], [4.0]]))
        >>> bool(codes[0] != codes[1])
        True
    """

    frequencies: Tensor

    def __init__(self, clusters: int, width: int) -> None:
        super().__init__()
        if clusters < 2:
            raise SettingsError(f"got clusters={clusters}; expected at least 2")
        self.centres = nn.Parameter(torch.zeros(clusters, width))
        self.register_buffer("frequencies", torch.ones(clusters))

    @torch.no_grad()
    def begin(self, vectors: Tensor, *, seed: int | None = None) -> None:
        """Put the centres where k-means finds them among all vectors ``(N, D)``.

        Raises:
            DataError: there are fewer vectors than clusters.
        """
        if len(vectors) < len(self.centres):
            raise DataError(f"{len(self.centres)} clusters of {len(vectors)} rows; give fewer clusters")
        self.centres.copy_(k_means(vectors, len(self.centres), restarts=20, seed=seed).centres)
        self.refresh(vectors)

    def soft(self, vectors: Tensor) -> Tensor:
        """``(B, K)``: how much each vector belongs to each cluster; rows sum to 1."""
        distances = (vectors[:, None] - self.centres).square().sum(2)
        weights = 1 / (1 + distances)
        return weights / weights.sum(1, keepdim=True)

    @torch.no_grad()
    def refresh(self, vectors: Tensor) -> None:
        """Note how full each cluster is with all vectors ``(N, D)``; the targets divide by it."""
        self.frequencies.copy_(self.soft(vectors).sum(0))

    def targets(self, soft: Tensor) -> Tensor:
        """``(B, K)``: the memberships sharpened, large clusters held back; without gradient."""
        sharp = soft.detach().square() / self.frequencies
        return sharp / sharp.sum(1, keepdim=True)

    def loss(self, soft: Tensor) -> Tensor:
        """KL divergence of the memberships from their targets, a mean over the rows."""
        return nn.functional.kl_div(soft.log(), self.targets(soft), reduction="batchmean")

    @torch.no_grad()
    def assign(self, vectors: Tensor) -> Tensor:
        """Int64 ``(B,)``: the cluster of each vector."""
        return self.soft(vectors).argmax(1)
