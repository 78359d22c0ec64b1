"""Clips through convolutions over space and over time, one after the other."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import ClipColumn, Column, Failure
from unalike.data.clips import iter_frames
from unalike.errors import DataError, SettingsError
from unalike.views import plain

from .base import Encoded, Encoder, Prepared
from .memo import ByColumn
from .packed import IN_MEMORY, square
from .seeding import seeded


class PackedClips(Prepared):
    """Clips of one length and size, as bytes.

    Args:
        pixels: uint8 ``(N, L, 3, S, S)``, zeros where a row has no clip.
        present: bool ``(N,)``: which rows have a clip that could be read.
        failures: why others could not be read, by row.
    """

    def __init__(self, pixels: np.ndarray, present: np.ndarray, failures: Mapping[int, Failure] | None = None) -> None:
        self.pixels, self.present, self.failures = pixels, present, dict(failures or {})

    @classmethod
    def from_column(cls, column: ClipColumn, size: int, length: int) -> PackedClips:
        """Decode every clip: of more frames than ``length`` evenly spaced ones are kept, fewer are played in a loop."""
        pixels = _room((len(column), length, 3, size, size))
        present, failures = column.present.copy(), {}
        for row in np.flatnonzero(present).tolist():
            path = column[row]
            assert path is not None
            try:
                frames = [np.asarray(square(frame, size)).transpose(2, 0, 1) for frame in iter_frames(path)]
            except DataError as error:
                failures[row], present[row] = Failure(str(error)), False
                continue
            count = len(frames)
            chosen = np.arange(length) % count if count < length else np.linspace(0, count - 1, length).round()
            pixels[row] = [frames[int(index)] for index in chosen]
        return cls(pixels, present, failures)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: np.ndarray | Sequence[int]) -> Tensor:
        """uint8 ``(B, L, 3, S, S)``: a copy of the rows."""
        return torch.from_numpy(self.pixels[np.asarray(indices, np.int64)])

    def raw(self, indices: np.ndarray | Sequence[int]) -> Tensor:
        """float32 ``(B, 768)``: the mean of the frames, made small: what a clip shows without a model."""
        means = [self.take([row]).float().mean(1) for row in np.asarray(indices, np.int64)]
        return nn.functional.adaptive_avg_pool2d(torch.cat(means), 16).flatten(1)


_KNOWN: ByColumn[PackedClips] = ByColumn()


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros in memory, or of many clips in a file that vanishes with the process."""
    if math.prod(shape) <= IN_MEMORY:
        return np.zeros(shape, np.uint8)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


class ClipConv(Encoder):
    """A small R(2+1)D network: in each block a convolution over space and then one over time, as one residual.

    Paper: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018.

    Args:
        size: side of the frames in pixels.
        frames: of a clip, as evaluation reads them: from the middle.
        stride: from one of these to the next.
        length: frames that are kept of each file, from which views cut clips.
        widths: channels of the stages; each halves height and width.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: sizes below one, or a length that has no clip of so many frames.

    Example:
        >>> import torch
        >>> from unalike.encoders import ClipConv
        >>> encoder = ClipConv(size=16, frames=4, length=8, widths=(4, 8))
        >>> clips = torch.randint(0, 256, (2, 8, 3, 16, 16), dtype=torch.uint8)
        >>> encoder(encoder.plain(clips)).vector.shape
        torch.Size([2, 8])
    """

    kind = "video"

    def __init__(
        self,
        *,
        size: int = 32,
        frames: int = 8,
        stride: int = 1,
        length: int = 32,
        widths: Sequence[int] = (16, 32, 64),
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if min(size, frames, stride, *widths) < 1 or not widths or length < (frames - 1) * stride + 1:
            raise SettingsError(
                f"clips of size={size}, frames={frames}, stride={stride}, length={length}, widths={tuple(widths)}:"
                " sizes are at least 1, and length holds the frames at their stride"
            )
        self.size, self.frames, self.stride, self.length = size, frames, stride, length
        self.widths, self.width = tuple(widths), widths[-1]
        with seeded(seed):
            sizes = (3, *self.widths)
            self.blocks = nn.Sequential(*(_Block(a, b) for a, b in itertools.pairwise(sizes)))

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        return cls(size=size, **options)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedClips:
        if not isinstance(column, ClipColumn):
            raise DataError(f"a network for clips was given a column of the kind {column.kind!r}")
        size, length = self.size, self.length
        return _KNOWN.get(column, (size, length), lambda: PackedClips.from_column(column, size, length))

    def plain(self, inputs: Tensor) -> Tensor:
        """The middle of each clip, standardised: float32 ``(B, frames, 3, S, S)``."""
        start = (inputs.shape[1] - (self.frames - 1) * self.stride - 1) // 2
        chosen = inputs[:, start :: self.stride][:, : self.frames]
        shown = plain(self.size)(chosen.flatten(0, 1))
        return shown.reshape(*chosen.shape[:2], *shown.shape[1:])

    def forward(self, inputs: Tensor) -> Encoded:
        """Encode standardised clips ``(B, frames, 3, H, W)``; a token is a frame."""
        # Channels last: on a CPU these small convolutions are a sixth faster so, forward and backward.
        maps = self.blocks(inputs.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d))
        tokens = maps.mean((3, 4)).transpose(1, 2)
        return Encoded(tokens.mean(1), tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device))

    def config(self) -> dict[str, Any]:
        names = ("size", "frames", "stride", "length")
        return {"name": "clip", "widths": list(self.widths)} | {name: getattr(self, name) for name in names}


class FrameByFrame(Encoder):
    """An encoder of clips that is shown each frame as a clip of its own; the vector is the mean of theirs.

    No motion enters. It is what an encoder of pictures sees of a clip, with the parameters of one of clips.

    Args:
        encoder: of clips; its parameters are shared.

    Example:
        >>> import torch
        >>> from unalike.encoders import ClipConv, FrameByFrame
        >>> encoder = FrameByFrame(ClipConv(size=16, frames=4, length=8, widths=(4, 8))).eval()
        >>> clips = torch.randn(2, 4, 3, 16, 16)
        >>> torch.allclose(encoder(clips).vector, encoder(clips.flip(1)).vector, atol=1e-6)
        True
    """

    kind = "video"

    def __init__(self, encoder: ClipConv) -> None:
        super().__init__()
        self.encoder, self.size, self.width = encoder, encoder.size, encoder.width

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedClips:
        return self.encoder.prepare(column, cache=cache)

    def plain(self, inputs: Tensor) -> Tensor:
        return self.encoder.plain(inputs)

    def forward(self, inputs: Tensor) -> Encoded:
        """Encode standardised clips ``(B, frames, 3, H, W)``; a token is a frame."""
        clips, frames = inputs.shape[:2]
        tokens = self.encoder(inputs.flatten(0, 1)[:, None]).vector.view(clips, frames, -1)
        return Encoded(tokens.mean(1), tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device))

    def config(self) -> dict[str, Any]:
        return self.encoder.config()


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.space = nn.Conv3d(before, after, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False)
        self.time = nn.Conv3d(after, after, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.around = nn.Conv3d(before, after, 1, stride=(1, 2, 2), bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm3d(after) for _ in range(3))

    def forward(self, inputs: Tensor) -> Tensor:
        middle = self.norms[0](self.space(inputs)).relu()
        found: Tensor = self.norms[1](self.time(middle)) + self.norms[2](self.around(inputs))
        return found.relu()
