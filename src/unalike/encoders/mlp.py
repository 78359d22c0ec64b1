"""Rows of numbers through a small multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import ArrayColumn, Column
from unalike.errors import DataError, SettingsError

from .base import Encoded, Encoder
from .packed import PackedArrays
from .seeding import seeded


class MLP(Encoder):
    """Linear layers with batch normalisation between, over features of mean 0 and deviation 1.

    The means and deviations are those of the training rows and part of the weights.

    Args:
        features: numbers in a row.
        width: length of the vectors.
        hidden: length of the hidden layers.
        depth: number of hidden layers.
        mean: of each feature, float ``(features,)``; 0 without it.
        std: of each feature, float ``(features,)`` and above 0; 1 without it.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a length is below one.
        DataError: a row has another number of features.

    Example:
        >>> import numpy as np
        >>> from unalike.data import ArrayColumn
        >>> from unalike.encoders import MLP
        >>> column = ArrayColumn(np.random.default_rng(0).normal(5, 3, (20, 4)))
        >>> encoder = MLP.from_columns([column], width=16)
        >>> encoder(encoder.prepare(column).take([0, 1])).vector.shape
        torch.Size([2, 16])
    """

    kind = "array"

    def __init__(
        self,
        features: int,
        *,
        width: int = 256,
        hidden: int = 256,
        depth: int = 2,
        mean: np.ndarray | None = None,
        std: np.ndarray | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if min(features, width, hidden) < 1 or depth < 0:
            raise SettingsError(
                f"an MLP has lengths of at least 1; given: features={features}, width={width}, hidden={hidden}, "
                f"depth={depth}"
            )
        self.features = features
        self.width = width
        self.hidden = hidden
        self.depth = depth
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(features) if mean is None else _float(mean))
        self.register_buffer("std", torch.ones(features) if std is None else _float(std))
        layers: list[nn.Module] = []
        with seeded(seed):
            for before in [features, *[hidden] * (depth - 1)][:depth]:
                layers += [nn.Linear(before, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)]
            layers.append(nn.Linear(hidden if depth else features, width))
        self.layers = nn.Sequential(*layers)

    @classmethod
    def from_columns(cls, columns: Sequence[Column], **settings: Any) -> Self:
        """An encoder for rows like these, with their means and deviations."""
        # Here, not above: scikit-learn takes longer to import than a search takes, and only this needs it.
        from sklearn.preprocessing import StandardScaler

        arrays = [_array(column) for column in columns]
        if len({array.values.shape[1] for array in arrays}) != 1:
            raise DataError(f"the columns differ in length: {sorted(a.values.shape[1] for a in arrays)}")
        scaler = StandardScaler()  # in chunks; it leaves a feature alone that does not vary
        for array in arrays:
            rows = np.flatnonzero(array.present)
            for start in range(0, len(rows), 4096):
                scaler.partial_fit(array.values[rows[start : start + 4096]].astype(np.float64))
        if not hasattr(scaler, "mean_"):
            raise DataError("an MLP learns means and deviations from rows, and all of them are missing")
        return cls(arrays[0].values.shape[1], mean=scaler.mean_, std=scaler.scale_, **settings)

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        return cls.from_columns(columns, **options)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedArrays:
        array = _array(column)
        if array.values.shape[1] != self.features:
            raise DataError(f"rows of {array.values.shape[1]} numbers were given; this encoder reads {self.features}")
        return PackedArrays.from_column(array)

    def forward(self, inputs: Tensor) -> Encoded:
        return Encoded(self.layers((inputs - self.mean) / self.std))

    def config(self) -> dict[str, Any]:
        return {
            "name": "mlp",
            "features": self.features,
            "width": self.width,
            "hidden": self.hidden,
            "depth": self.depth,
        }


def _array(column: Column) -> ArrayColumn:
    if not isinstance(column, ArrayColumn):
        raise DataError(f"an MLP reads rows of numbers; given: a column of the kind {column.kind!r}")
    return column


def _float(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32).copy())
