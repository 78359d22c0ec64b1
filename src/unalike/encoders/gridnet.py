"""A small convolutional net whose vector still knows where in the picture things are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unalike.errors import SettingsError

from .base import Encoded
from .convnet import conv_block
from .image import ImageEncoder
from .norms import HalfInstanceNorm
from .packed import Fit
from .seeding import seeded


class GridNet(ImageEncoder):
    """Strided convolutions, then one linear map of the whole last feature map, in place of its mean.

    For drawings, icons, letters and other centred things: what is up and what is down, left and right, is half of their
    meaning, and a mean over positions forgets it. The tokens are the positions of the last feature map.

    Args:
        size: side of the pictures, in pixels.
        widths: channels of each stage; each halves the picture.
        width: length of the vectors.
        fit: how pictures become square, ``"crop"``, ``"pad"`` or ``"trim"``, which cuts away a border of one colour.
        margin: pictures are kept at ``margin * size`` pixels; above 1, crops by random views stay sharp.
        instance: half of the first stage's channels forget the contrast and colours of each picture
            (`HalfInstanceNorm`), for pictures in styles that were never trained on.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: the pictures are too small for so many stages.

    Example:
        >>> import torch
        >>> from unalike.encoders import GridNet
        >>> encoder = GridNet(size=32, widths=(8, 16), width=24)
        >>> encoded = encoder(encoder.plain(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)))
        >>> encoded.vector.shape, encoded.tokens.shape
        (torch.Size([2, 24]), torch.Size([2, 64, 16]))
    """

    def __init__(
        self,
        *,
        size: int = 32,
        widths: Sequence[int] = (32, 64, 128),
        width: int = 256,
        fit: Fit = "crop",
        margin: float = 1.0,
        instance: bool = False,
        seed: int | None = 0,
    ) -> None:
        if not widths or size < 2 ** len(widths):
            raise SettingsError(f"{len(widths)} stages cannot halve a picture of {size} pixels; give other widths")
        super().__init__(size=size, width=width, fit=fit, margin=margin)
        self.widths = tuple(widths)
        self.instance = instance
        side = -(-size // 2 ** len(widths))
        with seeded(seed):
            pairs = zip((3, *widths), widths, strict=False)
            self.stages = nn.Sequential(*(conv_block(before, channels, stride=2) for before, channels in pairs))
            if instance:
                first = self.stages[0]
                assert isinstance(first, nn.Sequential)
                first[1] = HalfInstanceNorm(widths[0])
            self.gather = nn.Linear(side * side * widths[-1], width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.to(memory_format=torch.channels_last)

    @property
    def token_width(self) -> int:
        return self.widths[-1]

    def forward(self, inputs: Tensor) -> Encoded:
        positions = self.stages(inputs.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
        tokens = positions.flatten(1, 2)
        vector = self.norm(self.gather(tokens.flatten(1)))
        return Encoded(vector=vector, tokens=tokens, mask=tokens.new_ones(tokens.shape[:2], dtype=torch.bool))

    def config(self) -> dict[str, Any]:
        return {
            "name": "grid",
            "size": self.size,
            "widths": list(self.widths),
            "width": self.width,
            "fit": self.fit,
            "margin": self.margin,
            "instance": self.instance,
        }
