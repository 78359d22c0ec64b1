"""Random views of time series ``(B, channels, steps)``, NaN where nothing was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError

from .base import View
from .draws import coins, random_like, uniform


@dataclass(frozen=True)
class SeriesViews(View[Tensor]):
    """Scale and shift each channel, add noise, cut a window out, hide steps: in this order.

    Scale, shift and noise are in units of the inputs: give standardised series (an encoder's ``plain``).

    Args:
        scale: deviation of each channel's factor, which is drawn around 1.
        shift: deviation of what is added to each channel.
        jitter: deviation of what is added to each value.
        p: probability of each of these three, for each series.
        crop: least and greatest share of a series that is kept, in one piece; the rest becomes padding.
        mask: probability that a step is hidden, all channels at once.

    Papers: scale, shift and jitter, each with probability and deviation 1/2, are those of CoST (Woo et al., ICLR 2022);
    masks with probability 1/2 those of TS2Vec (Yue et al., AAAI 2022).

    Raises:
        SettingsError: a setting is out of range.

    Example:
        >>> import torch
        >>> from unalike.views import SeriesViews
        >>> look = SeriesViews(crop=(0.5, 0.5))(torch.arange(8.0).view(1, 1, 8), torch.Generator().manual_seed(0))
        >>> look.shape, int(look.isnan().sum())
        (torch.Size([1, 1, 8]), 4)
    """

    scale: float = 0.0
    shift: float = 0.0
    jitter: float = 0.0
    p: float = 1.0
    crop: tuple[float, float] = (1.0, 1.0)
    mask: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.crop
        if min(self.scale, self.shift, self.jitter) < 0 or not 0 < low <= high <= 1:
            raise SettingsError(
                f"views of series with scale={self.scale}, shift={self.shift}, jitter={self.jitter}, crop={self.crop}:"
                " deviations are not negative, shares lie above 0, rise, and are at most 1"
            )
        if not (0 <= self.p <= 1 and 0 <= self.mask < 1):
            raise SettingsError(f"p={self.p}, mask={self.mask}: probabilities, and not all steps can be hidden")

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """A look of each series; NaN stays NaN.

        Raises:
            DataError: the inputs are no floats ``(batch, channels, steps)``.
        """
        check_series(inputs)
        seen = inputs
        size, channels, _ = inputs.shape
        for deviation, change in ((self.scale, "scale"), (self.shift, "shift"), (self.jitter, "jitter")):
            if not deviation:
                continue
            shape = inputs.shape if change == "jitter" else (size, channels, 1)
            drawn = deviation * torch.randn(shape, generator=generator, device=generator.device).to(inputs)
            drawn = drawn * coins(size, self.p, generator).to(inputs)[:, None, None]
            seen = seen * (1 + drawn) if change == "scale" else seen + drawn
        if self.crop != (1.0, 1.0):
            lengths = lengths_of(inputs)
            kept = (uniform((size,), *self.crop, generator).to(lengths.device) * lengths).round().long().clamp(min=1)
            start = (random_like(lengths, generator) * (lengths - kept + 1)).long()
            seen = windows(seen, start, kept, inputs.shape[2])
        if self.mask:
            hidden = random_like(inputs[:, 0], generator) < self.mask
            seen = seen.masked_fill(hidden[:, None], torch.nan)
        return seen


class Overlap(NamedTuple):
    """Two windows of each series: the last ``length`` steps of ``first`` are the first ones of ``second``."""

    first: Tensor
    second: Tensor
    length: int


def overlapping_windows(inputs: Tensor, generator: torch.Generator, least: int = 2) -> Overlap:
    """Two windows of each series that share a part; the lengths are drawn for the batch, the places for each series.

    What is shared is at least ``least`` steps of the longest series; the rest of a window is context that the other
    one does not have (TS2Vec, Yue et al., AAAI 2022, section 3.2).

    Raises:
        DataError: the inputs are no floats ``(batch, channels, steps)``.

    Example:
        >>> import torch
        >>> from unalike.views import overlapping_windows
        >>> found = overlapping_windows(torch.arange(20.0).view(1, 1, 20), torch.Generator().manual_seed(0))
        >>> bool((found.first[..., -found.length :] == found.second[..., : found.length]).all())
        True
    """
    check_series(inputs)
    longest = int(lengths_of(inputs).max()) if len(inputs) else 0
    longest = max(longest, 1)

    def whole(low: int, high: int) -> int:
        """From ``low`` to ``high``, both included."""
        return low + int(uniform((), 0, high - low + 1, generator))

    length = whole(min(least, longest), longest)
    left = whole(0, longest - length)
    outer_left, outer_right = whole(0, left), whole(left + length, longest)
    offset = uniform((len(inputs),), -outer_left, longest - outer_right + 1, generator).floor().long()
    offset = offset.to(inputs.device)
    right = left + length
    full = torch.full_like(offset, longest)
    first = windows(inputs, offset + outer_left, full, right - outer_left)
    second = windows(inputs, offset + left, full, outer_right - left)
    return Overlap(first, second, length)


def windows(inputs: Tensor, start: Tensor, kept: Tensor, length: int) -> Tensor:
    """``(B, channels, length)``: of each series ``kept`` steps from ``start`` on, NaN behind them."""
    place = torch.arange(length, device=inputs.device)
    where = (start[:, None] + place).clamp(max=inputs.shape[2] - 1)
    found = inputs.gather(2, where[:, None].expand(-1, inputs.shape[1], -1))
    return found.masked_fill((place >= kept[:, None])[:, None], torch.nan)


def lengths_of(inputs: Tensor) -> Tensor:
    """Int64 ``(B,)``: steps up to the last one that was measured."""
    seen = (~inputs.isnan()).any(1)
    place = torch.arange(1, seen.shape[1] + 1, device=inputs.device)
    return (seen * place).amax(1)


def check_series(inputs: Tensor) -> None:
    """Raise `DataError` unless these are floats ``(B, channels, steps)``."""
    if not inputs.is_floating_point() or inputs.ndim != 3 or 0 in inputs.shape[1:]:
        raise DataError(
            f"a view of series was given {inputs.dtype} of shape {tuple(inputs.shape)}; it takes floats of shape"
            " (batch, channels, steps)"
        )
