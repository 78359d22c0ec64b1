"""Pictures as they are: for systems that bring a network of their own."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .base import Encoded
from .image import ImageEncoder


class Pixels(ImageEncoder):
    """Prepares pictures and has no weights: the vector is the standardised pixels, one after the other.

    Args:
        size: side of the pictures, in pixels.
        seed: no weights are drawn; taken as all encoders take it.

    Example:
        >>> import torch
        >>> from unalike.encoders import Pixels
        >>> pixels = Pixels(size=8)
        >>> pixels(pixels.plain(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))).vector.shape
        torch.Size([2, 192])
    """

    def __init__(self, *, size: int, seed: int | None = 0) -> None:
        super().__init__(size=size, width=3 * size * size)

    def forward(self, inputs: Tensor) -> Encoded:
        return Encoded(inputs.flatten(1))

    def config(self) -> dict[str, Any]:
        return {"name": "pixels", "size": self.size}
