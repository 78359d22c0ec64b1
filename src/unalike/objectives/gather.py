"""Embeddings of all processes, with gradient: losses over the batch of the whole group."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives.autograd import once


def gather(rows: Tensor, *, group: dist.ProcessGroup | None = None) -> Tensor:
    """The rows of all processes one after another, in order of rank; gradient flows back to each process's own.

    Two ways of use give, to rounding, the loss and the parameter gradients that one process would have with all rows,
    if the gradients of parameters are averaged over processes as `DistributedDataParallel` does:

    - every process computes the loss over all gathered rows (simple; the loss's cost is paid in each process);
    - every process computes the loss of its own rows against the gathered ones, a mean over its rows:
      ``info_nce(q, gather(k), pairing=SameIndex(offset=rank_offset(k)))``.

    Without a process group, or in a group of one, the rows come back as they are.

    Args:
        rows: ``(B, ...)``, the same shape in every process.
        group: processes that take part; all if None.

    Returns:
        ``(world * B, ...)``.

    Raises:
        DataError: the processes hold different shapes.

    Data: the same number of rows in every process.
    Cost: one all-gather forward, one all-reduce of the same size backward.

    Example:
        >>> import torch
        >>> from unalike.objectives import gather
        >>> gather(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """
    if world(group) == 1:
        return rows
    shape = torch.tensor([*rows.shape, rows.ndim], device=rows.device)
    shapes = [torch.empty_like(shape) for _ in range(world(group))]
    if rows.ndim < 1:
        raise DataError("got a single number; expected rows (B, ...)")
    dist.all_gather(shapes, shape, group=group)
    if any(not torch.equal(other, shape) for other in shapes):
        given = ", ".join(str(tuple(other[:-1].tolist())) for other in shapes)
        raise DataError(f"processes hold rows of shapes {given}; give each the same number (drop the last short batch)")
    result: Tensor = _Gather.apply(rows, group)
    return result


def world(group: dist.ProcessGroup | None = None) -> int:
    """Number of processes in the group; 1 where there is none."""
    return dist.get_world_size(group) if dist.is_available() and dist.is_initialized() else 1


def rank_offset(rows: Tensor, *, group: dist.ProcessGroup | None = None) -> int:
    """Where this process's own rows begin among the gathered ones."""
    return 0 if world(group) == 1 else dist.get_rank(group) * rows.shape[0]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        ctx.group, ctx.length = group, rows.shape[0]
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(world(group))]
        dist.all_gather(parts, rows.contiguous(), group=group)
        return torch.cat(parts)

    @staticmethod
    @once
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        # Every process's loss may depend on these rows: their derivatives add up.
        slope = slope.contiguous().clone()
        dist.all_reduce(slope, group=ctx.group)
        start = dist.get_rank(ctx.group) * ctx.length
        return slope[start : start + ctx.length].clone(), None
