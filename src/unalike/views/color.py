"""Colour jitter and grey of float pictures ``(n, 3, h, w)`` with values from 0 to 255, changed in place.

There is no comparison of pixels here: on a CPU an operation that makes or reads booleans costs as much as ten
arithmetic ones. All of it is blind to where a pixel lies, so that pictures may as well be turned.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""Share of red, green and blue in the grey value, as torchvision rounds ITU-R BT.601."""

WHITE = 255.0

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
"""The columns of the jitter's factors, and the numbers by which its order names them."""


def luma(pictures: Tensor) -> Tensor:
    """The grey value of each pixel, ``(n, h, w)``."""
    red, green, blue = pictures.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


class Stages(NamedTuple):
    """The colour jitter of each picture, told by its four positions; see `blend_` for the first three, ``(n, 4)``."""

    scale: Tensor
    toward_mean: Tensor
    toward_luma: Tensor
    hue: Tensor

    @classmethod
    def of(cls, factors: Tensor, order: Tensor) -> Stages:
        """From ``factors`` ``(n, 4)``, and which of the four comes first, second, third and fourth."""
        scale = torch.where(order == HUE, 1.0, factors.gather(1, order))
        rest = 1 - scale
        return cls(scale, rest * (order == CONTRAST), rest * (order == SATURATION), factors[:, HUE])

    def part(self, pictures: slice) -> Stages:
        return Stages(*(column[pictures] for column in self))


def jitter_(pictures: Tensor, stages: Stages, hue_at: int | None) -> None:
    """Brightness, contrast, saturation and hue in each picture's own order, as torchvision's ``ColorJitter``.

    Args:
        pictures: ``(n, 3, h, w)`` float32.
        stages: ``n`` rows.
        hue_at: the position at which all these pictures shift their hue; None if none does.
    """
    for at in range(4):
        if at == hue_at:
            shift_hue_(pictures, stages.hue)
        else:
            blend_(pictures, stages.scale[:, at], stages.toward_mean[:, at], stages.toward_luma[:, at])


def blend_(pictures: Tensor, scale: Tensor, toward_mean: Tensor, toward_luma: Tensor) -> None:
    """``scale * pixel + toward_mean * mean luma + toward_luma * luma``, clamped; each number ``(n,)``.

    Brightness, contrast and saturation are this one map, so that pictures with different orders share the passes.
    """
    grey = luma(pictures)
    offset = grey.mean((1, 2)).mul_(toward_mean)
    anchor = grey.mul_(toward_luma[:, None, None]).add_(offset[:, None, None])
    torch.addcmul(anchor[:, None], pictures, scale[:, None, None, None], out=pictures).clamp_(0, WHITE)


def shift_hue_(pictures: Tensor, shift: Tensor) -> None:
    """Turn the hue by ``shift`` ``(n,)`` turns in HSV, which keeps each pixel's greatest and least channel.

    Write a pixel as ``low + span * c`` with one channel of ``c`` 0 and another 1. Along the hue circle each channel of
    ``c`` is 1 within a sixth of a turn of its own colour, 0 within a sixth of the opposite one, linear between.
    """
    low, high = pictures.amin(1), pictures.amax(1)
    span = high.sub_(low).clamp_min_(1e-6)  # grey: far below what is seen, far above what slows arithmetic down
    red, green, blue = pictures.sub_(low[:, None]).div_(span[:, None]).unbind(1)
    # In sixths of a turn from green: -1 to 1 where blue is least, 1 to 3 where red is, 3 to 5 where green is.
    has_blue, has_red = blue.ceil(), red.ceil()
    where_red_least = (blue - green).add_(2)
    where_green_least = (red - blue).add_(4)
    angle = (green - red).lerp_(where_red_least.lerp_(where_green_least, has_red), has_blue)
    turn = torch.add(shift[:, None, None], angle, alpha=1 / 6)
    opposite = torch.tensor([-1 / 3, 1 / 3, 0], device=pictures.device)[:, None, None]
    torch.add(turn[:, None], opposite, out=pictures)
    pictures.sub_(pictures.round()).abs_().clamp_(1 / 6, 1 / 3)
    torch.addcmul(low.sub_(span)[:, None], pictures, span.mul_(6)[:, None], out=pictures)


def grey_(pictures: Tensor, rows: Tensor) -> None:
    """Replace the pictures ``rows`` ``(k,)`` by their grey value."""
    if not len(rows):
        return
    grey = luma(pictures.index_select(0, rows))
    pictures.index_copy_(0, rows, grey[:, None].expand(-1, 3, -1, -1))


def solarize_(pictures: Tensor, rows: Tensor) -> None:
    """Invert the upper half of the values in the pictures ``rows`` ``(k,)``."""
    if not len(rows):
        return
    chosen = pictures.index_select(0, rows)
    pictures.index_copy_(0, rows, torch.minimum(chosen, WHITE - chosen))
