"""Shapes of animals: ten classes that raw pixels do not separate."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unalike.data.sets.pixels import copies, write_pixels
from unalike.data.sets.pixels import open_pixels as open_set
from unalike.data.unpack import load_numpy_pickle

__all__ = ["convert", "open_set"]

NAMES = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    folder = sources[0] / "animal_mnist/data/Animal_MNIST"
    pixels, codes = (
        np.asarray(load_numpy_pickle(gzip.decompress((folder / f"animal_{part}_version_3.gz").read_bytes())))
        for part in ("data", "label")
    )
    write_pixels(made, pixels, codes, NAMES, copies(pixels, tolerance=20.0))
