"""What was drawn for each picture: the numbers that turn a view of a batch into plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .color import HUE
from .geometry import Geometry

NO_HUE = 4
UNTOUCHED = 5


@dataclass(frozen=True, eq=False)
class ImageParameters:
    """One row for each picture of a batch.

    Args:
        crop: int64 ``(n, 4)``: top, left, height and width of the crop, in pixels of the source.
        flip: bool ``(n,)``.
        jitter: float32 ``(n, 4)``: factors of brightness, contrast and saturation, and the shift of hue in turns;
            ``(1, 1, 1, 0)`` changes nothing.
        order: int64 ``(n, 4)``: which column of ``jitter`` comes first, second, third and fourth.
        gray: bool ``(n,)``.
        sigma: float32 ``(n,)``: standard deviation of the blur in pixels, 0 for none.
        solarize: bool ``(n,)``.
        erase: int64 ``(n, 4)``: top, left, height and width of the erased box, in pixels of the result; zeros for none.
    """

    crop: Tensor
    flip: Tensor
    jitter: Tensor
    order: Tensor
    gray: Tensor
    sigma: Tensor
    solarize: Tensor
    erase: Tensor

    def __len__(self) -> int:
        return len(self.crop)

    def __getitem__(self, rows: slice | Tensor) -> ImageParameters:
        return self._each(lambda column: column[rows])

    def to(self, device: torch.device | str) -> ImageParameters:
        return self._each(lambda column: column.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> ImageParameters:
        return ImageParameters(*(change(getattr(self, field.name)) for field in fields(self)))

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """Where the pixels of each source lie in its view of that height and width."""
        return Geometry.of_crops(self.crop, size, self.flip)

    def kinds(self) -> Tensor:
        """Int64 ``(n,)``: the position at which hue is shifted, 0 to 3; `NO_HUE`; or `UNTOUCHED` by any jitter.

        Pictures of one kind take the same road through the colour jitter, so that they can travel together.
        """
        hue_at = (self.order == HUE).int().argmax(1)
        still = self.jitter[:, HUE] == 0
        untouched = still & (self.jitter[:, :HUE] == 1).all(1)
        return hue_at.masked_fill(still, NO_HUE).masked_fill(untouched, UNTOUCHED)
