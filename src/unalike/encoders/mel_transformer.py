"""Recordings through convolutions that take time down by four, and a transformer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from unalike.data import AudioColumn, Column
from unalike.data.sound import survey
from unalike.errors import DataError, SettingsError

from .base import Encoded, Encoder
from .seeding import seeded
from .sound import FRAMES_A_SECOND, PackedSound, bands_of, pack_sound

SAMPLE = 200
"""Recordings by which spectrograms are standardised."""


class MelTransformer(Encoder):
    """Log-mel spectrograms through two convolutions of stride 2 and transformer blocks: a token every 40 ms.

    Each band is standardised by the training recordings' mean and deviation (`plain`). Where a recording's rate is too
    low to tell of a band that these hold, their mean stands in it: a telephone's recording is like its own in full, and
    not like silence. The vector is the mean of the tokens. What a recording gives does not depend on how much padding
    stands behind it.

    Args:
        frames: of a spectrogram, 100 a second; of a longer recording the beginning is read.
        mels: bands.
        width: length of the vectors and tokens.
        depth: transformer blocks.
        heads: of the attention.
        mean: of each band, float ``(mels,)``; 0 without it.
        std: of each band, float ``(mels,)`` and above 0; 1 without it.
        heard: how many bands, from below, the training recordings' rates tell of. In these the mean stands for what a
            recording's own rate cannot tell; in none without it.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a size is below one, or the width is no multiple of the heads.

    Example:
        >>> import torch
        >>> from unalike.encoders import MelTransformer
        >>> encoded = MelTransformer(frames=100, mels=40, width=32, depth=1)(torch.zeros(2, 40, 90))
        >>> encoded.vector.shape, encoded.tokens.shape
        (torch.Size([2, 32]), torch.Size([2, 23, 32]))
    """

    kind = "audio"

    def __init__(
        self,
        frames: int,
        *,
        mels: int = 64,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        mean: np.ndarray | None = None,
        std: np.ndarray | None = None,
        heard: int = 0,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if min(frames, mels, width, depth, heads) < 1 or width % heads:
            raise SettingsError(
                f"frames={frames}, mels={mels}, width={width}, depth={depth}, heads={heads}: each is at least 1, and"
                " the width a multiple of the heads"
            )
        self.frames, self.mels, self.width, self.depth, self.heads = frames, mels, width, depth, heads
        self.heard = heard
        self.mean: Tensor
        self.std: Tensor
        for name, given, default in (("mean", mean, torch.zeros), ("std", std, torch.ones)):
            value = default(mels) if given is None else torch.from_numpy(np.asarray(given, np.float32).copy())
            self.register_buffer(name, value[:, None])
        with seeded(seed):
            self.first = nn.Conv1d(mels, width, 3, stride=2, padding=1)
            self.second = nn.Conv1d(width, width, 3, stride=2, padding=1)
            self.norm = nn.LayerNorm(width)
            self.place = nn.Conv1d(width, width, 15, padding=7, groups=width)
            self.blocks = nn.ModuleList(
                nn.TransformerEncoderLayer(
                    width, heads, 4 * width, dropout=0.0, activation=gelu, batch_first=True, norm_first=True
                )
                for _ in range(depth)
            )
            self.last = nn.LayerNorm(width)

    @classmethod
    def for_columns(
        cls, columns: Sequence[Column], *, given: str, size: int, seconds: float = 8.0, mels: int = 64, **options: Any
    ) -> Self:
        """An encoder for recordings of up to ``seconds``, or of the longest of them if that is shorter."""
        if not 0.1 <= seconds <= 600:
            raise SettingsError(f"seconds={seconds}: of a recording 0.1 to 600 seconds can be read")
        lengths, rates, sampled = [0.1], [0], []
        for column in columns:
            heard = _recordings(column)
            headers, _ = survey(heard)
            lengths += [header.seconds for header in headers.values()]
            rates += [header.rate for header in headers.values()]
            rows = np.array(sorted(headers), np.int64)
            picked = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE // len(columns) + 1)).astype(int))
            sampled.append(heard.select(rows[picked]) if len(rows) else heard.select([]))
        frames = math.ceil(min(seconds, max(lengths)) * FRAMES_A_SECOND)
        values = [pack_sound(column, mels=mels, frames=frames).pixels for column in sampled]
        known = np.concatenate([each.transpose(0, 2, 1).reshape(-1, mels) for each in values]).astype(np.float64)
        known = known[~np.isnan(known[:, 0])]
        if not len(known):
            raise DataError("none of the recordings can be read")
        # A band that never changes (a telephone's, above 4 kHz) stays near zero instead of being blown up.
        std = np.maximum(known.std(0), 0.1)
        return cls(frames, mels=mels, mean=known.mean(0), std=std, heard=bands_of(max(rates), mels), **options)

    @classmethod
    def options(cls) -> set[str]:
        return super().options() - {"heard"} | {"seconds"}

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedSound:
        packed = pack_sound(_recordings(column), mels=self.mels, frames=self.frames, cache=cache)
        fill = self.mean[:, 0].cpu().numpy().copy()
        fill[self.heard :] = np.nan
        return packed.filled(fill)

    def plain(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.std

    def standing(self, inputs: Tensor) -> Tensor:
        """Bool ``(B, L)``: where `subsample` gives tokens."""
        heard = ~inputs.isnan().any(1)
        longest = max(int((heard * torch.arange(1, heard.shape[1] + 1, device=heard.device)).max()), 1)
        return heard[:, :longest][:, ::4]

    def subsample(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(B, L, width)`` before any context, and bool ``(B, L)``, true where a token stands.

        Args:
            inputs: standardised spectrograms ``(B, mels, frames)``, NaN behind the end.
        """
        mask = self.standing(inputs)
        heard = ~inputs[..., : 4 * mask.shape[1]].isnan().any(1)
        hidden = torch.where(heard[:, None], inputs[..., : 4 * mask.shape[1]], 0)
        for convolution in (self.first, self.second):
            heard = heard[:, ::2]
            hidden = gelu(convolution(hidden)) * heard[:, None]
        return self.norm(hidden.transpose(1, 2)), mask

    def contexts(self, features: Tensor, mask: Tensor) -> list[Tensor]:
        """What each block makes of features ``(B, L, width)``, first to last; the last one is normalised."""
        hidden = features * mask[..., None]
        hidden = hidden + gelu(self.place(hidden.transpose(1, 2))).transpose(1, 2)
        hide = ~mask
        hide[:, 0] = False  # attention to nothing is not a number
        found = []
        for block in self.blocks:
            hidden = block(hidden, src_key_padding_mask=hide)
            found.append(hidden)
        found[-1] = self.last(hidden)
        return found

    def forward(self, inputs: Tensor) -> Encoded:
        """Encode standardised spectrograms ``(B, mels, frames)``, NaN behind the end of each."""
        features, mask = self.subsample(inputs)
        tokens = self.contexts(features, mask)[-1] * mask[..., None]
        return Encoded(tokens.sum(1) / mask.sum(1, keepdim=True).clamp(min=1), tokens, mask)

    def config(self) -> dict[str, Any]:
        names = ("frames", "mels", "width", "depth", "heads", "heard")
        return {"name": "mel"} | {name: getattr(self, name) for name in names}


def _recordings(column: Column) -> AudioColumn:
    if not isinstance(column, AudioColumn):
        raise DataError(f"this encoder reads recordings; given: a column of the kind {column.kind!r}")
    return column
