"""Random views of rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import SettingsError

from .base import View


@dataclass(frozen=True)
class ArrayViews(View[Tensor]):
    """Swap entries for other rows' entries, scale and jitter: float ``(B, F)`` in and out.

    Swapping draws each entry from the batch's own values of that feature (SCARF, arXiv:2106.15147), so that a view never
    holds a value which the data do not.

    Args:
        corruption: share of each row's features that are swapped for those of random rows of the batch.
        noise: standard deviation of what is added to each entry, in standard deviations of its feature.
        scale: reach of the factor of each row, drawn from ``1 - scale`` to ``1 + scale``.

    Raises:
        SettingsError: a setting is out of range.

    Example:
        >>> import torch
        >>> from unalike.views import ArrayViews
        >>> rows = torch.arange(8.0).reshape(4, 2)
        >>> ArrayViews(corruption=0.5)(rows, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 2])
    """

    corruption: float = 0.0
    noise: float = 0.0
    scale: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.corruption <= 1 or self.noise < 0 or not 0 <= self.scale < 1:
            raise SettingsError(
                f"views of arrays with corruption={self.corruption}, noise={self.noise}, scale={self.scale}: "
                "corruption lies between 0 and 1, noise is not negative, scale is at least 0 and below 1"
            )

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        rows, features = inputs.shape
        seen = inputs
        if self.corruption:
            # Exactly this share of each row's features, as the paper has it: the ranks of random numbers decide.
            ranks = torch.rand(rows, features, generator=generator).argsort(1).argsort(1)
            swapped = (ranks < round(self.corruption * features)).to(inputs.device)
            donors = torch.randint(rows, (rows, features), generator=generator).to(inputs.device)
            seen = torch.where(swapped, inputs.gather(0, donors), seen)
        if self.scale:
            factor = 1 + self.scale * (2 * torch.rand(rows, 1, generator=generator) - 1)
            seen = seen * factor.to(seen)
        if self.noise:
            spread = inputs.std(dim=0, correction=0)
            seen = seen + self.noise * spread * torch.randn(rows, features, generator=generator).to(seen)
        return seen
