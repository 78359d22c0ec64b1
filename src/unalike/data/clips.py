"""Clips: films and animated pictures as sequences of frames, with limits that hold before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageSequence, UnidentifiedImageError

from unalike.data.images import MAX_PIXELS
from unalike.errors import DataError, MissingExtra

CLIP_SUFFIXES = frozenset(".avi .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .webm .wmv".split())  # noqa: SIM905
"""File names that are taken for films, in lower case."""

ANIMATED_SUFFIXES = frozenset({".apng", ".gif", ".webp"})
"""Pictures that may hold frames; they are clips where a column of clips names them."""

MOST_FRAMES = 20_000
"""Longest clip, in frames: at 25 a second a quarter of an hour. Longer ones are cut into clips first."""


def iter_frames(path: Path, *, max_pixels: int = MAX_PIXELS, most: int = MOST_FRAMES) -> Iterator[Image.Image]:
    """The frames of a clip in order, RGB; sound is passed over.

    Size and length are checked by the file's head before anything is decoded, and the length again while it is, since a
    head may lie.

    Args:
        path: a film that FFmpeg reads, or an animated GIF, WebP or PNG.
        max_pixels: largest frame.
        most: most frames.

    Raises:
        DataError: it cannot be read, has no moving pictures, or is too large or too long.
        MissingExtra: it is a film and PyAV is not installed.
    """
    frames = _of_animation if path.suffix.lower() in ANIMATED_SUFFIXES else _of_film
    count = 0
    for frame in frames(path, max_pixels, most):
        count += 1
        if count > most:
            raise DataError(_too_long(f"more than {most:,}", most))
        yield frame
    if count < 2:
        raise DataError(f"it has {'no frame' if not count else 'one frame and is a still picture'}; a clip has several")


def _of_film(path: Path, max_pixels: int, most: int) -> Iterator[Image.Image]:
    try:
        import av
    except ImportError as error:
        raise MissingExtra("PyAV, which reads films,", "video") from error
    try:
        with av.open(str(path), metadata_errors="replace") as film:
            if not film.streams.video:
                raise DataError("it has no moving pictures, only sound or nothing")
            stream = film.streams.video[0]
            if stream.codec_context is None:
                raise DataError("its pictures are packed in a way that this FFmpeg does not know")
            _check_size(stream.codec_context.width * stream.codec_context.height, max_pixels)
            stream.codec_context.options = {"max_pixels": str(max_pixels)}  # the size may change on the way
            if stream.frames > most:
                raise DataError(_too_long(f"{stream.frames:,}", most))
            for frame in film.decode(stream):
                yield frame.to_image()  # type: ignore[no-untyped-call]
    except av.FFmpegError as error:
        raise DataError(f"it cannot be read as a film: {error}") from error
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror or error}") from error


def _of_animation(path: Path, max_pixels: int, most: int) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            _check_size(picture.width * picture.height, max_pixels)
            count = getattr(picture, "n_frames", 1)
            if count > most:
                raise DataError(_too_long(f"{count:,}", most))
            for frame in ImageSequence.Iterator(picture):
                _check_size(frame.width * frame.height, max_pixels)  # a later frame may enlarge the picture
                yield frame.convert("RGB")
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"it cannot be read as an animated picture: {error}") from error
    except Exception as error:  # a damaged file raises whatever its parser trips over: struct.error, IndexError, ...
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"it cannot be read: {reason or type(error).__name__}") from error


def _check_size(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise DataError(f"its frames have {pixels:,} pixels; at most {max_pixels:,} are decoded")


def _too_long(count: str, most: int) -> str:
    return f"it has {count} frames; at most {most:,} are read. Cut it into clips"
