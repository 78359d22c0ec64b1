"""Tokens that are hidden, to be told from the others: the view of masked language modelling."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.errors import SettingsError

from .draws import random_like
from .tokens import Tokens


def hide_tokens(
    inputs: Tokens, generator: torch.Generator, *, share: float = 0.15, mask_id: int = 0, vocabulary: int
) -> tuple[Tokens, Tensor]:
    """Choose tokens of each text to be told, and hide most of them.

    Of the chosen ones 80 % become the mask, 10 % another token at random, and 10 % stay, so that no token can be
    trusted. Each text that has a token has one that is chosen.

    Paper: Devlin, Chang, Lee, Toutanova, "BERT", NAACL 2019, section 3.1.

    Args:
        inputs: ``(B, L)``, padded on the right.
        generator: where all randomness comes from.
        share: probability that a token is chosen.
        mask_id: number of the mask token.
        vocabulary: random tokens are 1 to this, exclusive.

    Returns:
        The tokens ``(B, L)``, and bool ``(B, L)``: which of them were chosen.

    Raises:
        SettingsError: the share is not between 0 and 1, or the vocabulary has no token.

    Example:
        >>> import torch
        >>> from unalike.views import Tokens, hide_tokens
        >>> ids = torch.full((4, 50), 7)
        >>> generator = torch.Generator().manual_seed(0)
        >>> seen, hidden = hide_tokens(Tokens(ids, torch.ones_like(ids).bool()), generator, vocabulary=9)
        >>> bool((seen.ids == ids)[~hidden].all()), 0.1 < float(hidden.float().mean()) < 0.2
        (True, True)
    """
    if not 0 < share < 1 or vocabulary < 2:
        raise SettingsError(f"share={share}, vocabulary={vocabulary}: a share between 0 and 1, and at least one token")
    draw = random_like(inputs.mask, generator).masked_fill(~inputs.mask, 2.0)
    hidden = draw < share
    lowest = torch.zeros_like(hidden).scatter_(1, draw.argmin(1, keepdim=True), True)
    hidden = (hidden | (lowest & ~hidden.any(1, keepdim=True))) & inputs.mask
    fate = random_like(inputs.mask, generator)
    other = (random_like(inputs.mask, generator) * (vocabulary - 1)).long().clamp(max=vocabulary - 2) + 1
    ids = torch.where(hidden & (fate < 0.8), mask_id, inputs.ids)
    ids = torch.where(hidden & (fate >= 0.9), other, ids)
    return Tokens(ids, inputs.mask), hidden
