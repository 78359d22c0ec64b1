"""Recordings from files: one safe way to decode them, mono and at one rate.

Whatever a file holds, the result is samples of one channel at 16 kHz or a `DataError` that says what is wrong with it.
Lengths are read from the header, so that hours of sound are never decoded for a few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from unalike.data.images import Failure
from unalike.data.media import AudioColumn
from unalike.data.wording import counted
from unalike.errors import DataError, MissingExtra

SOUND_SUFFIXES = frozenset(".aif .aiff .au .caf .flac .mp3 .oga .ogg .opus .wav".split())  # noqa: SIM905
"""File names that are taken for recordings, in lower case."""

RATE = 16_000
"""Samples a second of what is decoded."""

LEAST_SECONDS = 0.025
"""Length of one window of a spectrogram: shorter recordings hold nothing to look at."""

MAX_SECONDS = 4 * 3600.0
"""Longest recording that is opened."""

MAX_CHANNELS = 64

MAX_SAMPLES = 1 << 28
"""Most numbers that are decoded at once, 1 GiB: an hour and a half of a recording of one channel at 48 kHz."""

SILENCE = 1e-4
"""Greatest absolute sample, of a full scale of 1, of what is called silent: 80 decibels below."""

CANCELLED = 1e-3
"""Share of the channels' power that is left in their mean, below which they are called of opposite phase."""

CLIPPED = 1e-3
"""Share of samples at full scale from which on a recording is called clipped."""


@dataclass(frozen=True)
class SoundHeader:
    """What a recording says about itself before it is decoded."""

    seconds: float
    rate: int
    channels: int


@dataclass(frozen=True)
class Sound:
    """A recording: float32 ``(samples,)`` in [-1, 1] at 16 kHz; whether it was recorded too loud; and its own rate."""

    samples: np.ndarray
    clipped: bool
    rate: int = RATE


def read_header(path: Path, *, max_seconds: float = MAX_SECONDS) -> SoundHeader:
    """Length, rate and channels of a recording, without decoding it.

    Args:
        path: the file.
        max_seconds: longest recording that is accepted.

    Raises:
        DataError: it is no recording, or too short, too long, or of a rate or number of channels that nothing records;
            the message is the reason alone, without the file's name.
        MissingExtra: the package `soundfile` is not installed.
    """
    soundfile = _soundfile()
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise DataError(_reason(path, error)) from error
    if not 1000 <= info.samplerate <= 768_000 or not 1 <= info.channels <= MAX_CHANNELS:
        raise DataError(
            f"{info.channels} channels at {info.samplerate} Hz; expected 1 to {MAX_CHANNELS} at 1000 to 768000 Hz"
        )
    seconds = info.frames / info.samplerate
    if seconds < LEAST_SECONDS:
        raise DataError(
            f"{counted(info.frames, 'sample')}, {1000 * seconds:.3g} ms; at least {1000 * LEAST_SECONDS:.0f} ms needed"
        )
    if seconds > max_seconds:
        raise DataError(f"{seconds / 3600:.1f} hours; at most {max_seconds / 3600:g} are opened: cut it into pieces")
    return SoundHeader(seconds, info.samplerate, info.channels)


def decode_sound(
    path: Path, *, seconds: float | None = None, max_seconds: float = MAX_SECONDS, rate: int = RATE
) -> Sound:
    """Decode the beginning of a recording: the mean of its channels, resampled to one rate.

    Where the channels cancel each other (one of opposite phase), the loudest of them stands for all.

    Args:
        path: the file.
        seconds: how much of it; all where it is None.
        max_seconds: longest recording that is accepted, even if less of it is decoded.
        rate: samples a second of the result.

    Raises:
        DataError: it cannot be read, is silent, or holds what is no number; the message is the reason alone.
        MissingExtra: `soundfile` or `soxr` is not installed.

    Example:
        >>> import tempfile
        >>> import soundfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "tone.wav")
        ...     soundfile.write(path, np.sin(np.arange(8000) / 5), 8000)
        ...     len(decode_sound(path).samples)
        16000
    """
    soundfile = _soundfile()
    header = read_header(path, max_seconds=max_seconds)
    there = round(header.seconds * header.rate)
    wanted = there if seconds is None else min(there, int(np.ceil(seconds * header.rate)))
    numbers = wanted * header.channels
    if numbers > MAX_SAMPLES:
        raise DataError(
            f"{counted(wanted, 'sample')} of {counted(header.channels, 'channel')}, {numbers * 4 / 2**30:.2g} GiB; "
            f"at most {MAX_SAMPLES * 4 >> 30} GiB are decoded at once: cut it into pieces, or ask for its first seconds"
        )
    try:
        channels, _ = soundfile.read(str(path), frames=wanted, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise DataError(_reason(path, error)) from error
    if len(channels) < LEAST_SECONDS * header.rate:
        raise DataError(f"it breaks off after {counted(len(channels), 'sample')}")
    if not np.isfinite(channels).all():
        raise DataError("samples that are not finite numbers")
    clipped = float((np.abs(channels) >= 0.999).mean()) > CLIPPED
    samples = channels.mean(axis=1)
    power = np.square(channels).mean(axis=0)
    if np.square(samples).mean() < CANCELLED * power.mean():
        samples = channels[:, int(power.argmax())]
    if np.abs(samples).max() < SILENCE:
        raise DataError(
            "it is silent" if seconds is None else f"its first {len(channels) / header.rate:.3g} s are silent"
        )
    if header.rate != rate:
        samples = _soxr().resample(samples, header.rate, rate)
    return Sound(np.ascontiguousarray(samples, np.float32), clipped, header.rate)


def survey(column: AudioColumn) -> tuple[dict[int, SoundHeader], dict[int, Failure]]:
    """The headers of a column's recordings by row, and the rows whose header cannot be read."""
    headers: dict[int, SoundHeader] = {}
    failures: dict[int, Failure] = {}
    for row in range(len(column)):
        path = column[row]
        if path is None:
            continue
        try:
            headers[row] = read_header(path)
        except DataError as error:
            failures[row] = Failure(str(error))
    return headers, failures


def notes_of(headers: Mapping[int, SoundHeader]) -> list[str]:
    """What a user should know of recordings: rates that differ."""
    rates = sorted({header.rate for header in headers.values()})
    if len(rates) < 2:
        return []
    counts = ", ".join(f"{sum(h.rate == rate for h in headers.values())} at {rate} Hz" for rate in rates)
    return [f"recordings of several rates ({counts}): all are resampled to {RATE} Hz"]


def sound_column(values: Sequence[str | Path | None] | AudioColumn, base: str | Path = "") -> AudioColumn:
    """Paths as recordings; an empty one is missing.

    Raises:
        DataError: an entry is no path.
    """
    if isinstance(values, AudioColumn):
        return values
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, str | Path):
            raise DataError(f"row {row} is a {type(value).__name__}; recordings are paths of files, or None")
    return AudioColumn([value or None for value in values], root=base)


def _reason(path: Path, error: Exception) -> str:
    if not path.exists():
        return "there is no such file"
    if path.is_dir():
        return "it is a folder"
    if not path.stat().st_size:
        return "the file is empty"
    return f"it is no recording that can be read: {str(error).rpartition(': ')[2].rstrip('.')}"


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtra("soundfile", "audio") from error
    return soundfile


def _soxr() -> ModuleType:
    try:
        import soxr
    except ImportError as error:
        raise MissingExtra("soxr", "audio") from error
    return soxr
