"""Pictures of one colour, whose names a model can learn in a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 220)}
INKS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 160, 30), "black": (0, 0, 0)}
"""Of squares on white ground."""
GERMAN = {"red": "rot", "blue": "blau", "green": "grün", "black": "schwarz"}


def noisy(colour: tuple[int, int, int], side: int, generator: np.random.Generator) -> np.ndarray:
    """Uint8 ``(side, side, 3)``: a colour with noise."""
    pixels = generator.integers(0, 60, (side, side, 3)) + np.asarray(colour) * 0.75
    return pixels.clip(0, 255).astype(np.uint8)


def paint(path: Path, colour: tuple[int, int, int], side: int, generator: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy(colour, side, generator)).save(path)


def on_white(path: Path, name: str, side: int) -> None:
    """A square of one of the inks, its corner at (2, 2), on a white picture of 24 x 24."""
    picture = Image.new("RGB", (24, 24), "white")
    picture.paste(INKS[name], (2, 2, 2 + side, 2 + side))
    picture.save(path)
