"""A prepared column and an encoder of numbers that tests of training share."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from unalike.encoders import Encoded, Encoder


class Plain:
    """A prepared column that is a tensor."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: np.ndarray) -> torch.Tensor:
        return self.values[torch.as_tensor(np.asarray(indices))]


class Tower(Encoder):
    kind, width = "array", 4

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 4))

    def prepare(self, column, **options):
        raise AssertionError("prepared by the test")

    def forward(self, inputs: torch.Tensor) -> Encoded:
        return Encoded(self.net(inputs))

    def config(self) -> dict:
        return {}
