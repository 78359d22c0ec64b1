"""Memory that a loss needs between its forward and its backward pass, and the next loss after it."""

from __future__ import annotations

import mmap
from typing import ClassVar

import torch
from torch import Tensor

KEPT = 28 << 20
"""Bytes that the C library keeps for the next call: it gives 32 MiB or more back at once, and pages come anew."""
LENT = 128 << 20
"""Bytes that are kept here for the next call, at most."""


class Loan:
    """Room for float32 numbers. More than the C library keeps comes from the loan before, if it is large enough."""

    _spare: ClassVar[list[Tensor]] = []  # at most one piece

    def __init__(self, floats: int) -> None:
        self.floats = floats
        self.piece = torch.empty(floats) if 4 * floats <= KEPT else self._large()

    def _large(self) -> Tensor:
        piece = self._spare.pop() if self._spare else None
        if piece is not None and piece.numel() >= self.floats:
            return piece
        if not hasattr(mmap, "MADV_HUGEPAGE"):  # Linux alone offers it
            return torch.empty(self.floats)
        memory = mmap.mmap(-1, 4 * self.floats, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)  # a hint: small pages cost a tenth of the whole loss
        return torch.frombuffer(memory, dtype=torch.float32)

    def __del__(self) -> None:
        piece = getattr(self, "piece", None)  # there is none where memory for it could not be had
        if piece is not None and KEPT < piece.nbytes <= LENT:
            self._spare[:] = [piece]
