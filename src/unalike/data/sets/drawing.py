"""How the rendered sets draw at random and put one picture on another: the same pixels wherever they are made."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from unalike.data.columns import ImageColumn


class Draws:
    """Numbers drawn one after the other from what names a picture, so that no picture depends on those before it.

    They come out of a hash and not of a generator, whose stream may change between versions of NumPy.

    Args:
        *key: what they are drawn from, such as the set's name and the row.

    Example:
        >>> draws = Draws("clutter", "train", 7)
        >>> round(draws.number(0, 10), 3), draws.whole(6)
        (7.566, 0)
    """

    def __init__(self, *key: object) -> None:
        self._key, self._drawn = " ".join(map(str, key)), 0

    def number(self, low: float = 0.0, high: float = 1.0) -> float:
        """Evenly between ``low`` and ``high``."""
        self._drawn += 1
        bits = hashlib.blake2b(f"{self._key} {self._drawn}".encode(), digest_size=8).digest()
        return low + (high - low) * ((int.from_bytes(bits, "big") >> 11) * 2.0**-53)

    def whole(self, below: int) -> int:
        """One of 0, 1, ... below ``below``."""
        return int(self.number() * below)

    def shuffled(self, count: int) -> np.ndarray:
        """The numbers below ``count`` in a random order."""
        return np.argsort([self.number() for _ in range(count)], kind="stable")


def crop(photo: Image.Image, side: int, draws: Draws, *, zoom: float = 4.0) -> np.ndarray:
    """A random square of a photo, reduced by 1 to ``zoom`` times to uint8 ``(side, side, 3)``."""
    largest = min(zoom, min(photo.size) / side)
    width = side * draws.number(1.0, largest)
    left, top = (draws.number(0.0, edge - width) for edge in photo.size)
    part = photo.resize((side, side), Image.Resampling.BOX, box=(left, top, left + width, top + width))
    return np.asarray(part.convert("RGB"))


def shape_of(grey: np.ndarray) -> Image.Image:
    """A drawing on black, uint8 ``(H, W)``, cut to where it is not black."""
    rows, columns = (np.flatnonzero((grey > 0).any(axis)) for axis in (1, 0))
    return Image.fromarray(grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def fitted(shape: Image.Image, longest: float) -> Image.Image:
    """A shape scaled so that its longer side has so many pixels, rounded."""
    scale = longest / max(shape.size)
    width, height = (max(1, round(edge * scale)) for edge in shape.size)
    return shape.resize((width, height), Image.Resampling.LANCZOS)


def paste(ground: np.ndarray, shape: Image.Image, draws: Draws, *, contrast: float = 70.0) -> np.ndarray:
    """Put a shape on a picture, at a random place, in a random colour that stands out from what it covers.

    Args:
        ground: uint8 ``(H, W, 3)``.
        shape: grey levels, the opacity of the ink; no larger than the ground.
        draws: where the place, the colour and the opacity come from.
        contrast: smallest difference of luminance, of 255, between the ink and the mean of what it covers.

    Returns:
        uint8 ``(H, W, 3)``
    """
    covering = np.asarray(shape, np.float64)[..., None] / 255 * draws.number(0.75, 1.0)
    height, width, _ = covering.shape
    top, left = (draws.whole(edge - part + 1) for edge, part in zip(ground.shape[:2], (height, width), strict=True))
    made = ground.astype(np.float64)
    under = made[top : top + height, left : left + width]
    grey = np.array([0.299, 0.587, 0.114])
    # One by one: NumPy hands sums of products to libraries whose last digits differ between machines.
    mean = sum(float(under[..., c].mean()) * grey[c] for c in range(3))
    while True:
        ink = np.array([draws.number(0, 255) for _ in range(3)])
        if abs(sum(ink[c] * grey[c] for c in range(3)) - mean) >= contrast:
            break
    made[top : top + height, left : left + width] = under * (1 - covering) + ink * covering
    return np.rint(made).astype(np.uint8)


def open_photo(path: str | Path) -> Image.Image:
    with Image.open(path) as photo:
        return photo.convert("RGB")


def art_of(column: ImageColumn, row: int) -> Image.Image:
    """A picture of a set that keeps them as the bytes of their files, RGBA."""
    source = column.source(row)
    if not isinstance(source, bytes):
        raise TypeError(f"art comes as the bytes of its file, not as {type(source).__name__}")
    with Image.open(io.BytesIO(source)) as picture:
        return picture.convert("RGBA")


def write_frames(path: Path, frames: Sequence[Image.Image]) -> None:
    """Keep frames as a lossless animated WebP.

    The format merges frames that follow each other and are equal; so that none is, the lowest bit of the first
    pixel's blue tells even frames from odd ones.
    """
    marked = [frame.copy() for frame in frames]
    for number, frame in enumerate(marked):
        red, green, blue = frame.getpixel((0, 0))  # type: ignore[misc]
        frame.putpixel((0, 0), (red, green, blue & 254 | number & 1))
    marked[0].save(path, save_all=True, append_images=marked[1:], lossless=True, quality=50, method=0, duration=40)
