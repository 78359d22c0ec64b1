"""Graph convolutions that are handed the layers of an autoencoder (SDCN)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .seeding import seeded


class DeliveryGCN(nn.Module):
    """Graph convolutions, each on a mixture of the one before and an encoder's layer of the same length.

    Bo, Wang, Shi, Zhu, Lu, Cui, "Structural Deep Clustering Network", 2020, arXiv:2002.01633, equations 5 to 9. The
    encoder's hidden layers go in after their ReLU and its vectors as they are, as in the authors' release.

    Args:
        lengths: of the features, of each of the encoder's layers, and the number of classes or clusters.
        share: of the encoder's layers in the mixtures.
        seed: of the initial weights; None draws from torch's current random state.

    Example:
        >>> import torch
        >>> from unalike.encoders import DeliveryGCN
        >>> gcn = DeliveryGCN([4, 3, 2])
        >>> gcn(torch.randn(5, 4), [torch.randn(5, 3)], torch.eye(5).to_sparse()).shape
        torch.Size([5, 2])
    """

    def __init__(self, lengths: Sequence[int], *, share: float = 0.5, seed: int | None = None) -> None:
        super().__init__()
        self.share = share
        with seeded(seed):
            self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(lengths))

    def forward(self, features: Tensor, layers: Sequence[Tensor], adjacency: Tensor) -> Tensor:
        """Logits ``(B, K)`` of nodes.

        Args:
            features: ``(B, F)``.
            layers: of the encoder, before their ReLU, its vectors last.
            adjacency: sparse ``(B, B)``, symmetrically normalised with self-loops.
        """
        own = [*(layer.relu() for layer in layers[:-1]), layers[-1]]
        values = torch.sparse.mm(adjacency, self.layers[0](features)).relu()
        for number, (convolve, delivered) in enumerate(zip(self.layers[1:], own, strict=True), start=1):
            mixed = (1 - self.share) * values + self.share * delivered
            values = torch.sparse.mm(adjacency, convolve(mixed))
            values = values.relu() if number < len(own) else values
        return values
