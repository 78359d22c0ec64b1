"""A small convolutional net that learns in minutes on two cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from unalike.data import Column
from unalike.errors import SettingsError

from .base import Encoded
from .image import ImageEncoder
from .packed import Fit
from .seeding import seeded


class ConvNet(ImageEncoder):
    """Stages that halve the picture, some with residual blocks: a ResNet (arXiv:1512.03385) for small machines.

    Resolution falls by two at every stage from the first convolution on: at full resolution a few channels cost
    more than all the rest. Weights and activations lie channels last, which is much faster on a CPU. The tokens are the
    positions of the last feature map, the vector is their mean.

    Args:
        size: side of the pictures, in pixels.
        widths: channels of each stage; the last is the length of the vectors.
        depths: residual blocks of each stage, after its strided convolution.
        fit: how pictures that are not square become so, ``"crop"`` or ``"pad"``.
        margin: pictures are kept at ``margin * size`` pixels; above 1, crops by random views stay sharp.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: widths and depths differ in number, or the pictures are too small for so many stages.

    Example:
        >>> import torch
        >>> from unalike.encoders import ConvNet
        >>> encoder = ConvNet(size=32, widths=(8, 16), depths=(0, 1))
        >>> encoded = encoder(encoder.plain(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)))
        >>> encoded.vector.shape, encoded.tokens.shape
        (torch.Size([2, 16]), torch.Size([2, 64, 16]))
    """

    def __init__(
        self,
        *,
        size: int = 64,
        widths: Sequence[int] = (32, 64, 128, 256),
        depths: Sequence[int] = (0, 0, 0, 1),
        fit: Fit = "crop",
        margin: float = 1.0,
        seed: int | None = 0,
    ) -> None:
        if len(widths) != len(depths) or not widths:
            raise SettingsError(
                f"a conv net needs a depth for each width; given: widths={tuple(widths)}, depths={tuple(depths)}"
            )
        if size < 2 ** len(widths):
            raise SettingsError(
                f"{len(widths)} stages halve a picture of {size} pixels to nothing: give at least "
                f"size={2 ** len(widths)}, or fewer widths"
            )
        super().__init__(size=size, width=widths[-1], fit=fit, margin=margin)
        self.widths = tuple(widths)
        self.depths = tuple(depths)
        stages: list[nn.Module] = []
        with seeded(seed):
            for before, channels, depth in zip((3, *widths), widths, depths, strict=False):
                stages.append(conv_block(before, channels, stride=2))
                stages.extend(_Residual(channels) for _ in range(depth))
            self.stages = nn.Sequential(*stages)
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(module, _Residual):
                    nn.init.zeros_(module.norm.weight)  # each block starts as the identity
        self.to(memory_format=torch.channels_last)

    @classmethod
    def for_columns(
        cls, columns: Sequence[Column], *, given: str, size: int, width: int | None = None, **options: Any
    ) -> Self:
        if width is not None:
            options["widths"] = (32, 64, 128, width)
        return cls(size=size, **options)

    @classmethod
    def options(cls) -> set[str]:
        return {*super().options(), "width"}

    def forward(self, inputs: Tensor) -> Encoded:
        positions = self.stages(inputs.contiguous(memory_format=torch.channels_last))
        tokens = positions.permute(0, 2, 3, 1).flatten(1, 2)
        return Encoded(vector=tokens.mean(1), tokens=tokens, mask=tokens.new_ones(tokens.shape[:2], dtype=torch.bool))

    def config(self) -> dict[str, Any]:
        return {
            "name": "conv",
            "size": self.size,
            "widths": list(self.widths),
            "depths": list(self.depths),
            "fit": self.fit,
            "margin": self.margin,
        }


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_block(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.second(self.first(x))))


def conv_block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """A convolution of 3 x 3, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
