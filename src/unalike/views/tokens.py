"""Token sequences: what text views change and text encoders read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class Tokens:
    """A batch of token sequences, padded on the right.

    ids: ``(B, L)`` int64; mask: ``(B, L)`` bool, true where a token stands.
    """

    ids: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> Tokens:
        return Tokens(self.ids.to(device), self.mask.to(device))

    @classmethod
    def join(cls, parts: Sequence[Tokens]) -> Tokens:
        """The rows of several batches after each other, padded to the longest.

        Example:
            >>> import torch
            >>> from unalike.views import Tokens
            >>> short, long = (Tokens(torch.ones(2, n, dtype=torch.int64), torch.ones(2, n).bool()) for n in (3, 5))
            >>> Tokens.join([short, long]).ids.shape
            torch.Size([4, 5])
        """
        length = max(part.ids.shape[1] for part in parts)
        ids = [pad(part.ids, (0, length - part.ids.shape[1])) for part in parts]
        masks = [pad(part.mask, (0, length - part.mask.shape[1])) for part in parts]
        return cls(torch.cat(ids), torch.cat(masks))

    def __len__(self) -> int:
        return len(self.ids)
