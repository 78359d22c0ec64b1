"""Numbers of any shape through one linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import ArrayColumn, Column, StackColumn
from unalike.errors import DataError, SettingsError

from .base import Encoded, Encoder
from .packed import PackedArrays
from .seeding import seeded


class Affine(Encoder):
    """One linear layer over numbers of mean 0 and deviation 1: of an array, a series or a cloud of points.

    All entries have one shape. Missing numbers of an entry count as the mean.

    Args:
        kind: of the columns that it reads.
        features: numbers of an entry.
        width: length of the vectors.
        mean: of each number, float ``(features,)``; 0 without it.
        std: of each number, float ``(features,)`` and above 0; 1 without it.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a length is below one.
        DataError: an entry has another number of numbers.

    Example:
        >>> import numpy as np
        >>> from unalike.data import StackColumn
        >>> from unalike.encoders import Affine
        >>> column = StackColumn(np.random.default_rng(0).normal(size=(20, 2, 6)), kind="series")
        >>> encoder = Affine.for_columns([column], given="", size=0, width=8)
        >>> encoder(encoder.prepare(column).take([0, 1])).vector.shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        kind: str,
        features: int,
        *,
        width: int = 64,
        mean: np.ndarray | None = None,
        std: np.ndarray | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if min(features, width) < 1:
            raise SettingsError(f"features={features}, width={width}: both are at least 1")
        self.kind, self.features, self.width = kind, features, width
        self.mean: Tensor
        self.std: Tensor
        for name, given, default in (("mean", mean, torch.zeros), ("std", std, torch.ones)):
            self.register_buffer(name, default(features) if given is None else torch.tensor(given, dtype=torch.float32))
        with seeded(seed):
            self.layer = nn.Linear(features, width)

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        """An encoder for entries like these, with their means and deviations."""
        values = [_flat(column)[column.present] for column in columns]
        if len({each.shape[1] for each in values}) != 1:
            raise DataError(f"the columns differ in length: {sorted(each.shape[1] for each in values)}")
        known = np.concatenate(values).astype(np.float64)
        if not len(known):
            raise DataError("means and deviations are learned from entries, and all of them are missing")
        std = np.nan_to_num(np.nanstd(known, axis=0))
        mean = np.nan_to_num(np.nanmean(known, axis=0))
        return cls(columns[0].kind, known.shape[1], mean=mean, std=np.where(std > 0, std, 1.0), **options)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedArrays:
        values = _flat(column)
        if values.shape[1] != self.features:
            raise DataError(f"entries of {values.shape[1]} numbers were given; this encoder reads {self.features}")
        return PackedArrays(np.where(np.isnan(values), self.mean.cpu().numpy(), values), column.present)

    def forward(self, inputs: Tensor) -> Encoded:
        return Encoded(self.layer((inputs - self.mean) / self.std))

    def config(self) -> dict[str, Any]:
        return {"name": "affine", "kind": self.kind, "features": self.features, "width": self.width}


def _flat(column: Column) -> np.ndarray:
    """float32 ``(N, features)``."""
    if not isinstance(column, ArrayColumn | StackColumn):
        raise DataError(f"this encoder reads numbers; given: a column of the kind {column.kind!r}")
    return np.asarray(column.values, np.float32).reshape(len(column), -1)
