"""Small films made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np


def moving_square(kind: str, number: int, frames: int = 12, side: int = 32) -> list[np.ndarray]:
    """A bright square that goes right or down, from another place and over another ground for each number."""
    rng = np.random.default_rng(number)
    ground = rng.integers(0, 120, 3)
    place = rng.integers(0, side // 2, 2)
    shown = []
    for t in range(frames):
        frame = np.full((side, side, 3), ground, np.uint8)
        down, right = (place + t * np.array([kind == "down", kind == "right"])) % (side - 8)
        frame[down : down + 8, right : right + 8] = 250
        shown.append(frame)
    return shown


def write_film(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """Frames uint8 ``(H, W, 3)`` as MPEG-4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=12)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())
    return path
