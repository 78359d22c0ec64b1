"""Normalisation that takes a picture's own style out of some channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class HalfInstanceNorm(nn.Module):
    """Instance normalisation for the first half of the channels, batch normalisation for the others.

    The mean and deviation of a channel within one picture say much of its style (its colours, its contrast) and less
    of what it shows. The first half forgets them, the second keeps them: IBN-a of IBN-Net (Pan et al. 2018,
    arXiv:1807.09441), which carries over better to pictures of a style that was never trained on.

    Args:
        channels: of the feature maps ``(B, channels, H, W)``; at least 2.

    Example:
        >>> import torch
        >>> from unalike.encoders.norms import HalfInstanceNorm
        >>> norm, maps = HalfInstanceNorm(4).eval(), torch.randn(2, 4, 8, 8)
        >>> brighter = norm(3 * maps + 1)
        >>> torch.allclose(norm(maps)[:, :2], brighter[:, :2], atol=1e-3)
        True
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.forgetful = channels // 2
        self.instance = nn.InstanceNorm2d(self.forgetful, affine=True)
        self.batch = nn.BatchNorm2d(channels - self.forgetful)

    def forward(self, maps: Tensor) -> Tensor:
        own, shared = maps[:, : self.forgetful].contiguous(), maps[:, self.forgetful :]
        shared = shared.contiguous(memory_format=torch.channels_last)
        both = torch.cat([self.instance(own), self.batch(shared)], 1)
        return both.contiguous(memory_format=torch.channels_last)
