"""Random views of rows of numbers: tables, features, series of one length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError

from .base import View
from .draws import random_like, uniform

REACH = 1.7
"""How far around its mean a feature is drawn anew, in standard deviations; evenly, that is about a deviation of one."""


@dataclass(frozen=True)
class ArrayViews(View[Tensor]):
    """Swap features for other rows' values, draw features anew, scale each row, add noise: in this order.

    Args:
        corruption: share of each row's features that take the value of the same feature in a random row of the batch,
            so that they are drawn from the feature's marginal distribution (SCARF, Bahri et al. 2021,
            https://arxiv.org/abs/2106.15147; the paper takes 0.6).
        noise: standard deviation of what is added to each number, in standard deviations of its feature in the batch.
        scale: reach of the factor of each row, drawn from ``1 - scale`` to ``1 + scale``.
        resample: probability with which a feature is drawn anew, evenly over its whole range of 1.7 standard deviations
            around its mean in the batch (CLAN, Wilkie et al. 2025, which takes 0.1).

    Raises:
        SettingsError: if a setting is out of range.

    Example:
        >>> import torch
        >>> from unalike.views import ArrayViews
        >>> rows = torch.arange(12.0).reshape(3, 4)
        >>> look = ArrayViews(corruption=0.5)(rows, torch.Generator().manual_seed(0))
        >>> bool((look % 4 == rows % 4).all())
        True
    """

    corruption: float = 0.0
    noise: float = 0.0
    scale: float = 0.0
    resample: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.corruption, self.scale, self.resample)
        if self.noise < 0 or not all(0 <= share <= 1 for share in shares):
            raise SettingsError(
                f"views of arrays with corruption={self.corruption}, noise={self.noise}, scale={self.scale}, "
                f"resample={self.resample}: corruption, scale and resample lie between 0 and 1, noise is not negative"
            )

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """A look of each row of float ``(B, features)`` or ``(B, channels, time)``, on any device.

        Raises:
            DataError: if the inputs are something else.
        """
        if not inputs.is_floating_point() or inputs.ndim < 2:
            raise DataError(
                f"a view of arrays was given {inputs.dtype} of shape {tuple(inputs.shape)}; it takes floats of shape "
                "(batch, features) or (batch, channels, time)"
            )
        if not len(inputs):
            return inputs
        rows = seen = inputs.flatten(1)
        if self.corruption > 0:
            # Algorithm 1 of SCARF: exactly this many features of each row, chosen uniformly.
            count = int(self.corruption * rows.shape[1])
            rank = random_like(rows, generator).argsort(1).argsort(1)
            donor = (random_like(rows, generator) * len(rows)).long()
            seen = torch.where(rank < count, rows.gather(0, donor), rows)
        if self.resample > 0:
            reach = REACH * rows.std(0, correction=0)
            drawn = rows.mean(0) + reach * (2 * random_like(rows, generator).to(rows) - 1)
            seen = torch.where(random_like(rows, generator) < self.resample, drawn, seen)
        if self.scale > 0:
            seen = seen * uniform((len(rows), 1), 1 - self.scale, 1 + self.scale, generator).to(rows)
        if self.noise > 0:
            noise = torch.randn(rows.shape, generator=generator, device=generator.device).to(rows)
            seen = seen + self.noise * rows.std(0, correction=0) * noise
        return seen.reshape(inputs.shape)
