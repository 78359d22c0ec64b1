"""How objectives are compared with plain loops: values and gradients, in every precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from unittest.mock import patch

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from unalike.objectives import tiles

few = settings(max_examples=16, deadline=None, derandomize=True)
seeds = st.integers(0, 2**31 - 1)
batches = st.integers(2, 7)
widths = st.integers(1, 5)


def vectors(seed: int, *shape: int, unit: bool = True) -> Tensor:
    """Random float64 vectors, of length one unless told."""
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=-1) if unit else rows


def classes(seed: int, size: int, number: int = 3, *, unknown: bool = True) -> Tensor:
    """Random labels; -1 among them unless told."""
    low = -1 if unknown else 0
    return torch.randint(low, number, (size,), generator=torch.Generator().manual_seed(seed + 1))


def norm(vector: Tensor) -> Tensor:
    """Length whose gradient at zero is zero."""
    squared = (vector * vector).sum()
    return squared.sqrt() if squared > 0 else squared * 0


def pairs(size: int) -> Iterator[tuple[int, int]]:
    """All ordered pairs of different numbers below `size`."""
    return ((i, j) for i in range(size) for j in range(size) if i != j)


def mean(terms: list[Tensor], like: Tensor) -> Tensor:
    """The mean of a list of terms, zero for none."""
    return torch.stack(terms).mean() if terms else like.sum() * 0


def gradients(function: Callable[..., Tensor], inputs: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Value of a function and its gradients, zeros where an input does not matter."""
    inputs = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    value = function(*inputs)
    if not value.requires_grad:
        return value, [torch.zeros_like(tensor) for tensor in inputs]
    found = torch.autograd.grad(value, inputs, allow_unused=True)
    return value.detach(), [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(inputs, found, strict=True)
    ]


def agree(
    objective: Callable[..., Tensor], loops: Callable[..., Tensor], *inputs: Tensor, single: float = 2e-4
) -> None:
    """An objective equals its loops in float64 and, to `single`, in float32; bfloat16 stays finite."""
    expected, expected_slopes = gradients(loops, list(inputs))
    for strip in (None, 2):  # whole, and in strips of two rows where the objective walks over rows
        with nullcontext() if strip is None else patch.object(tiles, "strip_rows", lambda *_, **__: 2):
            value, slopes = gradients(objective, list(inputs))
        assert value.ndim == 0 and value.dtype == torch.float64
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10)
        for slope, wanted in zip(slopes, expected_slopes, strict=True):
            torch.testing.assert_close(slope, wanted, rtol=1e-8, atol=1e-9)
    value, slopes = gradients(objective, [tensor.float() for tensor in inputs])
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), expected, rtol=single, atol=single)
    for slope, wanted in zip(slopes, expected_slopes, strict=True):
        size = 1 + wanted.norm()
        torch.testing.assert_close(slope.double() / size, wanted / size, rtol=single, atol=single)
    value, slopes = gradients(objective, [tensor.bfloat16() for tensor in inputs])
    assert value.dtype == torch.float32 and value.isfinite()
    assert all(slope.dtype == torch.bfloat16 and slope.isfinite().all() for slope in slopes)
