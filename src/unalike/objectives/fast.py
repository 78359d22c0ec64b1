"""The score primitive through the compiled kernels: what `portable` does, for float32 on a CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unalike.objectives import native, tiles
from unalike.objectives.memory import KEPT, Loan
from unalike.objectives.native import Kernels, Walk
from unalike.objectives.portable import Slopes, share_of
from unalike.objectives.walk import Task, Totals
from unalike.pairing import Edges

REACH = 60.0
"""``exp`` of this over many pairs stays a normal float32 number, and so does ``exp`` of its negative."""
LOG2E = 1.0 / math.log(2.0)
STORED = 54 << 20
"""Bytes of exponentials that are kept between forward and backward in any case, of the 64 MiB that a loss may take."""

_budget: list[int | None] = [None]


@contextmanager
def stored_exponentials(size: int) -> Iterator[None]:
    """Inside of the ``with``, keep up to ``size`` bytes of exponentials between forward and backward.

    What is kept need not be computed again, one of four multiplications; all of it is 4NM bytes, half of that for
    scores of a set with itself. Otherwise 54 MiB are kept and three times the size of the smaller side's vectors, which
    is all of 4,096 x 4,096 scores; of a set with itself 28 MiB and six times its size, without the latter where each
    row has one positive. Used by the native path only.

    Example:
        >>> import torch
        >>> from unalike.objectives import clip, stored_exponentials
        >>> with stored_exponentials(1 << 30):
        ...     round(clip(torch.eye(3), torch.eye(3), logit_scale=1.0).item(), 4)
        0.5514
    """
    _budget.append(size)
    try:
        yield
    finally:
        _budget.pop()


def kernels_for(queries: Tensor, keys: Tensor, task: Task) -> Kernels | None:
    """The kernels, where they can do this task."""
    plan = task.plan
    if queries.device.type != "cpu" or queries.dtype != torch.float32 or plan.weights is not None:
        return None
    if not {type(queries), type(keys)} <= {Tensor, nn.Parameter}:
        return None  # what wraps tensors of its own (DTensor, ...) has no memory that a kernel could read
    if max(*plan.shape, queries.shape[1]) >= 2**31:
        return None
    return native.kernels()


def shift_for(kernels: Kernels, queries: Tensor, keys: Tensor, inverse: float | Tensor) -> float | None:
    """What is taken off every score so that no exponential overflows; None where the portable path must take care."""
    longest = kernels.longest(queries)
    bound = longest * (longest if keys is queries else kernels.longest(keys))
    bound *= float(inverse.abs().max()) if isinstance(inverse, Tensor) else inverse
    return max(0.0, bound - REACH) if bound <= 3 * REACH else None


class Prepared(NamedTuple):
    """A walk, and the tensors whose addresses it holds."""

    walk: Walk
    alive: list[Tensor]


def prepare(
    kernels: Kernels, queries: Tensor, keys: Tensor, inverse: float | Tensor, task: Task, shift: float
) -> Prepared:
    """The walk with everything that forward and backward have in common."""
    walk, plan = kernels.walk(queries, keys, symmetric=task.symmetric), task.plan
    alive = [queries, keys]

    def address(tensor: Tensor) -> int:
        alive.append(tensor)
        return tensor.data_ptr()

    if isinstance(inverse, Tensor) and inverse.ndim:
        walk.row_scale = address((inverse * LOG2E).float().contiguous())
    else:
        walk.scale = float(inverse) * LOG2E
    walk.shift, walk.columns = shift * LOG2E, task.columns
    if plan.labels is not None:
        _, rows, columns = plan.codes
        walk.row_label, walk.column_label = address(rows.int()), address(columns.int())
        walk.separate = task.separate
    if plan.apart is not None:
        walk.pointers, walk.partners = address(plan.apart.pointers), address(plan.apart.columns.contiguous())
    return Prepared(walk, alive)


def forward(
    kernels: Kernels, queries: Tensor, keys: Tensor, inverse: float | Tensor, task: Task, *, keep: bool
) -> Totals | None:
    """Sums of exponentials over rows, and columns where asked; None where a sum fell below what float32 holds."""
    shift = shift_for(kernels, queries, keys, inverse)
    if shift is None:
        return None
    walk, alive = prepare(kernels, queries, keys, inverse, task, shift)
    totals = Totals(shift=shift)
    n, m = task.plan.shape
    totals.rows["negative"] = torch.empty(n, dtype=torch.float64)
    walk.row_sum = totals.rows["negative"].data_ptr()
    if task.columns:
        totals.columns["negative"] = torch.empty(m, dtype=torch.float64)
        walk.column_sum = totals.columns["negative"].data_ptr()
    if task.separate:
        totals.rows["positive"] = torch.empty(n, dtype=torch.float64)
        walk.row_same = totals.rows["positive"].data_ptr()
        if task.columns:
            totals.columns["positive"] = torch.empty(m, dtype=torch.float64)
            walk.column_same = totals.columns["positive"].data_ptr()
    totals.stored = _store(task, walk) if keep else None
    kernels.run("forward", walk)
    del alive
    if not _settle(totals):
        return None
    return totals


def _settle(totals: Totals) -> bool:
    """Bring empty sums to zero: what is held apart counts as 2^-126. False where a sum may have lost terms."""
    for total in (*totals.rows.values(), *totals.columns.values()):
        if totals.shift:
            if bool((total < 1e-25).any()):
                return False
        else:
            total.masked_fill_(total < 1e-30, 0.0)
    return True


def backward(
    kernels: Kernels, queries: Tensor, keys: Tensor, inverse: float | Tensor, task: Task, totals: Totals, slopes: Slopes
) -> tuple[Tensor, Tensor | None]:
    """Derivatives by the queries and by the keys; in symmetric walks the first is by the set, both ways."""
    assert totals.shift is not None
    walk, alive = prepare(kernels, queries, keys, inverse, task, totals.shift)
    over = inverse.detach().double() if isinstance(inverse, Tensor) else inverse

    def address(tensor: Tensor) -> int:
        alive.append(tensor)
        return tensor.data_ptr()

    def weight(slope: Tensor | None, total: Tensor | None) -> int | None:
        if slope is None or total is None:
            return None
        return address(share_of(slope * over, total, torch.float32))

    walk.row_weight = weight(slopes.rows["negative"], totals.rows["negative"])
    walk.row_same_weight = weight(slopes.rows["positive"], totals.rows.get("positive"))
    if task.symmetric:
        walk.column_weight, walk.column_same_weight = walk.row_weight, walk.row_same_weight
    elif task.columns:
        walk.column_weight = weight(slopes.columns["negative"], totals.columns["negative"])
        walk.column_same_weight = weight(slopes.columns["positive"], totals.columns.get("positive"))
    if walk.column_same_weight and not walk.column_weight:
        walk.column_weight = address(torch.zeros(keys.shape[0]))
    if slopes.apart is not None:
        edges = task.plan.apart
        assert edges is not None
        apart = slopes.apart * (over[edges.rows] if isinstance(over, Tensor) and over.ndim else over)
        if task.symmetric:
            apart = apart + apart[edges.mirror]
        walk.pair_weight = address(apart.float())
    if totals.stored is not None:
        walk.stored, walk.stored_floats, walk.have = address(totals.stored.piece), totals.stored.floats, True
    d_queries = torch.empty_like(queries)
    d_keys = None if task.symmetric else torch.empty_like(keys)
    walk.d_queries = d_queries.data_ptr()
    walk.d_keys = None if d_keys is None else d_keys.data_ptr()
    kernels.run("backward", walk)
    return d_queries, d_keys


def edge_scores(kernels: Kernels, queries: Tensor, keys: Tensor, edges: Edges, inverse: float | Tensor) -> Tensor:
    """``(E,)`` scores of single pairs, summed in float64."""
    walk = kernels.walk(queries, keys)
    pointers, partners = edges.pointers, edges.columns.contiguous()
    walk.pointers, walk.partners = pointers.data_ptr(), partners.data_ptr()
    scores = torch.empty(partners.shape[0], dtype=torch.float64)
    kernels.run("pairs", walk, scores.data_ptr())
    if isinstance(inverse, Tensor):
        wide = inverse.double()
        return scores.mul_(wide[edges.rows] if wide.ndim else wide)
    return scores.mul_(inverse)


def whole(
    kernels: Kernels, queries: Tensor, keys: Tensor, inverse: float | Tensor, task: Task
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """The mean of ``softplus(negative - positive)`` over rows, or rows and columns, with its derivatives in one call.

    The derivatives are by queries and keys (in symmetric walks by the set). Each row has one positive. None where the
    range of the scores is too wide for one shift.
    """
    shift = shift_for(kernels, queries, keys, inverse)
    edges = task.plan.apart
    if shift is None or edges is None or edges.only is None:
        return None
    walk, alive = prepare(kernels, queries, keys, inverse, task, shift)
    n, m = task.plan.shape
    loan = None
    if task.columns or task.symmetric:
        loan = _store(task, walk, KEPT if task.symmetric else None)
        room = torch.empty(2 * n + m + edges.rows.shape[0])
        walk.room = room.data_ptr()
        alive.append(room)
    else:
        walk.tile_rows, walk.tile_columns = tiles.native_strip(task.plan.shape, walk.threads)
    sums = torch.empty(3 if task.columns else 2, max(n, m), dtype=torch.float64)
    only = edges.only.contiguous()
    alive += [sums, only]
    walk.row_sum, walk.positive, walk.only = sums[0].data_ptr(), sums[1].data_ptr(), only.data_ptr()
    if task.columns:
        walk.column_sum = sums[2].data_ptr()
    d_queries = torch.empty_like(queries)
    d_keys = None if task.symmetric else torch.empty_like(keys)
    walk.d_queries = d_queries.data_ptr()
    walk.d_keys = None if d_keys is None else d_keys.data_ptr()
    if not kernels.run("whole", walk):
        return None
    del loan
    return sums.new_full((), walk.loss), d_queries, d_keys


def _store(task: Task, walk: Walk, budget: int | None = None) -> Loan | None:
    """Room for the exponentials, as much as there are and as `stored_exponentials` or else the budget allows."""
    n, m = task.plan.shape
    half = task.symmetric and n > walk.tile_rows
    if _budget[-1] is not None:
        budget = _budget[-1]
    elif budget is None:
        vectors = 4 * min(n, m) * walk.d
        budget = KEPT + 6 * vectors if task.symmetric else STORED + 3 * vectors
    floats = min((n * (n + walk.tile_rows) // 2 + walk.tile_rows**2) if half else n * m, budget // 4)
    if floats < walk.tile_rows * walk.tile_columns:
        return None
    loan = Loan(floats)
    walk.stored, walk.stored_floats = loan.piece.data_ptr(), floats
    return loan
