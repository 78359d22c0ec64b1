"""Random numbers for views: one draw for each sample, all from the generator that the caller holds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ATTEMPTS = 10
"""How often torchvision draws a rectangle before it gives up; ours has to have the same distribution."""


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Float64 draws from ``[low, high)``; double, so that no draw is rounded onto the upper end."""
    draws = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return draws.mul_(high - low).add_(low)


def coins(n: int, p: float, generator: torch.Generator) -> Tensor:
    """Bool ``(n,)``: true with probability ``p``."""
    return uniform((n,), 0.0, 1.0, generator) < p


def permutations(n: int, length: int, generator: torch.Generator) -> Tensor:
    """Int64 ``(n, length)``: a random order in each row."""
    return uniform((n, length), 0.0, 1.0, generator).argsort(1)


def rectangles(
    n: int,
    field: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
    largest: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Random rectangles inside a picture, distributed as in torchvision's ``RandomResizedCrop``.

    Args:
        n: how many.
        field: height and width of the picture in pixels.
        scale: least and greatest area, as a share of the picture's.
        ratio: least and greatest width over height; its logarithm is uniform.
        generator: where the draws come from.
        largest: greatest height and width that are accepted; the whole picture unless given.

    Returns:
        Int64 ``(n, 4)`` with top, left, height and width; and bool ``(n,)``, false where none of ten draws fitted.
    """
    height, width = field
    most_high, most_wide = largest or field
    area = uniform((n, ATTEMPTS), *scale, generator) * (height * width)
    aspect = uniform((n, ATTEMPTS), math.log(ratio[0]), math.log(ratio[1]), generator).exp_()
    w = (area * aspect).sqrt_().round_()
    h = (area / aspect).sqrt_().round_()
    fits = (w > 0) & (w <= most_wide) & (h > 0) & (h <= most_high)
    first = fits.int().argmax(1, keepdim=True)
    h, w = h.gather(1, first)[:, 0], w.gather(1, first)[:, 0]
    place = uniform((2, n), 0.0, 1.0, generator)
    top, left = (place[0] * (height - h + 1)).floor_(), (place[1] * (width - w + 1)).floor_()
    return torch.stack((top, left, h, w), 1).long(), fits.any(1)


def crops(
    n: int,
    field: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Int64 ``(n, 4)``: top, left, height and width of random crops; a central crop where no draw fitted."""
    boxes, found = rectangles(n, field, scale, ratio, generator)
    height, width = field
    w, h = width, height
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    centre = torch.tensor([(height - h) // 2, (width - w) // 2, h, w], device=boxes.device)
    return torch.where(found[:, None], boxes, centre)


def random_like(reference: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from ``[0, 1)``, made where the generator lives and moved to where the reference does."""
    return uniform(tuple(reference.shape), 0.0, 1.0, generator).to(reference.device)
