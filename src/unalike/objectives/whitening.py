"""Whitening as a part of a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unalike.errors import DataError, SettingsError
from unalike.objectives.precision import full_precision


class ShuffledGroupWhitening(nn.Module):
    """Whiten groups of dimensions over the batch, in a grouping that is drawn anew for each call.

    Dimensions are shuffled, split into groups, each group is centred and multiplied by the inverse root of its
    covariance over the batch (ZCA), and the shuffle is undone. Copies of one batch that meet different shuffles become
    different positives. Whiten each copy in a call of its own.

    Paper: Zhuo, Sun, Wang, Zhu, Yang, "Whitening-based Contrastive Learning of Sentence Embeddings", ACL 2023. As in
    the authors' release no gradient flows through the whitening matrix; ``differentiable`` lets it.

    Args:
        groups: number of groups; it divides the width. 1 whitens all dimensions at once.
        epsilon: added to the covariances' eigenvalues.
        differentiable: let gradient flow through the whitening matrix.

    Data: batches with more rows than dimensions in a group.
    Cost: O(B D^2 / groups + D^3 / groups^2) time.

    Raises:
        SettingsError: groups is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import ShuffledGroupWhitening
        >>> rows = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)) * 5
        >>> white = ShuffledGroupWhitening(2)(rows, torch.Generator().manual_seed(1))
        >>> white.square().mean(dim=0).round(decimals=2)
        tensor([1., 1., 1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, groups: int, *, epsilon: float = 1e-5, differentiable: bool = False) -> None:
        super().__init__()
        if groups < 1:
            raise SettingsError(f"groups={groups}; expected one or more")
        self.groups, self.epsilon, self.differentiable = groups, epsilon, differentiable

    def forward(self, vectors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Whitened vectors ``(B, D)``.

        Args:
            vectors: ``(B, D)``.
            generator: source of the shuffle; neighbouring dimensions form the groups where None.

        Raises:
            DataError: groups does not divide D, or a group has as many dimensions as there are rows.
        """
        rows, width = vectors.shape
        if width % self.groups:
            raise DataError(f"got vectors of width {width}; expected a multiple of the {self.groups} groups")
        if rows <= width // self.groups:
            raise DataError(
                f"got a batch of {rows} for groups of {width // self.groups} dimensions; expected more rows than that, "
                "or more groups"
            )
        return _whitened(vectors, self.groups, self.epsilon, self.differentiable, generator).to(vectors.dtype)


@full_precision
def _whitened(
    vectors: Tensor, groups: int, epsilon: float, differentiable: bool, generator: torch.Generator | None
) -> Tensor:
    rows, width = vectors.shape
    order = torch.arange(width, device=vectors.device)
    if generator is not None:
        order = torch.randperm(width, generator=generator, device=generator.device).to(vectors.device)
    parts = vectors[:, order].view(rows, groups, -1).transpose(0, 1)  # (groups, B, D / groups)
    centred = parts - parts.mean(dim=1, keepdim=True)
    source = centred if differentiable else centred.detach()
    values, directions = torch.linalg.eigh(source.transpose(1, 2) @ source / rows)
    roots = (values.clamp(min=0) + epsilon).rsqrt()
    matrix = (directions * roots[:, None]) @ directions.transpose(1, 2)
    return (centred @ matrix).transpose(0, 1).reshape(rows, width)[:, order.argsort()]
