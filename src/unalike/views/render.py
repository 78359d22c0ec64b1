"""From pictures and drawn parameters to views: nothing here is random."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .color import WHITE, Stages, grey_, jitter_, solarize_
from .parameters import NO_HUE, UNTOUCHED, ImageParameters
from .resample import blur, crop_resize, gaussian, triangle

CPU_BLOCK = 2 * 2**20
"""Bytes of pixels that are worked on at once on a CPU, few enough to stay in its caches."""

DEVICE_BLOCK = 256 * 2**20
"""The same elsewhere, where large blocks keep the device busy."""

NEGLIGIBLE = 5.5
"""A Gaussian's taps farther out than this many sigmas weigh less than float32 resolves: exp(-5.5**2 / 2) = 3e-7."""


def render(
    images: Tensor,
    parameters: ImageParameters,
    shape: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
) -> Tensor:
    """Crop, flip, jitter, grey, blur, solarize, standardise and erase, each picture as its row of parameters says.

    Pictures of a kind travel together, the blurred ones last and by rising width, so that every operation works on a
    contiguous part of a block that stays in cache.

    Args:
        images: ``(B, 3, H, W)`` uint8.
        parameters: ``n`` rows, a multiple of ``B``; row ``i`` belongs to picture ``i % B``.
        shape: height and width of the result in pixels.
        mean: of each channel, between 0 and 1.
        std: of each channel.

    Returns:
        Float32 ``(n, 3, h, w)``.
    """
    device = images.device
    result = _room((len(parameters), 3, *shape), device)
    if not len(parameters):
        return result
    host = parameters.to("cpu")
    kinds = host.kinds().numpy()
    order = np.lexsort((host.sigma.numpy(), kinds))
    host, kinds = host[torch.from_numpy(order)], kinds[order]
    here, rows = host.to(device), torch.from_numpy(order).to(device)

    top, left, high, wide = here.crop.unbind(1)
    down, across = triangle(top, high, shape[0]), triangle(left, wide, shape[1], here.flip)
    stages = Stages.of(here.jitter, here.order)
    offset, scale = torch.tensor([mean, std], device=device)[:, :, None, None] * WHITE

    for block in _blocks(kinds, (CPU_BLOCK if images.is_cpu else DEVICE_BLOCK) // result[0].nbytes):
        sources = images.index_select(0, rows[block] % len(images))
        turned = crop_resize(sources, down.part(block), across.part(block))
        kind = int(kinds[block.start])
        if kind != UNTOUCHED:
            jitter_(turned, stages.part(block), None if kind == NO_HUE else kind)
        grey_(turned, _where(host.gray[block], device))
        edge = block.start + int((host.sigma[block] == 0).sum())
        for part, pictures in (
            (slice(block.start, edge), turned[: edge - block.start].transpose(2, 3)),
            (slice(edge, block.stop), _blurred(turned[edge - block.start :], host.sigma[edge : block.stop])),
        ):
            if len(pictures):
                solarize_(pictures, _where(host.solarize[part], device))
                result.index_copy_(0, rows[part], pictures.sub_(offset).div_(scale))
    for row in parameters.erase[:, 2].nonzero()[:, 0].tolist():
        top, left, high, wide = parameters.erase[row].tolist()
        result[row, :, top : top + high, left : left + wide] = 0
    return result


def _blurred(turned: Tensor, sigma: Tensor) -> Tensor:
    """Blur turned pictures upright by rising ``sigma`` on the CPU, over a kernel of a tenth of their size."""
    _, _, width, height = turned.shape
    if not len(turned):
        return turned
    radius = max(1, min(width, height) // 20)
    radius = min(radius, math.ceil(NEGLIGIBLE * float(sigma[-1])))
    sigma = sigma.to(turned.device)
    down = gaussian(sigma, radius, height)
    return blur(turned, down, down if width == height else gaussian(sigma, radius, width))


def _where(flags: Tensor, device: torch.device) -> Tensor:
    return flags.nonzero()[:, 0].to(device)


def _room(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """An uninitialised float32 tensor.

    On a CPU numpy asks the system for huge pages where torch does not: the price of the small ones, a page fault for
    every 4 KiB, is above that of all that is written to them.
    """
    if device.type == "cpu":
        return torch.from_numpy(np.empty(shape, np.float32))
    return torch.empty(shape, device=device)


def _blocks(kinds: np.ndarray, limit: int) -> Iterator[slice]:
    """Parts of at most ``limit`` rows, none across two kinds and all of a kind of nearly one size."""
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    for start, stop in itertools.pairwise(edges):
        cuts = np.linspace(start, stop, math.ceil((stop - start) / max(1, limit)) + 1).astype(int).tolist()
        yield from itertools.starmap(slice, itertools.pairwise(cuts))
