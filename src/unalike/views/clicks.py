"""Random views of click sequences: crop, mask, reorder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import SettingsError

from .base import View
from .draws import permutations, random_like, uniform
from .tokens import Tokens


@dataclass(frozen=True)
class ClickViews(View[Tokens]):
    """Of each sequence crop a span, mask some items, or shuffle a span; which of the three is drawn for each sequence.

    Looks that are made together (`views`) are changed in different ways, as long as there are enough of them. Spans and
    numbers of items are rounded down, as in CL4SRec (Xie et al., 2022, https://arxiv.org/abs/2010.14395), so that very
    short sequences may stay as they are.

    Args:
        crop: share of the items in the one span that a crop keeps, at least one item.
        mask: share of the items that become ``mask_id``.
        reorder: share of the items in the one span that is shuffled.
        mask_id: number of the mask (`unalike.encoders.SASRec.mask_id`).

    Raises:
        SettingsError: if a share is out of range; the message lists all that are.

    Example:
        >>> import torch
        >>> from unalike.views import ClickViews, Tokens
        >>> clicks = Tokens(torch.arange(1, 9).repeat(2, 1), torch.ones(2, 8, dtype=torch.bool))
        >>> looks = ClickViews(mask_id=9).views(clicks, torch.Generator().manual_seed(0), count=2)
        >>> [look.ids[0].tolist() for look in looks]
        [[1, 4, 2, 3, 5, 6, 7, 8], [1, 2, 3, 9, 5, 6, 7, 9]]
    """

    mask_id: int
    crop: float = 0.6
    mask: float = 0.3
    reorder: float = 0.6

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SettingsError("views of clicks: " + "; ".join(problems))

    def _problems(self) -> Iterator[str]:
        if not 0 < self.crop <= 1:
            yield f"crop={self.crop} must be a share above 0, up to 1"
        if not 0 <= self.mask < 1:
            yield f"mask={self.mask} must be a share from 0, below 1"
        if not 0 <= self.reorder <= 1:
            yield f"reorder={self.reorder} must be a share from 0 to 1"
        if self.mask_id < 1:
            yield f"mask_id={self.mask_id} must be the number of the mask; 0 is padding"

    def __call__(self, inputs: Tokens, generator: torch.Generator) -> Tokens:
        return self.views(inputs, generator, count=1)[0]

    def views(self, inputs: Tokens, generator: torch.Generator, count: int = 2) -> list[Tokens]:
        """``count`` looks of each sequence ``(B, L)``, padded on the right."""
        kinds = permutations(len(inputs), 3, generator).to(inputs.ids.device)
        return [self._look(inputs, kinds[:, number % 3], generator) for number in range(count)]

    def _look(self, inputs: Tokens, kind: Tensor, generator: torch.Generator) -> Tokens:
        lengths = inputs.mask.sum(1, keepdim=True)
        place = torch.arange(inputs.ids.shape[1], device=inputs.ids.device)
        # Cropped: a span moves to the left.
        start, size = _span(lengths, self.crop, generator, least=1)
        cropped = inputs.ids.gather(1, (place + start).clamp(max=inputs.ids.shape[1] - 1))
        # Masked: the items with the smallest draws.
        draws = random_like(inputs.mask, generator).masked_fill(~inputs.mask, 2.0)
        count = (self.mask * lengths).floor()
        masked = inputs.ids.masked_fill(draws.argsort(1).argsort(1) < count, self.mask_id)
        # Reordered: within the span the draws decide, and no draw leaves it.
        begin, span = _span(lengths, self.reorder, generator)
        inside = (place >= begin) & (place < begin + span)
        key = torch.where(inside, begin + random_like(inputs.mask, generator) * span, place.double())
        shuffled = inputs.ids.gather(1, key.argsort(dim=1, stable=True))
        ids = torch.where(kind[:, None] == 0, cropped, torch.where(kind[:, None] == 1, masked, shuffled))
        mask = torch.where(kind[:, None] == 0, place < size, inputs.mask)
        return Tokens(ids.masked_fill(~mask, 0), mask)


def _span(lengths: Tensor, share: float, generator: torch.Generator, least: int = 0) -> tuple[Tensor, Tensor]:
    """Start and size, each int64 ``(B, 1)``, of a random span of a share of ``lengths`` ``(B, 1)`` items."""
    size = torch.minimum((share * lengths).floor().long().clamp(min=least), lengths)
    draw = uniform(tuple(lengths.shape), 0.0, 1.0, generator).to(lengths.device)
    return (draw * (lengths - size + 1)).floor().long(), size
