"""Any loss that is a sum over rows of a score matrix, in memory that grows with the rows and not with the matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import tiles
from unalike.objectives.autograd import eager, once
from unalike.objectives.score import check_scores

RowLoss = Callable[..., Tensor]


@eager
def rowwise(
    loss: RowLoss,
    queries: Tensor,
    keys: Tensor,
    *parameters: Tensor,
    strip: int | None = None,
) -> Tensor:
    """Apply a loss of whole rows of scores strip by strip; the backward pass computes each strip again.

    Serves what is no log-sum-exp: a softmax inside of the loss, a sort, a top-k.

    Args:
        loss: called as ``loss(scores, rows, *parameters)`` with the scores ``(R, M)`` of a strip, inner products
            without temperature, and the slice ``rows`` of the queries that it holds; gives ``(R,)``. It is called twice
            for each strip and must give the same both times.
        queries: ``(N, D)``.
        keys: ``(M, D)``.
        parameters: further tensors that the loss uses and that may want a gradient.
        strip: rows at once; if None as many as make 16 MiB of scores.

    Returns:
        ``(N,)``, the losses of the rows.

    Raises:
        DataError: shapes do not fit, or the loss gives no number a row. SettingsError: a strip below one row.

    Data: whatever the loss takes.
    Cost: 2NMD flops forward and 6NMD backward, and twice the loss's own; memory O(strip * M).

    Example:
        >>> import torch
        >>> from unalike.objectives import rowwise
        >>> hardest = lambda scores, rows: scores.topk(2, dim=1).values.sum(1)
        >>> rowwise(hardest, torch.eye(3), torch.eye(3), strip=2)
        tensor([1., 1., 1.])
    """
    check_scores(queries, keys)
    if strip is not None and strip < 1:
        raise SettingsError(f"strip={strip}; expected at least one row")
    rows = tiles.strip_rows(keys.shape[0]) if strip is None else strip
    result: Tensor = _Rowwise.apply(loss, rows, queries, keys, *parameters)
    return result


def _call(loss: RowLoss, scores: Tensor, rows: slice, parameters: Sequence[Tensor]) -> Tensor:
    value = loss(scores, rows, *parameters)
    if value.shape != scores.shape[:1]:
        raise DataError(f"the loss gave {tuple(value.shape)} for {scores.shape[0]} rows; expected one number a row")
    return value


class _Rowwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: RowLoss, strip: int, queries: Tensor, keys: Tensor, *parameters: Tensor) -> Tensor:
        ctx.loss, ctx.strip = loss, strip
        ctx.save_for_backward(queries, keys, *parameters)
        plain = [p.detach() for p in parameters]
        q, k = _raised(queries, keys)
        with torch.autocast(q.device.type, enabled=False):
            return torch.cat([_call(loss, q[rows] @ k.T, rows, plain) for rows in _strips(q.shape[0], strip)])

    @staticmethod
    @once
    def backward(ctx: Any, slope: Tensor) -> tuple[Any, ...]:
        queries, keys, *parameters = ctx.saved_tensors
        needs_queries, needs_keys, *needs = ctx.needs_input_grad[2:]
        q, k = _raised(queries, keys)
        plain = [p.detach().requires_grad_(need) for p, need in zip(parameters, needs, strict=True)]
        wanted = [p for p, need in zip(plain, needs, strict=True) if need]
        d_parameters = [torch.zeros_like(p) for p in wanted]
        d_queries, d_keys = torch.zeros_like(q), torch.zeros_like(k)
        with torch.autocast(q.device.type, enabled=False):
            for rows in _strips(q.shape[0], ctx.strip):
                scores = (q[rows] @ k.T).requires_grad_()
                with torch.enable_grad():
                    value = _call(ctx.loss, scores, rows, plain)
                found = torch.autograd.grad(value, [scores, *wanted], slope[rows], allow_unused=True)
                for total, part in zip(d_parameters, found[1:], strict=True):
                    if part is not None:
                        total += part
                if found[0] is not None:
                    d_queries[rows] = found[0] @ k
                    d_keys.addmm_(found[0].T, q[rows])
        found_parameters = iter(d_parameters)
        return (
            None,
            None,
            d_queries.to(queries.dtype) if needs_queries else None,
            d_keys.to(keys.dtype) if needs_keys else None,
            *(next(found_parameters) if need else None for need in needs),
        )


def _raised(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if torch.float64 in (queries.dtype, keys.dtype) else torch.float32
    return queries.detach().to(dtype), keys.detach().to(dtype)


def _strips(length: int, strip: int) -> list[slice]:
    return [slice(first, min(first + strip, length)) for first in range(0, length, strip)]
