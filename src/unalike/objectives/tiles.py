"""How large the tiles are in which a score matrix is walked: the one place that knows about caches."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import NamedTuple

import torch


class Shape(NamedTuple):
    """Rows and columns of a tile."""

    rows: int
    columns: int


FEW = 512
"""Rows up to which one tile a thread is faster than several that would let a busy core do less."""


@functools.cache
def cache_bytes(level: int) -> int:
    """Size of a data cache of this machine, or a common size where the system does not tell."""
    common = {1: 32 << 10, 2: 1 << 20, 3: 16 << 20}[level]
    name = "SC_LEVEL1_DCACHE_SIZE" if level == 1 else f"SC_LEVEL{level}_CACHE_SIZE"
    try:
        told = os.sysconf(name)
    except (AttributeError, OSError, ValueError):  # not a system that knows the name
        return common
    return told if told > 0 else common


def portable(device: torch.device) -> Shape:
    """Tiles of the portable path: large, since each costs a dozen calls."""
    return Shape(1024, 1024) if device.type == "cpu" else Shape(4096, 4096)


@functools.lru_cache(maxsize=64)
def native(shape: tuple[int, int], threads: int, *, symmetric: bool) -> Shape:
    """Tiles of the native path: half of the second-level cache, and enough of them for every thread to have some."""
    n, m = shape
    room = cache_bytes(2) // 2 // 4
    if symmetric:
        side = _even(n, 4, int(room**0.5))
        return Shape(side, side)
    few = n <= FEW
    rows = _even(n, threads if few else max(4, 2 * threads), min(256, int((room / 2) ** 0.5)))
    return Shape(rows, _even(m, 1 if few else 2, room // rows))


@functools.lru_cache(maxsize=64)
def native_strip(shape: tuple[int, int], threads: int) -> Shape:
    """Rows of a strip over all columns whose exponentials stay near, and columns of a product in it."""
    n, m = shape
    room = 4 * cache_bytes(2) // 4
    parts = threads if n <= FEW else max(4, threads)
    return Shape(_even(n, parts, min(128, max(32, room // m))), _even(m, 1, 512))


def _even(length: int, parts: int, most: int) -> int:
    """The size of a tile, a multiple of 16 and no more than about ``most``, that cuts a length into like parts."""
    pieces = parts * max(1, -(-length // (parts * most)))
    return max(16, -(-length // (16 * pieces)) * 16)


def strip_rows(columns: int, *, megabytes: int = 16) -> int:
    """Rows of a strip over all columns that holds so many megabytes of float32."""
    return max(1, (megabytes << 18) // max(columns, 1))


def tiles(shape: tuple[int, int], tile: Shape, *, upper: bool) -> Iterator[tuple[slice, slice]]:
    """All tiles row by row, or those on and above the diagonal (``upper`` needs square tiles)."""
    n, m = shape
    for first in range(0, n, tile.rows):
        rows = slice(first, min(first + tile.rows, n))
        for start in range(first if upper else 0, m, tile.columns):
            yield rows, slice(start, min(start + tile.columns, m))
