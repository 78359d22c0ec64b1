"""Resize and blur as weighted sums of rows, with each picture's own rows and weights.

Both are separable, and along one axis each output row is a sum of a few input rows. That is what an embedding bag
computes, and it is fast: it reads whole rows and never a pixel alone. So columns are made rows by turning the picture,
instead of reading along them. `crop_resize` leaves pictures turned; `blur` takes them so and turns them upright.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


class Taps(NamedTuple):
    """What one axis of each output is made of: ``(n, out, k)`` row numbers of the input, and their weights."""

    rows: Tensor
    weights: Tensor

    def part(self, pictures: slice) -> Taps:
        return Taps(self.rows[pictures], self.weights[pictures])


def weighted_rows(pictures: Tensor, taps: Taps) -> Tensor:
    """Sums of rows: float32 ``(n, 3, H, W)`` and taps ``(n, h, k)`` to ``(n, 3, h, W)``."""
    n, channels, height, width = pictures.shape
    _, out, k = taps.rows.shape
    first = torch.arange(0, n * channels * height, height, device=pictures.device).view(n, channels, 1, 1)
    bags = (first + taps.rows[:, None]).view(-1, k)
    weights = taps.weights[:, None].expand(n, channels, out, k).reshape(-1, k)
    rows = embedding_bag(bags, pictures.reshape(-1, width), per_sample_weights=weights, mode="sum")
    return rows.view(n, channels, out, width)


def turn(pictures: Tensor) -> Tensor:
    """``(n, 3, h, w)`` to ``(n, 3, w, h)``, contiguous."""
    return pictures.transpose(2, 3).contiguous()


def crop_resize(pictures: Tensor, down: Taps, across: Taps) -> Tensor:
    """Pictures ``(n, 3, H, W)`` of any type, cut and resized to float32 ``(n, 3, w, h)``: turned.

    With taps of `triangle` this is torchvision's ``resized_crop``, bilinear and with antialias.
    """
    return weighted_rows(turn(weighted_rows(pictures.float(), down)), across)


def blur(turned: Tensor, down: Taps, across: Taps) -> Tensor:
    """Turned pictures ``(n, 3, w, h)`` blurred to ``(n, 3, h, w)``: upright.

    With taps of `gaussian` this is torchvision's ``gaussian_blur``.
    """
    return weighted_rows(turn(weighted_rows(turned, across)), down)


def triangle(start: Tensor, length: Tensor, out: int, flip: Tensor | None = None) -> Taps:
    """Taps that resize ``length`` rows from ``start`` on to ``out`` rows, in reverse where ``flip``; each ``(n,)``.

    An output row weighs the input rows around its place by a triangle, which is as wide as the scale where rows get
    fewer; no row outside of the crop is read.
    """
    place = torch.arange(0.5, out, device=start.device).expand(len(start), out)
    if flip is not None:
        place = torch.where(flip[:, None], out - place, place)
    scale = length[:, None] / out
    reach = scale.clamp(min=1)
    centre = scale * place
    k = math.ceil(2 * float(reach.max())) if len(start) else 2
    row = (centre - reach + 0.5).floor()[:, :, None] + torch.arange(k, device=start.device)
    last = (length[:, None, None] - 1).float()
    weights = (1 - (row + 0.5 - centre[:, :, None]).abs() / reach[:, :, None]).clamp_(min=0)
    weights *= (row >= 0) & (row <= last)
    weights /= weights.sum(2, keepdim=True)
    return Taps(row.clamp(min=0).minimum(last).long() + start[:, None, None], weights)


def gaussian(sigma: Tensor, radius: int, rows: int) -> Taps:
    """Taps that blur an axis of ``rows`` rows by ``sigma`` ``(n,)`` pixels, over a kernel of ``2 * radius + 1``.

    Beyond either end the axis goes on as its mirror image; ``radius`` has to be less than ``rows``.
    """
    offset = torch.arange(-radius, radius + 1, device=sigma.device)
    row = (torch.arange(rows, device=sigma.device)[:, None] + offset).abs()
    row = rows - 1 - (rows - 1 - row).abs()
    weights = torch.softmax(-0.5 * (offset / sigma[:, None]).square(), 1)
    return Taps(*(part.expand(len(sigma), rows, len(offset)) for part in (row, weights[:, None])))
