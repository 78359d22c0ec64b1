"""What encoders of pictures share: how pictures become squares of bytes, and bytes become floats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, get_args

import torch
from torch import Tensor, nn

from unalike.data import Column, ImageColumn
from unalike.errors import DataError, SettingsError
from unalike.views.image import IMAGENET_MEAN, IMAGENET_STD

from .base import Encoder
from .packed import Fit, PackedImages


class ImageEncoder(Encoder):
    """Base of the encoders of pictures. All read floats that are standardised by ImageNet's means and deviations.

    Args:
        size: side of the pictures, in pixels.
        width: length of the vectors.
        fit: how pictures become square, ``"crop"``, ``"pad"`` or ``"trim"`` (see `packed.square`).
        margin: pictures are kept at ``margin * size`` pixels; above 1, crops by random views stay sharp.
    """

    kind = "image"

    def __init__(self, *, size: int, width: int, fit: Fit = "crop", margin: float = 1.0) -> None:
        super().__init__()
        if margin < 1:
            raise SettingsError(f"pictures are kept at their size or larger; given: margin={margin}")
        if fit not in get_args(Fit):
            raise SettingsError(f"pictures become square by 'crop', 'pad' or 'trim'; given: fit={fit!r}")
        self.size = size
        self.width = width
        self.fit: Fit = fit
        self.margin = margin

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        return cls(size=size, **options)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedImages:
        if not isinstance(column, ImageColumn):
            raise DataError(f"{type(self).__name__} reads pictures; given: a column of the kind {column.kind!r}")
        return PackedImages.from_column(column, round(self.margin * self.size), fit=self.fit, cache=cache)

    def plain(self, inputs: Tensor) -> Tensor:
        """uint8 ``(B, 3, H, W)`` to float32 ``(B, 3, size, size)``, each channel standardised."""
        pixels = inputs.to(dtype=torch.float32, memory_format=torch.channels_last)
        if pixels.shape[-2:] != (self.size, self.size):
            pixels = nn.functional.interpolate(
                pixels, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True
            )
        mean = pixels.new_tensor(IMAGENET_MEAN)[:, None, None] * 255
        std = pixels.new_tensor(IMAGENET_STD)[:, None, None] * 255
        return (pixels - mean).div_(std)
