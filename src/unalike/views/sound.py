"""Random views of spectrograms ``(B, bands, frames)``, NaN behind the end of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import SettingsError

from .base import View
from .draws import random_like, uniform
from .series import check_series, lengths_of, windows


@dataclass(frozen=True)
class SoundViews(View[Tensor]):
    """Cut a piece out, change the loudness, add noise, hide bands and stretches of time: in this order.

    Spectrograms are standardised logarithms (an encoder's ``plain``): a gain adds to them; hidden is zero, the mean.

    Args:
        crop: least and greatest share of a recording that is kept, in one piece; the rest becomes padding.
        gain: deviation of what is added to all bands of a recording.
        noise: deviation of what is added to each value.
        bands: greatest share of the bands that is hidden, in one piece.
        times: greatest share of the frames that is hidden, in one piece.

    Paper: Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", Interspeech
    2019, for what is hidden.

    Raises:
        SettingsError: a setting is out of range.

    Example:
        >>> import torch
        >>> from unalike.views import SoundViews
        >>> look = SoundViews(crop=(0.5, 0.5))(torch.ones(1, 4, 10), torch.Generator().manual_seed(0))
        >>> int(look.isnan().sum())
        20
    """

    crop: tuple[float, float] = (1.0, 1.0)
    gain: float = 0.0
    noise: float = 0.0
    bands: float = 0.0
    times: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.crop
        if not 0 < low <= high <= 1 or min(self.gain, self.noise) < 0:
            raise SettingsError(
                f"crop={self.crop}, gain={self.gain}, noise={self.noise}: shares lie above 0, rise, and are at most 1;"
                " deviations are not negative"
            )
        if not (0 <= self.bands < 1 and 0 <= self.times < 1):
            raise SettingsError(f"bands={self.bands}, times={self.times}: shares, and not everything can be hidden")

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """A look of each recording; NaN stays NaN.

        Raises:
            DataError: the inputs are no floats ``(batch, bands, frames)``.
        """
        check_series(inputs)
        seen, size = inputs, len(inputs)
        if self.crop != (1.0, 1.0):
            lengths = lengths_of(inputs)
            kept = (uniform((size,), *self.crop, generator).to(lengths.device) * lengths).round().long().clamp(min=1)
            start = (random_like(lengths, generator) * (lengths - kept + 1)).long()
            seen = windows(seen, start, kept, inputs.shape[2])
        if self.gain:
            seen = seen + self.gain * torch.randn((size, 1, 1), generator=generator, device=generator.device).to(seen)
        if self.noise:
            seen = seen + self.noise * torch.randn(seen.shape, generator=generator, device=generator.device).to(seen)
        known = ~seen.isnan()
        if self.bands:
            hidden = stretches(torch.full((size,), seen.shape[1], device=seen.device), self.bands, generator)
            seen = seen.masked_fill(_fill(hidden, seen.shape[1])[:, :, None] & known, 0)
        if self.times:
            hidden = stretches(lengths_of(seen), self.times, generator)
            seen = seen.masked_fill(_fill(hidden, seen.shape[2])[:, None] & known, 0)
        return seen


def stretches(lengths: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Int64 ``(B, 2)``: where a random stretch of each begins and ends, of up to ``share`` of its length."""
    size = (random_like(lengths, generator) * (share * lengths + 1)).long()
    start = (random_like(lengths, generator) * (lengths - size + 1)).long()
    return torch.stack([start, start + size], 1)


def _fill(bounds: Tensor, length: int) -> Tensor:
    place = torch.arange(length, device=bounds.device)
    return (place >= bounds[:, :1]) & (place < bounds[:, 1:])


def spans(present: Tensor, generator: torch.Generator, *, start: float = 0.065, length: int = 10) -> Tensor:
    """Which tokens of each sequence are hidden: spans that begin anywhere, and may overlap.

    Of sequences that would stay whole, one span is hidden at a random place; of short ones at most half, so that there
    is always something to tell the rest from.

    Paper: Baevski et al., "wav2vec 2.0", NeurIPS 2020, section 3.1: starts with p = 0.065, each of 10 tokens.

    Args:
        present: bool ``(B, L)``, true where a token stands, without gaps.
        generator: where the draws come from.
        start: probability of a span at each token.
        length: tokens of a span.

    Returns:
        Bool ``(B, L)``.

    Raises:
        SettingsError: the probability is not between 0 and 1, or the length below 1.

    Example:
        >>> import torch
        >>> from unalike.views import spans
        >>> hidden = spans(torch.ones(4, 50, dtype=torch.bool), torch.Generator().manual_seed(0))
        >>> bool(hidden.any(1).all()), bool(hidden.all(1).any())
        (True, False)
    """
    if not 0 < start < 1 or length < 1:
        raise SettingsError(f"start={start}, length={length}: a probability between 0 and 1, and at least one token")
    lengths = present.sum(1)
    begins = (random_like(present, generator) < start) & present
    one = (random_like(lengths, generator) * lengths).long()
    begins[torch.arange(len(one), device=one.device), one] |= ~begins.any(1) & (lengths > 0)
    span = torch.minimum(torch.full_like(lengths, length), (lengths // 2).clamp(min=1))
    place = torch.arange(present.shape[1], device=present.device)
    last = torch.where(begins, place, -length - 1).cummax(1).values
    hidden = (place - last < span[:, None]) & present
    whole = hidden.sum(1) >= lengths
    hidden[whole] = hidden[whole] & (place < (lengths[whole] // 2)[:, None])
    return hidden
