"""The columns of a collection: one role each, decoded only when asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np


class Column(ABC):
    """One role of a collection: as many entries as the collection has rows, some of which may be missing.

    ``kind`` is the role without its variant: the roles ``image:google`` and ``image:twitter`` are both of the
    kind ``image``, ``text:de`` is of the kind ``text``.
    """

    kind: str

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """One entry, decoded: a PIL picture in RGB, a string, an array, a class name; None where it is missing."""

    @abstractmethod
    def select(self, indices: np.ndarray | Sequence[int]) -> Column:
        """A column of the given rows, in that order. Nothing is decoded or copied that need not be."""

    @property
    @abstractmethod
    def present(self) -> np.ndarray:
        """Bool ``(N,)``: which rows have an entry."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of the content, the same on every machine."""
