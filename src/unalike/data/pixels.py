"""Pictures that are arrays or tensors: any order of channels, whole numbers or floats, made 8-bit by one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from unalike.errors import DataError

_CHANNELS = (1, 3, 4)


def as_numpy(values: Any) -> Any:
    """A tensor, or whatever offers itself as an array, in NumPy; anything else, pictures too, as it is."""
    if isinstance(values, np.ndarray | np.generic | Image.Image | pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "detach"):  # a tensor, which may need gradients, lie on a GPU or be of half precision
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values) if hasattr(values, "__array__") else values


def is_pictures(array: np.ndarray) -> bool:
    """Whether an array of several things can be nothing else but pictures.

    These are whole numbers of 8 or 16 bits ``(N, H, W)``, and numbers of any kind with four axes of which one is of
    channels: ``(N, H, W, C)`` or ``(N, C, H, W)`` with 1, 3 or 4 of them.

    Example:
        >>> import numpy as np
        >>> [is_pictures(np.zeros(shape, np.float32)) for shape in ((2, 3, 8, 8), (2, 8, 8, 3), (2, 8, 8))]
        [True, True, False]
    """
    if array.ndim == 4:
        return array.dtype.kind in "fiu" and (array.shape[3] in _CHANNELS or array.shape[1] in _CHANNELS)
    return array.ndim == 3 and array.dtype in (np.uint8, np.uint16)


def is_picture(item: Any) -> bool:
    """Whether one array can be nothing else but a picture; see `is_pictures`."""
    return isinstance(item, np.ndarray) and is_pictures(item[None])


def as_sources(values: Any) -> tuple[Any, tuple[str, ...]]:
    """What an `ImageColumn` takes, and what a user should know of how arrays were read.

    Channels may come first or last. Floats are from 0 to 1, or from 0 to 255; whole numbers of more than 8 bits are
    scaled by the depth that holds the largest of them. One scale and one order hold for all.

    Args:
        values: pictures of any kind; see `unalike.data.ImageColumn`. Also tensors, and arrays of other numbers.

    Raises:
        DataError: numbers below 0, or floats above 255.

    Example:
        >>> import numpy as np
        >>> from unalike.data.pixels import as_sources
        >>> pictures, notes = as_sources(np.ones((2, 3, 8, 6), np.float32))
        >>> pictures.shape, int(pictures.max()), notes
        ((2, 8, 6, 3), 255, ('pictures are taken as arrays (N, C, H, W) of numbers from 0 to 1',))
    """
    values = as_numpy(values)
    if isinstance(values, pa.Array | pa.ChunkedArray | str | bytes):
        return values, ()
    whole = isinstance(values, np.ndarray) and values.dtype.kind in "fiu"
    items: Sequence[Any] = values if whole else [as_numpy(value) for value in values]
    single: Any = [values] if whole else items
    arrays: list[np.ndarray] = [a for a in single if isinstance(a, np.ndarray) and a.dtype.kind in "fiu"]
    axes = 4 if whole else 3

    def channels_first(array: np.ndarray) -> bool:
        return array.ndim == axes and array.shape[-1] not in _CHANNELS and array.shape[-3] in _CHANNELS

    first = any(channels_first(array) for array in arrays)
    odd = [array for array in arrays if array.dtype != np.uint8]
    if not first and not odd:
        return items, ()
    factor, told = _scale(odd) if odd else (1.0, "")

    def made(array: Any) -> Any:
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            return array
        if array.dtype != np.uint8:
            if not np.isfinite(array).all():
                return array  # no picture: decoding it says so
            array = np.rint(array * factor).astype(np.uint8)
        return np.moveaxis(array, -3, -1) if channels_first(array) else array

    note = "pictures are taken as arrays" + " (N, C, H, W)" * first + (f" of {told}" if told else "")
    if whole and np.isfinite(values).all():
        return made(values), (note,)
    return [made(item) for item in items], (note,)


def _scale(arrays: Sequence[np.ndarray]) -> tuple[float, str]:
    """By what numbers are multiplied to go up to 255, and what they are taken for."""
    finite = [array[np.isfinite(array)] if array.dtype.kind == "f" else array.reshape(-1) for array in arrays]
    least = min((float(each.min()) for each in finite if each.size), default=0.0)
    most = max((float(each.max()) for each in finite if each.size), default=0.0)
    floats = any(array.dtype.kind == "f" for array in arrays)
    if least < 0 or (floats and most > 255):
        raise DataError(
            f"pictures are given as numbers from {least:g} to {most:g}; expected 0 to 1 or 0 to 255 (floats), or whole "
            "numbers from 0. Undo a normalisation: (x - x.min()) / (x.max() - x.min()) over all pictures"
        )
    if floats:
        return (255.0, "numbers from 0 to 1") if most <= 1 else (1.0, "numbers from 0 to 255")
    return depth_scale(most)


def depth_scale(most: float) -> tuple[float, str]:
    """The factor from whole numbers up to ``most`` to 0..255 by the bits that hold them, and its name.

    Example:
        >>> depth_scale(4095)[0] * 4095, depth_scale(3000)[1]
        (255.0, 'values up to 3,000, of 12 bits')
    """
    if most <= 255:
        return 1.0, "numbers from 0 to 255"
    bits = int(most).bit_length()
    return 255.0 / (2**bits - 1), f"values up to {int(most):,}, of {bits} bits"
