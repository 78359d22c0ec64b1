"""A sparse set of pairs with weights, the form in which special pairs reach the score primitive."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from unalike.errors import DataError


@dataclass(frozen=True, eq=False)
class Edges:
    """Pairs (row, column), sorted by row and then by column, none twice.

    Args:
        rows: int64 ``(E,)``.
        columns: int64 ``(E,)``.
        weights: ``(E,)``, how much each pair weighs as a positive; 0 marks a pair that is ignored.
        shape: number of rows and columns of the score matrix.
        per_row: how many pairs each row has, where all rows have the same number.
        bijective: every row and every column has exactly one pair, and pair ``e`` is (e, e).
        ones: all weights are 1.
        only: int64 ``(N,)``, which pair is the row's only positive, where each row has one of weight 1.
        matched: every row's only positive is the column of its number, and so is every column's.
    """

    rows: Tensor
    columns: Tensor
    weights: Tensor
    shape: tuple[int, int]
    per_row: int | None = None
    bijective: bool = False
    ones: bool = False
    only: Tensor | None = None
    matched: bool = False

    @staticmethod
    def diagonal(
        shape: tuple[int, int], *, offset: int = 0, weight: float = 1.0, device: torch.device | None = None
    ) -> Edges:
        """The pairs (i, i + offset), one for each row."""
        n, m = shape
        if offset < 0 or offset + n > m:
            raise DataError(
                f"{n} rows with offset {offset} have no partner each among {m} columns; "
                f"give at least {n + max(offset, 0)} keys, or another pairing"
            )
        rows = torch.arange(n, device=device)
        only = rows if weight == 1.0 else None
        return Edges(
            rows,
            rows if offset == 0 else rows + offset,
            torch.full((n,), weight, device=device),
            shape,
            per_row=1,
            bijective=n == m,
            ones=weight == 1.0,
            only=only,
            matched=n == m and only is not None,
        )

    @staticmethod
    def from_pairs(rows: Tensor, columns: Tensor, weights: Tensor, shape: tuple[int, int]) -> Edges:
        """Sort pairs; of a pair given twice the smaller weight counts, so that ignoring wins over pairing."""
        n, m = shape
        if rows.numel() and (
            int(rows.min()) < 0 or int(columns.min()) < 0 or int(rows.max()) >= n or int(columns.max()) >= m
        ):
            raise DataError(f"a pair lies outside of the {n} x {m} scores; indices count from 0")
        key = rows.long() * m + columns.long()
        unique, inverse = torch.unique(key, return_inverse=True)
        merged = torch.full(unique.shape, torch.inf, device=key.device)
        merged.scatter_reduce_(0, inverse, weights.to(merged.dtype), "amin")
        return Edges(unique // m, unique % m, merged, shape)

    @cached_property
    def pointers(self) -> Tensor:
        """Int64 ``(N + 1,)``: the pairs of row i are ``pointers[i]`` to ``pointers[i + 1]``."""
        steps = torch.arange(self.shape[0] + 1, device=self.rows.device)
        if self.per_row is not None:
            return steps if self.per_row == 1 else steps * self.per_row
        return torch.searchsorted(self.rows, steps)

    def span(self, rows: slice) -> tuple[int, int]:
        """First and last (exclusive) pair of a strip of rows."""
        if self.per_row is not None:
            return rows.start * self.per_row, rows.stop * self.per_row
        return int(self.pointers[rows.start]), int(self.pointers[rows.stop])

    @cached_property
    def mirror(self) -> Tensor:
        """Int64 ``(E,)``: where the pair (j, i) of each pair (i, j) is; the set must be symmetric."""
        if self.bijective:
            return self.rows
        order = torch.argsort(self.columns * self.shape[1] + self.rows)
        mirror = torch.empty_like(order)
        mirror[order] = torch.arange(order.shape[0], device=order.device)
        if not torch.equal(self.rows[mirror], self.columns) or not torch.equal(self.columns[mirror], self.rows):
            raise DataError("scores of a set with itself need pairs in both directions: (i, j) and (j, i)")
        return mirror

    def within(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Row and column inside the tile, and the pair's number, of the pairs in a tile."""
        first, last = self.span(rows)
        r, c = self.rows[first:last], self.columns[first:last]
        inside = ((c >= columns.start) & (c < columns.stop)).nonzero().squeeze(1)
        return r[inside] - rows.start, c[inside] - columns.start, inside + first
