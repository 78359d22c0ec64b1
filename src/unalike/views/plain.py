"""Pictures without any randomness, as evaluation wants them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from unalike.errors import SettingsError

from .base import View
from .geometry import Geometry
from .image import IMAGENET_MEAN, IMAGENET_STD, Size, check_pictures


@dataclass(frozen=True)
class PlainViews(View[Tensor]):
    """Resize and standardise: every look of a picture is the same.

    Args:
        size: side of the result in pixels, or its height and width.
        crop: keep the shape of things: resize the shorter side, then cut out the centre. Otherwise both sides are
            resized each by its own factor.
        mean: of each channel, between 0 and 1.
        std: of each channel.
    """

    size: Size
    crop: bool = True
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or min(self.std) <= 0:
            raise SettingsError(f"plain views: size={self.size} must be at least 1 and std={self.std} above 0")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def __call__(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """uint8 ``(B, 3, H, W)`` to float32 ``(B, 3, h, w)``; nothing is drawn from the generator."""
        check_pictures(inputs)
        height, width = self.shape
        pixels = inputs.float()
        source = (inputs.shape[2], inputs.shape[3])
        resized, top, left = self._placed(source)
        if resized != source:
            pixels = interpolate(pixels, resized, mode="bilinear", antialias=True)
        pixels = pixels[:, :, top : top + height, left : left + width]
        mean, std = torch.tensor([self.mean, self.std], device=inputs.device)[:, :, None, None] * 255
        return pixels.contiguous().sub_(mean).div_(std)

    def geometry(self, n: int, source: tuple[int, int]) -> Geometry:
        """Where the pixels of ``n`` pictures of ``source`` height and width lie in their views.

        Example:
            >>> from unalike.views import plain
            >>> plain(size=4).geometry(1, (8, 16)).matrix[0, 0].tolist()
            [0.5, 0.0, -2.0]
        """
        (high, wide), top, left = self._placed(source)
        down, across = source[0] / high, source[1] / wide
        height, width = self.shape
        crop = torch.tensor([[top * down, left * across, height * down, width * across]], dtype=torch.float64)
        return Geometry.of_crops(crop.repeat(n, 1), self.shape)

    def _placed(self, source: tuple[int, int]) -> tuple[tuple[int, int], int, int]:
        """To which height and width a picture is resized, and the row and column at which the view begins in that."""
        height, width = self.shape
        resized = self.shape
        if self.crop and height * source[1] >= width * source[0]:
            resized = height, max(width, height * source[1] // source[0])
        elif self.crop:
            resized = width * source[0] // source[1], width
        return resized, round((resized[0] - height) / 2), round((resized[1] - width) / 2)


def plain(size: Size, crop: bool = True) -> PlainViews:
    """Resize the shorter side and cut out the centre, or resize directly; then standardise.

    Example:
        >>> import torch
        >>> from unalike.views import plain
        >>> pictures = torch.randint(0, 256, (4, 3, 40, 60), dtype=torch.uint8)
        >>> plain(size=32)(pictures).shape
        torch.Size([4, 3, 32, 32])
    """
    return PlainViews(size, crop)
