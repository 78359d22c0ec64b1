"""What a pairing tells the score primitive: a plan that answers for any tile and stores no matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from unalike.errors import DataError
from unalike.pairing.edges import Edges


class Tile(NamedTuple):
    """Weights of a tile of pairs, rows x columns: as positives, and as negatives; 0 and 0 is an ignored pair."""

    positive: Tensor
    negative: Tensor


@dataclass(frozen=True, eq=False)
class Plan:
    """Which pairs of a score matrix are positive, negative or ignored.

    All pairs are negatives of weight 1 but for what follows, in rising order of precedence: the pairs that ``weights``
    tells tile by tile, pairs with the same label, and the pairs ``apart``.

    Args:
        shape: rows and columns of the score matrix.
        device: where the weights are wanted.
        apart: single pairs that are positives (weight above 0) or ignored (weight 0).
        labels: int64 label of each row and of each column; -1 is alike to nothing.
        same: whether pairs with the same label are positives or ignored.
        weights: answers for the tile rows x columns.
        joint: positives stay among the negatives (soft targets); then there is no sum over positives alone.
        negatives: the only negatives there are, as a sparse set.
    """

    shape: tuple[int, int]
    device: torch.device
    apart: Edges | None = None
    labels: tuple[Tensor, Tensor] | None = None
    same: Literal["positive", "ignored"] = "positive"
    weights: Callable[[slice, slice], Tile] | None = None
    joint: bool = False
    negatives: Edges | None = None

    def tile(self, rows: slice, columns: slice) -> Tile:
        """Weights of the pairs in a tile; both slices have a start and a stop."""
        size = (rows.stop - rows.start, columns.stop - columns.start)
        if self.weights is not None:
            positive, negative = (t.to(torch.float32, copy=True) for t in self.weights(rows, columns))
        else:
            positive = torch.zeros(size, device=self.device)
            negative = torch.ones(size, device=self.device)
        if self.labels is not None:
            same = self.alike(rows, columns)
            positive.masked_fill_(same, 1.0 if self.same == "positive" else 0.0)
            negative.masked_fill_(same, 0.0)
        if self.negatives is not None:
            negative.zero_()
            r, c, e = self.negatives.within(rows, columns)
            negative[r, c] = self.negatives.weights[e].to(negative.dtype)
        if self.apart is not None:
            r, c, e = self.apart.within(rows, columns)
            positive[r, c] = self.apart.weights[e].to(positive.dtype)
            negative[r, c] = 0.0
        return Tile(positive, negative)

    def alike(self, rows: slice, columns: slice) -> Tensor:
        """Bool tile: true where row and column have the same label."""
        assert self.labels is not None
        ours, theirs = self.labels[0][rows, None], self.labels[1][None, columns]
        return (ours == theirs) & (ours >= 0)

    @cached_property
    def codes(self) -> tuple[int, Tensor, Tensor]:
        """How many codes there are, and labels as codes from 0; missing ones of rows and of columns never meet."""
        assert self.labels is not None
        rows, columns = self.labels
        own = rows is columns
        values, codes = torch.unique(rows if own else torch.cat(self.labels), return_inverse=True)
        count = values.shape[0]
        ours = torch.where(rows < 0, count, codes if own else codes[: rows.shape[0]])
        theirs = torch.where(columns < 0, count + 1, codes if own else codes[rows.shape[0] :])
        return count + 2, ours, theirs

    def whole(self) -> Tile:
        """Weights of all pairs at once; N x M numbers each, for small sets and tests."""
        return self.tile(slice(0, self.shape[0]), slice(0, self.shape[1]))

    def with_apart(self, edges: Edges) -> Plan:
        """The plan with more pairs held apart; where both speak of a pair, the smaller weight counts."""
        if self.apart is None:
            return replace(self, apart=edges)
        merged = Edges.from_pairs(
            torch.cat([self.apart.rows, edges.rows]),
            torch.cat([self.apart.columns, edges.columns]),
            torch.cat([self.apart.weights, edges.weights.to(self.apart.weights.dtype)]),
            self.shape,
        )
        return replace(self, apart=merged)


class Pairing(ABC):
    """Tells which pairs of queries and keys are positive, negative or ignored, without a matrix of them."""

    @abstractmethod
    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        """The plan for the scores of ``queries`` ``(N, D)`` and ``keys`` ``(M, D)``.

        Raises:
            DataError: the pairing does not fit the number of queries or keys.
        """


def whole_numbers(what: str, numbers: Tensor, device: torch.device) -> Tensor:
    """Labels or codes as int64; floats only where they are whole, so that 0.0 and 0.5 never become one class.

    Raises:
        DataError: a number is not whole.
    """
    if numbers.is_floating_point():
        broken = numbers[numbers != numbers.round()]
        if broken.numel():
            raise DataError(
                f"{what} are whole numbers, one for each class; {broken.numel()} of {numbers.numel()} are not, such as "
                f"{float(broken[0]):g}. A number that is measured is a target and no class: the system supremix learns "
                "from one, on the command line with --target COLUMN"
            )
    return numbers.to(device, torch.int64)


def check_length(what: str, given: int, expected: int, of: str) -> None:
    """Raise unless there is one entry for each row or column."""
    if given != expected:
        raise DataError(f"{what} has {given} entries for {expected} {of}; give one each")
