"""Which rows meet in which batch: a pure function of seed and step, so that a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch

from unalike.errors import DataError

STREAMS = {"order": 1, "views": 2, "dropout": 3, "weights": 4, "probe": 5}


def stream_seed(seed: int, stream: str, position: int = 0) -> int:
    """A 63-bit seed for one purpose at one position; unrelated for different purposes, seeds and positions."""
    state = np.random.SeedSequence([seed, STREAMS[stream], position]).generate_state(2, np.uint32)
    return int(state[0]) << 31 | int(state[1]) >> 1


def step_generator(seed: int, step: int) -> torch.Generator:
    """The generator from which all views of one step are drawn."""
    return torch.Generator().manual_seed(stream_seed(seed, "views", step))


class Order(Protocol):
    """Batches of row numbers: ``len`` is the number of batches in every epoch.

    A resumed run asks for the epoch again and skips what it has seen: an order is a pure function of its seed, the
    epoch's number, and buffers that do not change within an epoch.
    """

    def __len__(self) -> int: ...
    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The batches of one epoch: int64 row numbers."""


class ShuffledOrder:
    """Each epoch visits the rows in a new random order; rows that fill no whole batch wait for the next epoch.

    Args:
        rows: number of rows.
        batch_size: rows a batch.
        seed: the run's seed.
    """

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed

    def __len__(self) -> int:
        return max(1, self.rows // self.batch_size)

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The batches of one epoch: int64 ``(batch_size,)`` each."""
        order = np.random.default_rng(stream_seed(self.seed, "order", number)).permutation(self.rows)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size]


class AmongRows:
    """Shuffled epochs of some rows alone: those of a task, a domain, a client.

    Args:
        rows: their numbers.
        batch_size, seed: as of `ShuffledOrder`.

    Raises:
        DataError: there are no rows.

    Example:
        >>> from unalike.training import AmongRows
        >>> [sorted(rows.tolist()) for rows in AmongRows([3, 5, 8], 4, seed=0).epoch(0)]
        [[3, 5, 8]]
    """

    def __init__(self, rows: Sequence[int] | np.ndarray, batch_size: int, seed: int) -> None:
        self.rows = np.asarray(rows, np.int64)
        if not len(self.rows):
            raise DataError("an order of batches needs a row at least; none is left")
        self.order = ShuffledOrder(len(self.rows), batch_size, seed)

    def __len__(self) -> int:
        return len(self.order)

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The batches of one epoch: int64 row numbers of the training data."""
        return (self.rows[batch] for batch in self.order.epoch(number))
