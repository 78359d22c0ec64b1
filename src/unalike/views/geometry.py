"""Where the points of a picture lie in a view of it, so that boxes and masks can follow the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import DataError

NOTHING = 1e-6
"""Pixels of overlap that are rounding: a box that ends where the crop begins has left it."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of one picture as a view shows them.

    Args:
        corners: float32 ``(K, 4)``: left, top, right and bottom in pixels of the view, clipped to it.
        share: float32 ``(K,)``: how much of each box's area the view still shows, from 0 to 1.
        gone: bool ``(K,)``: which boxes lie outside of the view altogether; nothing should be learned of these.
    """

    corners: Tensor
    share: Tensor
    gone: Tensor


@dataclass(frozen=True, eq=False)
class Geometry:
    """For each of some views the affine map that its pixels went through, and the size of the views.

    Coordinates count pixels from the left and the top edge: the pixel in row 3 and column 5 covers 5 to 6 across and
    3 to 4 down. A resize, a crop and a flip are exact in them; a blur, an erased part and colours move nothing.

    Args:
        matrix: float64 ``(n, 2, 3)``: a point ``(x, y)`` of the source lies at ``matrix @ (x, y, 1)`` in the view.
        size: height and width of the views in pixels.

    Example:
        >>> import torch
        >>> from unalike.views import Geometry
        >>> left_half = Geometry.of_crops(torch.tensor([[0, 0, 8, 4]]), (8, 8))
        >>> left_half.boxes([torch.tensor([[1.0, 2, 3, 4], [5, 0, 8, 8]])])[0].corners.tolist()
        [[2.0, 2.0, 6.0, 4.0], [8.0, 0.0, 8.0, 8.0]]
        >>> left_half.boxes([torch.tensor([[1.0, 2, 3, 4], [5, 0, 8, 8]])])[0].gone.tolist()
        [False, True]
    """

    matrix: Tensor
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.matrix.shape[1:] != (2, 3) or min(self.size) < 1:
            raise DataError(
                f"a geometry was given a map of shape {tuple(self.matrix.shape)} and the size {self.size}; expected"
                " (n, 2, 3), and a height and width of one pixel at least"
            )

    @classmethod
    def of_crops(cls, crops: Tensor, size: tuple[int, int], flip: Tensor | None = None) -> Geometry:
        """The geometry of crops that are resized, and then flipped where ``flip`` says so.

        Args:
            crops: ``(n, 4)``: top, left, height and width in pixels of the source; parts of pixels are allowed.
            size: height and width of the result.
            flip: bool ``(n,)``: where left and right change places.
        """
        top, left, high, wide = crops.to("cpu", torch.float64).unbind(1)
        height, width = size
        across, down, none = width / wide, height / high, torch.zeros_like(wide)
        first = torch.stack((across, none, -left * across), 1)
        if flip is not None:
            turned = torch.stack((-across, none, width + left * across), 1)
            first = torch.where(flip.cpu()[:, None], turned, first)
        return cls(torch.stack((first, torch.stack((none, down, -top * down), 1)), 1), size)

    def __len__(self) -> int:
        return len(self.matrix)

    def __getitem__(self, rows: slice | Tensor | Sequence[int]) -> Geometry:
        return Geometry(self.matrix[rows], self.size)

    def after(self, first: Geometry) -> Geometry:
        """The geometry of a view of what another geometry made: of a picture that was cut to a square, for one.

        Raises:
            DataError: they speak of different numbers of pictures.
        """
        self._check(len(first), "geometries")
        linear, shift = self.matrix[:, :, :2], self.matrix[:, :, 2:]
        return Geometry(
            torch.cat((linear @ first.matrix[:, :, :2], linear @ first.matrix[:, :, 2:] + shift), 2), self.size
        )

    def points(self, points: Sequence[Tensor]) -> list[Tensor]:
        """Points ``(K, 2)`` of each source, x and y, as float64 points of its view; they may lie outside of it."""
        self._check(len(points), "sets of points")
        return [
            each.to(torch.float64) @ matrix[:, :2].T + matrix[:, 2]
            for matrix, each in zip(self.matrix, points, strict=True)
        ]

    def boxes(self, boxes: Sequence[Tensor]) -> list[Boxes]:
        """Boxes of each source as its view shows them, clipped to it; none is left out, so that classes stay beside.

        Args:
            boxes: for each view ``(K, 4)``: left, top, right and bottom in pixels of the source.

        Raises:
            DataError: another number of sets than of views, or what is no box.
        """
        for each in boxes:
            if each.ndim != 2 or each.shape[1] != 4 or bool((each[:, 2:] < each[:, :2]).any()):
                raise DataError(
                    f"boxes of shape {tuple(each.shape)}; expected (K, 4) with left, top, right and bottom in pixels,"
                    " left before right and top before bottom"
                )
        corners = self.points([each.reshape(-1, 2) for each in boxes])
        return [_clipped(each.view(-1, 2, 2), self.size) for each in corners]

    def mask(self, masks: Sequence[Tensor] | Tensor, *, fill: int = 0) -> Tensor:
        """Integer maps of each source as its view shows them: each pixel has the value in which its centre lies.

        Args:
            masks: for each view ``(H, W)`` integers; their sizes may differ.
            fill: the value of what lies outside of the source.

        Returns:
            ``(n, h, w)`` of the masks' type.

        Raises:
            DataError: another number of masks than of views.
        """
        self._check(len(masks), "masks")
        height, width = self.size
        inverse = torch.linalg.inv(self.matrix[:, :, :2])
        found = []
        for number, mask in enumerate(masks):
            down, across = torch.meshgrid(
                torch.arange(0.5, height, dtype=torch.float64),
                torch.arange(0.5, width, dtype=torch.float64),
                indexing="ij",
            )
            centres = torch.stack((across, down), 2) - self.matrix[number, :, 2]
            column, row = (centres @ inverse[number].T).add_(1e-9).floor().long().unbind(2)
            inside = (column >= 0) & (column < mask.shape[1]) & (row >= 0) & (row < mask.shape[0])
            seen = mask[row.clamp(0, mask.shape[0] - 1), column.clamp(0, mask.shape[1] - 1)]
            found.append(torch.where(inside, seen, torch.full_like(seen, fill)))
        return torch.stack(found) if found else torch.zeros((0, *self.size), dtype=torch.int64)

    def _check(self, count: int, what: str) -> None:
        if count != len(self):
            raise DataError(f"{count} {what} for {len(self)} views; expected one for each")


def _clipped(corners: Tensor, size: tuple[int, int]) -> Boxes:
    """Boxes ``(K, 2, 2)`` of opposite corners, put in order and clipped to a view."""
    height, width = size
    low, high = corners.amin(1), corners.amax(1)
    most = torch.tensor([width, height], dtype=torch.float64)
    touching = (high > low) & ((high <= NOTHING) | (low >= most - NOTHING))
    gone = ((high < 0) | (low > most) | touching).any(1)
    begin, end = low.clamp(min=0).minimum(most), high.clamp(min=0).minimum(most)
    whole, seen = (high - low).prod(1), (end - begin).prod(1)
    share = torch.where(whole > 0, seen / whole.clamp(min=1e-300), torch.ones_like(whole)) * ~gone
    return Boxes(torch.cat((begin, end), 1).float(), share.float(), gone)
