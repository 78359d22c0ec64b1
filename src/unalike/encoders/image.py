"""What encoders of pictures share: how pictures become squares of bytes, and bytes become floats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from unalike.data import Column, ImageColumn
from unalike.errors import DataError

from .base import Encoder
from .packed import Fit, PackedImages

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageEncoder(Encoder):
    """Base of the encoders of pictures.

    Args:
        size: side of the pictures, in pixels.
        width: length of the vectors.
        fit: how pictures that are not square become so, ``"crop"`` or ``"pad"``.
        mean: of each channel, between 0 and 1, taken off by `plain`.
        std: of each channel, divided by in `plain`.
    """

    kind = "image"

    def __init__(
        self,
        *,
        size: int,
        width: int,
        fit: Fit = "crop",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.size = size
        self.width = width
        self.fit: Fit = fit
        self.mean = tuple(mean)
        self.std = tuple(std)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedImages:
        if not isinstance(column, ImageColumn):
            raise DataError(f"{type(self).__name__} reads pictures; given: a column of the kind {column.kind!r}")
        return PackedImages.from_column(column, self.size, fit=self.fit, cache=cache)

    def plain(self, inputs: Tensor) -> Tensor:
        """uint8 ``(B, 3, H, W)`` to float32 ``(B, 3, size, size)``, each channel standardised."""
        pixels = inputs.to(dtype=torch.float32, memory_format=torch.channels_last)
        if pixels.shape[-2:] != (self.size, self.size):
            pixels = nn.functional.interpolate(
                pixels, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True
            )
        mean = pixels.new_tensor(self.mean)[:, None, None] * 255
        std = pixels.new_tensor(self.std)[:, None, None] * 255
        return pixels.sub_(mean).div_(std)
