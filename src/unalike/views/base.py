"""What every view is: a frozen set of settings that makes random looks of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch

Inputs = TypeVar("Inputs")


class View(ABC, Generic[Inputs]):
    """A random change of each sample of a batch, drawn for each sample on its own.

    A view holds settings and no state: the same inputs and a generator in the same state give the same look.
    """

    @abstractmethod
    def __call__(self, inputs: Inputs, generator: torch.Generator) -> Inputs:
        """One look of each sample."""

    def views(self, inputs: Inputs, generator: torch.Generator, count: int = 2) -> list[Inputs]:
        """``count`` independent looks of each sample, one batch for each."""
        return [self(inputs, generator) for _ in range(count)]
