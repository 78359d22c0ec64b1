"""A small U-Net that predicts the noise in an image."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from unalike.encoders.seeding import seeded
from unalike.errors import SettingsError

GROUPS = 8
"""Groups of channels that are normalised together."""


class UNet(nn.Module):
    """Predicts the noise in images at a step of a diffusion (Ronneberger et al. 2015; Ho, Jain and Abbeel 2020).

    Residual blocks with group normalisation are told the step by a sinusoidal embedding; each level halves the side and
    doubles the channels, and what was computed on the way down is joined on the way up. Attention stands at the bottom.

    Args:
        channels: of the images.
        width: channels of the first level, a multiple of 8.
        levels: how often the side is halved; it must be divisible by ``2 ** levels``.
        out: channels of the output, as many as the input has unless given.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a width that is no multiple of 8, or fewer than one level.

    Example:
        >>> import torch
        >>> from unalike.generation import UNet
        >>> net = UNet(channels=1, width=8, levels=1)
        >>> net(torch.randn(2, 1, 8, 8), torch.tensor([0, 5])).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self, *, channels: int = 3, width: int = 32, levels: int = 2, out: int | None = None, seed: int | None = None
    ) -> None:
        super().__init__()
        if width < GROUPS or width % GROUPS or levels < 1:
            raise SettingsError(
                f"a U-Net has a width that is a multiple of {GROUPS} and a level at least; given: width={width}, "
                f"levels={levels}"
            )
        self.width, self.levels = width, levels
        widths = [width * 2**level for level in range(levels + 1)]
        told = 4 * width
        with seeded(seed):
            self.step = nn.Sequential(nn.Linear(width, told), nn.SiLU(), nn.Linear(told, told))
            self.first = nn.Conv2d(channels, width, 3, padding=1)
            self.down = nn.ModuleList(Residual(a, a, told) for a in widths[:-1])
            self.halve = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
            self.middle = Residual(widths[-1], widths[-1], told)
            self.attention = Attention(widths[-1])
            self.grow = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in pairwise(widths))
            self.up = nn.ModuleList(Residual(2 * a, a, told) for a in widths[:-1])
            self.last = nn.Sequential(
                nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, out or channels, 3, padding=1)
            )
            # As in the authors' code: the network begins by predicting no noise at all.
            nn.init.zeros_(self.last[2].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.last[2].bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, at: Tensor) -> Tensor:
        """The noise ``(B, out, H, W)`` in ``images`` at the steps ``at``, int64 ``(B,)``.

        Raises:
            SettingsError: a side cannot be halved so often.
        """
        if any(side % 2**self.levels for side in images.shape[-2:]):
            raise SettingsError(
                f"a U-Net of {self.levels} levels reads sides that {2**self.levels} divides; given: "
                f"{images.shape[-2]} x {images.shape[-1]}"
            )
        told = self.step(sinusoidal(at, self.width).to(images.dtype))
        found, kept = self.first(images), []
        for block, halve in zip(self.down, self.halve, strict=True):
            found = block(found, told)
            kept.append(found)
            found = halve(found)
        found = self.attention(self.middle(found, told))
        for level in reversed(range(self.levels)):
            larger = nn.functional.interpolate(found, scale_factor=2.0, mode="nearest")
            found = self.up[level](torch.cat([self.grow[level](larger), kept[level]], dim=1), told)
        return self.last(found)


class Residual(nn.Module):
    """Two convolutions with the step's embedding added between them."""

    def __init__(self, width: int, out: int, told: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, out, 3, padding=1))
        self.told = nn.Linear(told, out)
        self.after = nn.Sequential(nn.GroupNorm(GROUPS, out), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1))
        self.same = nn.Identity() if width == out else nn.Conv2d(width, out, 1)

    def forward(self, images: Tensor, told: Tensor) -> Tensor:
        found = self.before(images) + self.told(nn.functional.silu(told))[:, :, None, None]
        return self.same(images) + self.after(found)


class Attention(nn.Module):
    """Each place looks at all places, with one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.mix = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, images: Tensor) -> Tensor:
        flat = self.mix(self.norm(images)).flatten(2).transpose(1, 2)
        found = nn.functional.scaled_dot_product_attention(*(part.contiguous() for part in flat.chunk(3, dim=-1)))
        return images + self.out(found.transpose(1, 2).reshape(images.shape))


def sinusoidal(at: Tensor, width: int) -> Tensor:
    """Sines and cosines ``(B, width)`` of the steps, as the positions of a transformer.

    Example:
        >>> import torch
        >>> sinusoidal(torch.tensor([0]), 4).tolist()
        [[0.0, 0.0, 1.0, 1.0]]
    """
    half = width // 2
    speed = torch.exp(torch.arange(half, device=at.device) * (-math.log(10000) / half))
    angles = at[:, None].float() * speed
    return torch.cat([angles.sin(), angles.cos()], dim=1)
