"""Time series through residual convolutions whose reach doubles from block to block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from unalike.data import Column, StackColumn
from unalike.errors import DataError, SettingsError

from .base import Encoded, Encoder, Prepared
from .seeding import seeded


class PackedSeries(Prepared):
    """Series of one length, the shorter filled up with NaN at their end.

    Args:
        values: float32 ``(N, channels, steps)``.

    Example:
        >>> import numpy as np
        >>> from unalike.encoders import PackedSeries
        >>> PackedSeries(np.ones((4, 2, 9), np.float32)).take([1, 2]).shape
        torch.Size([2, 2, 9])
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: np.ndarray | Sequence[int]) -> Tensor:
        """float32 ``(B, channels, steps)``: a copy of the rows, NaN where nothing was measured."""
        return torch.from_numpy(self.values[np.asarray(indices, np.int64)])


class DilatedConv(Encoder):
    """A dilated convolutional network over time; a vector for each step, and their maximum for the whole.

    Each channel is standardised by the training rows' mean and deviation (`plain`; views change what that gives). A
    step at which no channel was measured enters as zeros behind the first layer, so that a view hides a step by NaN; a
    single missing value counts as its channel's mean. What lies behind the last measured step is padding.

    Paper: Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022, arXiv 2106.10466.

    Args:
        channels: of a series.
        width: length of the vectors, and of the tokens.
        hidden: channels inside.
        depth: residual blocks; one more leads to the tokens. The block ``i`` sees ``2 ** i`` steps apart.
        dropout: share of the tokens' entries that is dropped in training.
        mean: of each channel, float ``(channels,)``; 0 without it.
        std: of each channel, float ``(channels,)`` and above 0; 1 without it.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a size is below one.
        DataError: a series has another number of channels.

    Example:
        >>> import numpy as np
        >>> from unalike.data import StackColumn
        >>> from unalike.encoders import DilatedConv
        >>> column = StackColumn(np.random.default_rng(0).normal(5, 3, (20, 2, 30)), kind="series")
        >>> encoder = DilatedConv.for_columns([column], given="", size=0, width=16, hidden=8, depth=2)
        >>> encoded = encoder(encoder.plain(encoder.prepare(column).take([0, 1])))
        >>> encoded.vector.shape, encoded.tokens.shape, encoded.mask.shape
        (torch.Size([2, 16]), torch.Size([2, 30, 16]), torch.Size([2, 30]))
    """

    kind = "series"

    def __init__(
        self,
        channels: int,
        *,
        width: int = 128,
        hidden: int = 64,
        depth: int = 4,
        dropout: float = 0.1,
        mean: np.ndarray | None = None,
        std: np.ndarray | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if min(channels, width, hidden) < 1 or depth < 0 or not 0 <= dropout < 1:
            raise SettingsError(
                f"a dilated network has sizes of at least 1 and dropout from 0 to below 1; given: channels={channels},"
                f" width={width}, hidden={hidden}, depth={depth}, dropout={dropout}"
            )
        self.channels, self.width, self.hidden, self.depth, self.dropout = channels, width, hidden, depth, dropout
        self.mean: Tensor
        self.std: Tensor
        for name, given, default in (("mean", mean, torch.zeros), ("std", std, torch.ones)):
            value = default(channels) if given is None else torch.from_numpy(np.asarray(given, np.float32).copy())
            self.register_buffer(name, value[:, None])
        with seeded(seed):
            self.first = nn.Linear(channels, hidden)
            sizes = [hidden] * (depth + 1) + [width]
            self.blocks = nn.ModuleList(
                _Block(sizes[i], sizes[i + 1], 2**i, through=i < depth) for i in range(depth + 1)
            )
            self.drop = nn.Dropout(dropout)

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        stacks = [_series(column).values for column in columns]
        counts = {stack.shape[1] for stack in stacks}
        if len(counts) != 1:
            raise DataError(f"the columns differ in channels: {sorted(counts)}")
        channels = [np.concatenate([stack[:, c].ravel() for stack in stacks]) for c in range(counts.pop())]
        measured = [values[~np.isnan(values)].astype(np.float64) for values in channels]
        if empty := [number for number, values in enumerate(measured, start=1) if not len(values)]:
            raise DataError(f"channel {', '.join(map(str, empty))} has no value in any series; leave it out")
        std = np.array([values.std() for values in measured])
        # A channel that never changes stays at zero instead of being blown up.
        std[std <= 1e-6 * np.array([np.abs(values).max() for values in measured])] = 1.0
        return cls(len(measured), mean=np.array([values.mean() for values in measured]), std=std, **options)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedSeries:
        values = _series(column).values
        if values.shape[1] != self.channels:
            raise DataError(
                f"series of {values.shape[1]} channels were given; this encoder reads {self.channels} channels"
            )
        return PackedSeries(values)

    def plain(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.std

    def forward(self, inputs: Tensor) -> Encoded:
        """Encode standardised series ``(B, channels, steps)``, NaN where nothing was measured."""
        measured = ~inputs.isnan()
        seen = measured.any(1)
        mask = seen.int().flip(1).cummax(1).values.flip(1).bool()
        hidden = self.first(torch.where(measured, inputs, 0).transpose(1, 2)) * seen[..., None]
        hidden = hidden.transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden, mask[:, None])
        tokens = self.drop(hidden.transpose(1, 2))
        # A series of which nothing is left has the vector zero.
        vector = tokens.masked_fill(~mask[..., None], -torch.inf).amax(1).masked_fill(~mask.any(1)[:, None], 0)
        return Encoded(vector, tokens, mask)

    def config(self) -> dict[str, Any]:
        names = ("channels", "width", "hidden", "depth", "dropout")
        return {"name": "dilated"} | {name: getattr(self, name) for name in names}


class _Block(nn.Module):
    """Two dilated convolutions beside a way around them."""

    def __init__(self, before: int, after: int, dilation: int, *, through: bool) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, after, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(after, after, 3, padding=dilation, dilation=dilation)
        self.around = nn.Identity() if through and before == after else nn.Conv1d(before, after, 1)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """``(B, C, steps)``; padding stays zero, so that what a series gives does not depend on how long others are."""
        middle = gelu(self.first(gelu(inputs)) * mask)
        found: Tensor = (self.second(middle) + self.around(inputs)) * mask
        return found


def _series(column: Column) -> StackColumn:
    if not isinstance(column, StackColumn) or column.kind != "series" or column.values.ndim != 3:
        raise DataError(f"a dilated network reads series; given: a column of the kind {column.kind!r}")
    return column
