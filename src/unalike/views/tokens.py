"""Token sequences: what text views change and text encoders read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """A batch of token sequences, padded on the right.

    ids: ``(B, L)`` int64; mask: ``(B, L)`` bool, true where a token stands.
    """

    ids: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> Tokens:
        return Tokens(self.ids.to(device), self.mask.to(device))

    def __len__(self) -> int:
        return len(self.ids)
