"""Learning from one class alone: what is like the rest, and what is not."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.errors import SettingsError
from unalike.objectives.checks import at_least
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise


@full_precision
def clan(samples: Tensor, altered: Tensor, *, margin: float = 0.5) -> Tensor:
    """CLAN's loss: all samples attract each other, and all altered copies are kept a margin away from all of them.

    ``1/2 mean_{i != j} d(z_i, z_j) + 1/2 mean_{active} max(0, margin - d(z_i, z'_j))`` with ``d = (1 - cosine) / 2``;
    the second mean is over the pairs, of all i and j, that are nearer than the margin.

    Paper: Wilkie, Hindy, Tachtatzis, Atkinson, "Contrastive Self-Supervised Network Intrusion Detection using Augmented
    Negative Pairs", 2025.

    Args:
        samples: of the one class ``(B, D)``, of unit length.
        altered: copies that were changed so that they should no longer belong to it ``(M, D)``, of unit length.
        margin: least distance of an altered copy, in (0, 1].

    Data: samples of one class alone, and views that break what makes them belong together.
    Cost: 8 B M D flops; memory O(strip M).

    Raises:
        DataError: shapes do not fit, or one sample. SettingsError: a margin that is not in (0, 1].

    Example:
        >>> import torch
        >>> from unalike.objectives import clan
        >>> samples = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> float(clan(samples, -samples)), float(clan(samples, samples))
        (0.0, 0.25)
    """
    at_least(2, samples, "a sample is drawn to another one")
    if not 0 < margin <= 1:
        raise SettingsError(f"margin={margin}; expected a distance in (0, 1]")
    count = len(samples)
    total = samples.sum(0)
    agreement = (total @ total - samples.square().sum()) / (count * (count - 1))

    def shortfall(scores: Tensor, rows: slice) -> Tensor:
        return (margin - (1 - scores) / 2).clamp(min=0).sum(1)

    def active(scores: Tensor, rows: slice) -> Tensor:
        return (margin > (1 - scores) / 2).to(scores.dtype).sum(1)

    with torch.no_grad():
        near = rowwise(active, samples, altered).sum().clamp(min=1)
    return (1 - agreement) / 4 + rowwise(shortfall, samples, altered).sum() / near / 2
