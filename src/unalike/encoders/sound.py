"""Recordings made ready for an encoder: log-mel spectrograms of one length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unalike.data import AudioColumn, Failure
from unalike.data.sound import RATE, decode_sound
from unalike.errors import DataError
from unalike.files import write_atomically, write_bytes

from .base import Prepared
from .memo import ByColumn

WINDOW, HOP, POINTS = 400, 160, 512
"""Samples of a window (25 ms), from one to the next (10 ms), and of the Fourier transform, at 16 kHz."""

FRAMES_A_SECOND = RATE // HOP
FLOOR = 1e-6
PASSED = 0.9
"""Share of the frequencies below half of a rate that filters let pass whole."""
VERSION = 2
"""Of what the cache holds."""


def mel_edges(mels: int) -> np.ndarray:
    """Where the bands of the mel scale of HTK begin, from 0 to 8 kHz: hertz, ``(mels + 2,)``; each ends two further."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges: np.ndarray = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    return edges


def bands_of(rate: int, mels: int) -> int:
    """How many bands, from below, tell of a recording of some rate what one of 16 kHz tells.

    Filters take away the last tenth below half of the rate, so that a band which reaches into it is not counted.

    Example:
        >>> from unalike.encoders.sound import bands_of
        >>> bands_of(44100, 64), bands_of(8000, 64)
        (64, 45)
    """
    if rate >= RATE:
        return mels
    return int((mel_edges(mels)[2:] <= PASSED * rate / 2).sum())


@cache
def mel_filters(mels: int) -> Tensor:
    """Triangles that are even on the mel scale of HTK, from 0 to 8 kHz: float32 ``(257, mels)``."""
    edges = mel_edges(mels)
    hertz = np.linspace(0, RATE / 2, POINTS // 2 + 1)[:, None]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def log_mel(samples: Tensor, *, mels: int = 64) -> Tensor:
    """The logarithm of a recording's power in bands of the mel scale, every 10 ms.

    Args:
        samples: ``(..., samples)`` at 16 kHz, 25 ms of them at least.
        mels: bands, from 0 to 8 kHz.

    Returns:
        float32 ``(..., mels, frames)``; the frame ``i`` sees 25 ms from ``10 i`` ms on, through a Hann window.

    Raises:
        DataError: there are fewer than 400 samples.

    Example:
        >>> import torch
        >>> from unalike.encoders import log_mel
        >>> log_mel(torch.zeros(16000), mels=40).shape
        torch.Size([40, 98])
    """
    if samples.shape[-1] < WINDOW:
        raise DataError(f"{samples.shape[-1]} samples; a window of a spectrogram has {WINDOW}")
    frames = samples.float().unfold(-1, WINDOW, HOP) * torch.hann_window(WINDOW, device=samples.device)
    power = torch.fft.rfft(frames, POINTS).abs().square()
    return (power @ mel_filters(mels).to(samples.device) + FLOOR).log().transpose(-1, -2)


class PackedSound(Prepared):
    """Spectrograms of one length, the shorter filled up with NaN at their end.

    Args:
        values: float16 ``(N, mels, frames)``; a row of nothing but NaN is missing.
        failures: by row, why it could not be read.
        notes: what a user should know of the recordings.
        bands: int64 ``(N,)``: how many bands of each hold what its rate can tell, from below; all without it.
        fill: float ``(mels,)``: what stands in the bands that a recording's rate cannot tell; NaN leaves what is there.

    Example:
        >>> import numpy as np
        >>> from unalike.encoders import PackedSound
        >>> PackedSound(np.zeros((4, 40, 98), np.float16)).take([1, 2]).shape
        torch.Size([2, 40, 98])
    """

    def __init__(
        self,
        values: np.ndarray,
        *,
        failures: Mapping[int, Failure] | None = None,
        notes: Sequence[str] = (),
        bands: np.ndarray | None = None,
        fill: np.ndarray | None = None,
    ) -> None:
        self.pixels = values
        """float16 ``(N, mels, frames)``"""
        self.failures = failures or {}
        self.notes = tuple(notes)
        self.bands = np.full(len(values), values.shape[1], np.int64) if bands is None else np.asarray(bands, np.int64)
        self.fill = fill
        self.present = ~np.isnan(np.asarray(values[:, 0, 0]))

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: np.ndarray | Sequence[int]) -> Tensor:
        """float32 ``(B, mels, frames)``: a copy of the rows."""
        rows = np.asarray(indices, np.int64)
        values = np.asarray(self.pixels[rows], np.float32)
        if self.fill is not None:
            unknown = np.arange(values.shape[1]) >= self.bands[rows][:, None]
            unknown &= ~np.isnan(self.fill)
            values = np.where(unknown[..., None] & ~np.isnan(values), self.fill[:, None], values).astype(np.float32)
        return torch.from_numpy(values)

    def filled(self, fill: np.ndarray) -> PackedSound:
        """The same with other values in the bands that a recording's rate cannot tell; NaN leaves a band as it is."""
        if (self.bands >= self.pixels.shape[1]).all():
            return self
        return PackedSound(self.pixels, failures=self.failures, notes=self.notes, bands=self.bands, fill=fill)

    def raw(self, indices: np.ndarray | Sequence[int]) -> Tensor:
        """float32 ``(B, 2 mels)``: mean and deviation over time, a description without a model; zeros where missing."""
        values = self.take(indices).numpy()
        known = ~np.isnan(values)
        count = np.maximum(known.sum(2), 1)
        mean = np.where(known, values, 0).sum(2) / count
        deviation = np.sqrt(np.where(known, np.square(values - mean[..., None]), 0).sum(2) / count)
        return torch.from_numpy(np.concatenate([mean, deviation], axis=1).astype(np.float32))


