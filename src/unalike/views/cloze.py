"""The inverse of a cloze: a piece of a text asks for the text that it was cut from."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from unalike.errors import SettingsError

from .draws import uniform
from .text import close_up
from .tokens import Tokens


@dataclass(frozen=True)
class InverseCloze:
    """Cut a span out of each text: the span is the query, and what is left is its document.

    Paper: Lee, Chang, Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question Answering", ACL 2019,
    section 4. There the span is a sentence, and one document in ten keeps it, so that words that both share are learned
    too.

    Args:
        share: least and greatest share of the tokens in the span.
        keep: probability that the document keeps the span.

    Raises:
        SettingsError: a setting is out of range.

    Example:
        >>> import torch
        >>> from unalike.views import InverseCloze, Tokens
        >>> ids = torch.arange(1, 21)[None]
        >>> cut = InverseCloze(share=(0.25, 0.25), keep=0.0)
        >>> span, rest = cut(Tokens(ids, torch.ones_like(ids).bool()), torch.Generator().manual_seed(0))
        >>> span.ids.shape[1], rest.ids.shape[1], sorted(span.ids[0].tolist() + rest.ids[0].tolist()) == ids[0].tolist()
        (5, 15, True)
    """

    share: tuple[float, float] = (0.05, 0.5)
    keep: float = 0.1

    def __post_init__(self) -> None:
        low, high = self.share
        if not 0 < low <= high < 1 or not 0 <= self.keep <= 1:
            raise SettingsError(
                f"share={self.share}, keep={self.keep}: shares that rise between 0 and 1, and a probability"
            )

    def __call__(self, inputs: Tokens, generator: torch.Generator) -> tuple[Tokens, Tokens]:
        """A span of each text ``(B, L)``, of one token at least, and what is left of it, empty for texts of one."""
        lengths = inputs.mask.sum(1, keepdim=True)
        draws = uniform((3, len(inputs), 1), 0.0, 1.0, generator).to(lengths.device)
        low, high = self.share
        size = ((low + (high - low) * draws[0]) * lengths).round_().clamp_(min=1)
        start = (draws[1] * (lengths - size + 1)).floor_()
        place = torch.arange(inputs.ids.shape[1], device=inputs.ids.device)
        inside = (place >= start) & (place < start + size) & inputs.mask
        left = inputs.mask & (~inside | (draws[2] < self.keep))
        return close_up(inputs.ids, inside), close_up(inputs.ids, left)
