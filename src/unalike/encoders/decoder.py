"""From a vector back to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from unalike.errors import SettingsError

from .convnet import conv_block
from .seeding import seeded


class ImageDecoder(nn.Module):
    """The mirror of a small convolutional encoder: a linear map to a small feature map, doubled until it is a picture.

    With an encoder of pictures before it, an autoencoder; the mean squared error to ``encoder.plain(pictures)`` trains
    both. Add noise to what the encoder gets, and it is a denoising one (Vincent et al., JMLR 2010).

    Args:
        width: length of the vectors.
        size: side of the pictures, in pixels.
        widths: channels of each map, the smallest map's first; each but for the last is followed by a doubling, as is
            the last, which ends in three channels.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: no widths, or more doublings than the picture has room for.

    Example:
        >>> import torch
        >>> from unalike.encoders import ImageDecoder
        >>> ImageDecoder(24, size=20)(torch.randn(2, 24)).shape
        torch.Size([2, 3, 20, 20])
    """

    def __init__(
        self, width: int, *, size: int, widths: Sequence[int] = (128, 64, 32), seed: int | None = None
    ) -> None:
        super().__init__()
        if not widths or size < 2 ** len(widths):
            raise SettingsError(f"{len(widths)} doublings do not end at a picture of {size} pixels; give other widths")
        self.size, self.side = size, -(-size // 2 ** len(widths))
        layers: list[nn.Module] = []
        with seeded(seed):
            self.spread = nn.Linear(width, widths[0] * self.side**2)
            for before, after in pairwise((*widths, widths[-1])):
                layers += [nn.Upsample(scale_factor=2), conv_block(before, after)]
            self.grow = nn.Sequential(*layers, nn.Conv2d(widths[-1], 3, 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(self, vectors: Tensor) -> Tensor:
        """Pictures ``(B, 3, size, size)``, standardised as encoders read them, of vectors ``(B, width)``."""
        small = self.spread(vectors).relu().unflatten(1, (-1, self.side, self.side))
        return self.grow(small.contiguous(memory_format=torch.channels_last))[..., : self.size, : self.size]
