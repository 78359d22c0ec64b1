"""Vectors of any origin, a block at a time: float32 tensors, checked, and of unit length where that is asked."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from unalike.errors import DataError

Vectors: TypeAlias = np.ndarray | Tensor
"""``(N, D)`` numbers, a row each: a NumPy array, a memory map or a tensor."""

GRAIN = 32
"""Products whose sides are multiples of this, or of 8 on the left, give equal rows equal scores, wherever they stand:
the ragged ends of others go through other kernels, which add up in another order."""


def padded(rows: Tensor, multiple: int = GRAIN) -> Tensor:
    """The rows, and rows of zeros up to a multiple; no copy where there are none to add."""
    missing = -len(rows) % multiple
    return torch.nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows


def check_matrix(vectors: Vectors, name: str) -> None:
    """Refuse what is no matrix of real numbers with at least one row and one column.

    Raises:
        DataError: another shape or type; the message names ``name``.
    """
    shape = tuple(vectors.shape)
    if len(shape) != 2 or 0 in shape:
        raise DataError(f"{name} has the shape {shape}; expected (N, D) with N and D of at least 1, a row each item")
    kind = vectors.dtype
    wrong = kind.is_complex or kind is torch.bool if isinstance(kind, torch.dtype) else kind.kind not in "fiu"
    if wrong:
        raise DataError(f"{name} holds {kind}; expected real numbers, float32 at best")


def block(vectors: Vectors, start: int, stop: int, name: str, *, unit: bool = False) -> Tensor:
    """Rows ``start`` to ``stop`` as float32.

    Args:
        vectors: ``(N, D)``; only the rows asked for are read, so that a memory map may be larger than memory.
        start: first row.
        stop: row after the last; may lie beyond the end.
        name: what the vectors are called in an error.
        unit: scale each row to length one; a row of zeros stays zero.

    Raises:
        DataError: a number that is not finite, or too large to be squared in float32.
    """
    part = vectors[start:stop]
    if isinstance(part, np.ndarray):
        part = torch.from_numpy(np.array(part, dtype=np.float32))
    part = part.detach().float()
    lengths = torch.linalg.vector_norm(part, dim=1, keepdim=True)
    finite = lengths.isfinite()
    if not bool(finite.all()):
        row = start + int((~finite[:, 0]).nonzero()[0, 0])
        raise DataError(
            f"row {row} of {name} holds NaN, infinity or numbers above 1e19; expected finite vectors. "
            "Check the encoder that made them: a loss that was not finite leaves such weights behind."
        )
    if not unit:
        return part
    # What has unit length already, to rounding, keeps its bits: scaled twice is scaled once.
    lengths[(lengths - 1).abs() < 1e-6] = 1
    return part / lengths.clamp_min(1e-12)
