"""Random views of token sequences: crop, delete and mask, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import SettingsError

from .base import View
from .draws import random_like, uniform
from .tokens import Tokens

Range = tuple[float, float]


@dataclass(frozen=True)
class TextViews(View[Tokens]):
    """Keep a span, delete a span, delete tokens, mask tokens: in this order, what is left closes up.

    Of every text that holds a token that may be changed, at least one such token stays.

    Args:
        crop: least and greatest share of the tokens in the one contiguous span that is kept (independent cropping;
            Contriever, Izacard et al. 2021, https://arxiv.org/abs/2112.09118); None keeps all.
        cut: least and greatest share of the tokens in the one contiguous span that is deleted (CLEAR, Wu et al. 2020,
            https://arxiv.org/abs/2012.15466); None deletes none.
        delete: probability that a token is deleted.
        mask: probability that a token becomes ``mask_id``.
        mask_id: number of the mask token; needed if ``mask`` is above 0.
        pad_id: number that stands where no token does.
        first: tokens at the start of each text that are left alone, such as ``[CLS]``.
        last: tokens at the end of each text that are left alone, such as ``[SEP]``.

    Raises:
        SettingsError: if a setting is out of range; the message lists all that are.

    Example:
        >>> import torch
        >>> from unalike.views import TextViews, Tokens
        >>> ids = torch.arange(1, 21).repeat(2, 1)
        >>> view = TextViews(crop=(0.5, 0.5), first=1)
        >>> look = view(Tokens(ids, torch.ones_like(ids, dtype=torch.bool)), torch.Generator().manual_seed(0))
        >>> look.mask.sum(1).tolist(), look.ids[:, 0].tolist()
        ([11, 11], [1, 1])
    """

    crop: Range | None = None
    cut: Range | None = None
    delete: float = 0.0
    mask: float = 0.0
    mask_id: int | None = None
    pad_id: int = 0
    first: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SettingsError("views of texts: " + "; ".join(problems))

    def _problems(self) -> Iterator[str]:
        for name in ("crop", "cut"):
            low, high = getattr(self, name) or (0.0, 0.0)
            if not 0 <= low <= high <= 1:
                yield f"{name}=({low}, {high}) must rise, from 0 to 1"
        for name in ("delete", "mask"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name}={getattr(self, name)} must be a probability, from 0 to 1"
        if self.mask > 0 and self.mask_id is None:
            yield f"mask={self.mask} needs a mask_id, the number of the mask token"
        if min(self.first, self.last) < 0:
            yield f"first={self.first} and last={self.last} must not be negative"

    def __call__(self, inputs: Tokens, generator: torch.Generator) -> Tokens:
        """A look of each text.

        Args:
            inputs: ``(B, L)``, padded on the right, on any device.
            generator: where all randomness comes from.

        Returns:
            Tokens ``(B, L')``, padded on the right to the longest of what is left.
        """
        lengths = inputs.mask.sum(1, keepdim=True)
        place = torch.arange(inputs.ids.shape[1], device=inputs.ids.device) - self.first
        free = (lengths - self.first - self.last).clamp_(min=0)
        open_ = (place >= 0) & (place < free)
        keep = open_
        if self.crop is not None:
            start, stop = _spans(free, self.crop, generator)
            keep = keep & (place >= start) & (place < stop)
        if self.cut is not None:
            kept = keep.sum(1, keepdim=True)
            begin = keep.int().argmax(1, keepdim=True) - self.first
            start, stop = _spans(kept, self.cut, generator)
            keep = keep & ~((place >= begin + start) & (place < begin + stop))
        if self.delete > 0:
            keep = keep & (random_like(keep, generator) >= self.delete)
        keep = keep | (inputs.mask & ~open_) | _spared(open_, keep, generator)
        ids = inputs.ids
        if self.mask > 0 and self.mask_id is not None:
            ids = ids.masked_fill(open_ & (random_like(open_, generator) < self.mask), self.mask_id)
        return close_up(ids, keep, self.pad_id)


def close_up(ids: Tensor, keep: Tensor, pad_id: int = 0) -> Tokens:
    """The tokens ``(B, L)`` that are kept, moved to the left, and as short as the longest row allows.

    Example:
        >>> import torch
        >>> from unalike.views.text import close_up
        >>> keep = torch.tensor([[True, False, True], [False, True, False]])
        >>> tokens = close_up(torch.tensor([[4, 5, 6], [7, 8, 9]]), keep)
        >>> tokens.ids.tolist(), tokens.mask.tolist()
        ([[4, 6], [8, 0]], [[True, True], [True, False]])
    """
    counts = keep.sum(1)
    length = int(counts.max()) if len(counts) else 0
    mask = torch.arange(length, device=ids.device) < counts[:, None]
    closed = torch.full_like(mask, pad_id, dtype=ids.dtype)
    closed[mask] = ids[keep]
    return Tokens(closed, mask)


def _spans(lengths: Tensor, share: Range, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Start and stop, each ``(B, 1)``, of a random span in each of ``lengths`` ``(B, 1)`` tokens."""
    draws = uniform((2, *lengths.shape), 0.0, 1.0, generator).to(lengths.device)
    size = ((share[0] + (share[1] - share[0]) * draws[0]) * lengths).round_()
    start = (draws[1] * (lengths - size + 1)).floor_()
    return start, start + size


def _spared(open_: Tensor, keep: Tensor, generator: torch.Generator) -> Tensor:
    """One random token of each row of which no open token is kept; none elsewhere, nor where no token is open."""
    lost = open_ & ~(open_ & keep).any(1, keepdim=True)
    chosen = (random_like(lost, generator) * lost).argmax(1, keepdim=True)
    return torch.zeros_like(lost).scatter_(1, chosen, True) & lost
