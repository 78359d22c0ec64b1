"""Pictures from anywhere: one safe way to decode them, the same for files, bytes, arrays and PIL pictures.

Whatever a file holds, the result is an upright 8-bit RGB picture or a `DataError` that says what is wrong with it.
Nothing is run, nothing is downloaded, and a picture too large for memory is refused from its header.
"""

from __future__ import annotations

import importlib.util
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from unalike.errors import DataError

ImageSource: TypeAlias = str | Path | bytes | np.ndarray | Image.Image
"""Where a picture comes from: a path, an encoded file's bytes, uint8 ``(H, W)`` or ``(H, W, 3)``, a PIL picture."""

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded, in pixels; a larger one is taken for a decompression bomb."""

PICTURE_SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()  # noqa: SIM905
)
"""File names that are taken for pictures, in lower case."""

# Decoders that only parse. Pillow's others stay out of reach: EPS, for one, starts Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "MPO", "HEIF")

_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""What stands behind ``ftyp`` at the beginning of a HEIC file."""


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Failure:
    """Why a picture could not be read."""

    reason: str


@dataclass(frozen=True)
class Header:
    """What a picture says about itself before it is decoded: (width, height) in pixels, and whether it has frames."""

    size: tuple[int, int]
    animated: bool


def decode(source: ImageSource, *, max_pixels: int = MAX_PIXELS, shortest: int | None = None) -> Image.Image:
    """Decode one picture: the first frame, turned upright as its EXIF says, alpha laid on white, 8-bit RGB.

    Args:
        source: a path, the bytes of an encoded file, a uint8 array ``(H, W)`` or ``(H, W, 3)``, or a PIL picture.
        max_pixels: refuse, from the header, a picture of more pixels than this.
        shortest: the shortest side, in pixels, that the caller needs. A JPEG may then be decoded at a half, a
            quarter or an eighth of its size, never below this; other formats ignore it.

    Raises:
        DataError: the picture cannot be read; the message is the reason alone, without the picture's name.

    Example:
        >>> import numpy as np
        >>> decode(np.zeros((4, 6), np.uint8)).size
        (6, 4)
    """
    with _opened(source, max_pixels) as picture:
        if shortest is not None and picture.format in ("JPEG", "MPO"):
            picture.draft(None, (shortest, shortest))
        return _to_rgb(_upright(picture))


def decode_map(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture whose values are numbers and no colours, or numbers of a palette's colours: int64 ``(H, W)``.

    Raises:
        DataError: as `decode` does, or it has several channels.
    """
    with _opened(source, max_pixels) as picture:
        if picture.mode not in ("1", "L", "P", "I", "I;16"):
            raise DataError(f"a picture of the mode {picture.mode}; a map of numbers has one channel, or a palette")
        return np.asarray(picture).astype(np.int64)


def read_header(source: ImageSource | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Size of a picture and whether it is animated, without decoding it.

    Args:
        source: as for `decode`, or a file that is open and stays so.
        max_pixels: as for `decode`.

    Raises:
        DataError: as `decode` does; damage behind the header goes unseen.
    """
    with _opened(source, max_pixels) as picture:
        # A phone's JPEG often carries a second picture (MPO: depth map, preview). That is no animation.
        animated = picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
        return Header(picture.size, animated)


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this build of Pillow can read, of those that are safe; HEIC where its extra is installed."""
    Image.init()
    if importlib.util.find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def _opened(source: ImageSource | BinaryIO, max_pixels: int) -> Iterator[Image.Image]:
    """A picture whose header was read and found small enough; whatever goes wrong becomes a `DataError`."""
    try:
        if isinstance(source, Image.Image):
            _check_size(source, max_pixels)
            yield source.copy()  # the caller's picture is neither turned nor closed
        elif isinstance(source, np.ndarray):
            picture = Image.fromarray(_check_array(source))
            _check_size(picture, max_pixels)
            yield picture
        else:
            held = check_file(source) if isinstance(source, str | Path | bytes) else source
            with Image.open(held, formats=_formats()) as picture:
                _check_size(picture, max_pixels)
                yield picture
    except DataError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit comes first, without the picture's size
        raise DataError(_too_large(str(error), max_pixels)) from error
    except UnidentifiedImageError as error:
        start = _head(cast("str | Path | bytes | BinaryIO", source))
        if start[4:8] == b"ftyp" and start[8:12] in _HEIC and "HEIF" not in _formats():
            raise DataError("a HEIC picture, which takes an extra: pip install 'unalike[heic]'") from error
        raise DataError(f"not a picture in a known format (it begins with {start!r})") from error
    except Exception as error:  # a damaged file raises whatever its parser trips over: struct.error, KeyError, ...
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError((reason or type(error).__name__).strip()) from error


def _check_size(picture: Image.Image, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise DataError(_too_large(f"{width:,} x {height:,} pixels", max_pixels))


def _too_large(what: str, max_pixels: int) -> str:
    return f"too large ({what}): at most {max_pixels:,} pixels are decoded, because more may be a decompression bomb"


def check_file(source: str | Path | bytes) -> Path | io.BytesIO:
    """What Pillow may open: the bytes of a file or the path of a regular one. A pipe would be waited for, for ever."""
    if isinstance(source, bytes):
        if not source:
            raise DataError("no bytes at all")
        return io.BytesIO(source)
    path = Path(source)
    try:
        status = path.stat()
    except FileNotFoundError:
        reason = f"a link to {path.readlink()}, which is not there" if path.is_symlink() else "there is no such file"
        raise DataError(reason) from None
    if stat.S_ISDIR(status.st_mode):
        raise DataError("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file")
    if status.st_size == 0:
        raise DataError("the file is empty (0 bytes)")
    return path


def _check_array(array: np.ndarray) -> np.ndarray:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise DataError(f"an array {array.shape} of {array.dtype}; a picture is uint8 (H, W), (H, W, 3) or (H, W, 4)")
    return np.ascontiguousarray(array)


def _head(source: str | Path | bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        return source[:12]
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return file.read(12)
    source.seek(0)
    return source.read(12)


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as the EXIF orientation says."""
    picture.load()  # first: Pillow turns TIFF itself while loading, and PNG may have its EXIF behind the pixels
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF that cannot be parsed says nothing about the picture, which may still be sound
        return picture
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def _to_rgb(picture: Image.Image) -> Image.Image:
    """8-bit RGB: deep grey is scaled, alpha laid on white, everything else converted by Pillow."""
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    """Grey of more than 8 bits as uint8. Pillow's own conversion clips at 255 and leaves nearly all of it white.

    16-bit grey is divided by 257; fractions within 0..1 are multiplied by 255; any other range is stretched from its
    own least to its own largest value.
    """
    if not np.isfinite(grey).all():
        raise DataError("grey values that are not finite")
    least, most = float(grey.min()), float(grey.max())
    if np.issubdtype(grey.dtype, np.integer) and least >= 0 and most <= 65535:
        least, most = 0.0, 65535.0
    elif least >= 0 and most <= 1:
        least, most = 0.0, 1.0
    scaled = (grey.astype(np.float64) - least) * (255.0 / ((most - least) or 1.0))
    return np.rint(scaled).astype(np.uint8)