_KNOWN: ByColumn[PackedSound] = ByColumn()


def pack_sound(column: AudioColumn, *, mels: int, frames: int, cache: Path | None = None) -> PackedSound:
    """The log-mel spectrograms of a column's recordings, each of the first ``frames`` frames.

    What was packed is remembered as long as the column lives; with ``cache`` also on disk, if every row can be read.
    """
    if cache is None:
        return _KNOWN.get(column, (mels, frames), lambda: _packed(column, mels, frames))
    state = f"{VERSION} {mels} {frames} {column.fingerprint()}"
    path = cache / f"sound-{hashlib.blake2b(state.encode(), digest_size=16).hexdigest()}.npy"
    if path.exists() and path.with_suffix(".json").exists():
        kept = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return PackedSound(np.load(path, mmap_mode="r", allow_pickle=False), **kept)
    packed = _packed(column, mels, frames)
    if not packed.failures:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"notes": packed.notes, "bands": packed.bands.tolist()}
        write_bytes(path.with_suffix(".json"), json.dumps(kept).encode())
        write_atomically(path, partial(_save, packed.pixels))
        return PackedSound(np.load(path, mmap_mode="r", allow_pickle=False), notes=packed.notes, bands=packed.bands)
    return packed


def _save(values: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:  # np.save given a name adds an ending
        np.save(file, values, allow_pickle=False)


def _packed(column: AudioColumn, mels: int, frames: int) -> PackedSound:
    values = np.full((len(column), mels, frames), np.nan, np.float16)
    failures: dict[int, Failure] = {}
    bands = np.full(len(column), mels, np.int64)
    clipped = 0
    lowest = RATE
    seconds = (frames * HOP + WINDOW) / RATE
    known: dict[Path, int] = {}
    for row in range(len(column)):
        path = column[row]
        if path is None:
            continue
        if path in known:  # the same file again
            values[row], bands[row] = values[known[path]], bands[known[path]]
            continue
        try:
            sound = decode_sound(path, seconds=seconds)
        except DataError as error:
            failures[row] = Failure(str(error))
            continue
        samples = torch.from_numpy(sound.samples)
        if len(samples) < WINDOW:  # resampling rounds
            samples = torch.nn.functional.pad(samples, (0, WINDOW - len(samples)))
        found = log_mel(samples, mels=mels)[:, :frames]
        values[row, :, : found.shape[1]] = found.numpy()
        known[path] = row
        clipped += sound.clipped
        bands[row] = bands_of(sound.rate, mels)
        lowest = min(lowest, sound.rate)
    notes = [f"{clipped} recording{'s are' if clipped != 1 else ' is'} clipped: recorded too loud"] if clipped else []
    if low := int((bands < mels).sum()):
        what = "recording is" if low == 1 else "recordings are"
        notes.append(f"{low} {what} sampled at less than {RATE} Hz, {lowest} at least: no sound above half of that")
    return PackedSound(values, failures=failures, notes=notes, bands=bands)
