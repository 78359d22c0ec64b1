"""Thumbnails: pictures made small and put into the page itself."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

from PIL import Image, ImageOps

from unalike.errors import DataError
from unalike.report.inputs import Item

_TINY = 20


def thumbnail(picture: Image.Image, side: int) -> Image.Image:
    """The whole picture within a square of ``side`` pixels, in RGB, alpha laid on white.

    Pictures of 20 pixels or less grow by a whole factor without smoothing: an 8 x 8 digit shows its 64 pixels.

    Example:
        >>> thumbnail(Image.new("L", (8, 8)), 36).size, thumbnail(Image.new("RGB", (400, 200)), 36).size
        ((32, 32), (36, 18))
    """
    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    small = picture.convert("RGBA" if has_alpha else "RGB")
    factor = side // max(small.size)
    if max(small.size) <= _TINY and factor > 1:
        small = small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
    elif factor == 0:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    if has_alpha:
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    return small.convert("RGB")


def data_uri(picture: Image.Image, *, quality: int) -> str:
    """A picture as a ``data:`` address in WebP.

    Example:
        >>> data_uri(Image.new("RGB", (4, 4)), quality=70)[:23]
        'data:image/webp;base64,'
    """
    held = io.BytesIO()
    picture.save(held, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(held.getvalue()).decode("ascii")


class Thumbnails:
    """The pictures of items, each decoded at most once; the ones that cannot be read are counted."""

    def __init__(self, items: Sequence[Item], side: int) -> None:
        self.items = items
        self.side = side
        self.unreadable: dict[int, str] = {}
        self._held: dict[int, Image.Image | None] = {}

    def __getitem__(self, row: int) -> Image.Image | None:
        """The picture of one item within ``side`` pixels; None where it has none or cannot be read."""
        if row not in self._held:
            self._held[row] = self._read(row)
        return self._held[row]

    def _read(self, row: int) -> Image.Image | None:
        source = self.items[row].thumbnail
        try:
            picture = source() if callable(source) else source
            return None if picture is None else thumbnail(picture, self.side)
        except (DataError, OSError, Image.DecompressionBombError) as error:
            self.unreadable[row] = str(error)
            return None


def sprite(pictures: Sequence[Image.Image], *, tile: int, quality: int) -> tuple[str, int]:
    """One picture that holds many in rows of square tiles: its ``data:`` address and the tiles in a row.

    Example:
        >>> address, columns = sprite([Image.new("RGB", (9, 5))] * 5, tile=8, quality=70)
        >>> columns
        3
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    lines = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGBA", (columns * tile, lines * tile), (255, 255, 255, 0))
    for slot, picture in enumerate(pictures):
        small = ImageOps.contain(picture.convert("RGB"), (tile, tile))
        left = slot % columns * tile + (tile - small.width) // 2
        top = slot // columns * tile + (tile - small.height) // 2
        sheet.paste(small, (left, top))
    return data_uri(sheet, quality=quality), columns
