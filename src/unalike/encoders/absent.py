"""What stands in for the vector of a modality that a row lacks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .heads import unit


class Absent(nn.Module):
    """A learned unit vector for each kind of column, taken where a row has no entry of the kind.

    Saporta et al., "Contrasting with Symile", NeurIPS 2024: what is missing is told to the
    model by what is learned for it, and rows that lack a modality are trained on as all others.

    Args:
        kinds: the kinds that may be missing.
        width: length of the vectors.

    Example:
        >>> import torch
        >>> from unalike.encoders import Absent
        >>> absent = Absent(["text", "audio"], 4)
        >>> found = absent.fill("text", torch.eye(4)[:2], torch.tensor([0, 2]), 3)
        >>> found.shape, torch.equal(found[2], torch.eye(4)[1])
        (torch.Size([3, 4]), True)
    """

    def __init__(self, kinds: Sequence[str], width: int) -> None:
        super().__init__()
        self.vectors = nn.ParameterDict({kind: nn.Parameter(torch.randn(width)) for kind in kinds})

    def forward(self, kind: str) -> Tensor:
        """The unit vector ``(width,)`` of a kind."""
        return unit(self.vectors[kind])

    def fill(self, kind: str, found: Tensor | None, rows: Tensor, count: int) -> Tensor:
        """Vectors ``(count, width)``: those that were found, at their rows, and the learned one everywhere else.

        Args:
            kind: of what was found.
            found: unit vectors ``(R, width)``, or None where ``R`` is 0.
            rows: int64 ``(R,)``, where each stands.
            count: how many rows there are.
        """
        whole = self(kind).expand(count, -1)
        return whole if found is None else whole.to(found.dtype).index_copy(0, rows, found)

    def replace(self, kind: str, vectors: Tensor) -> Tensor:
        """Vectors ``(N, width)`` with the learned one in place of rows of zeros, which stand for missing entries."""
        missing = (vectors == 0).all(dim=1, keepdim=True)
        return torch.where(missing, self(kind).to(vectors.dtype), vectors)
