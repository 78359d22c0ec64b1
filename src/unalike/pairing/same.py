"""What is the same is never a negative: codes of what each row holds, as ignored pairs of a pairing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unalike.errors import DataError
from unalike.pairing.edges import Edges
from unalike.pairing.plan import Pairing, Plan, Tile

FEW = 64
"""Pairs a row and column up to which they are listed; of more, a code for each row and column says which they are."""

Codes = Tensor | tuple[Tensor, Tensor]
"""Int64 ``(N,)`` or ``(N, K)``, or two of them: of the queries and of the keys."""


@dataclass(frozen=True, eq=False)
class Sparing(Pairing):
    """A pairing whose negatives spare what is the same as the query: such pairs are ignored, unless they are positives.

    A row holds up to ``K`` things, each with a code: the text of its question, that of its answer, its group. Row and
    column are the same where they share a code, in whichever place. The relation is not passed on: a row that shares
    its question with a second and its answer with a third does not make these two the same.

    Soft targets, which say for every pair how alike it is, stay as they are.

    Args:
        pairing: who meets whom otherwise.
        rows: int64 ``(N,)`` or ``(N, K)``: codes of the queries, -1 for nothing.
        columns: int64 ``(M,)`` or ``(M, L)``: codes of the keys; those of the queries if None.

    Example:
        >>> import torch
        >>> from unalike.pairing import SameIndex, Sparing
        >>> question, answer = torch.tensor([7, 7, 8]), torch.tensor([1, 2, 2])
        >>> codes = torch.stack([question, answer + 100], dim=1)
        >>> Sparing(SameIndex(), codes).plan(torch.eye(3), torch.eye(3)).whole().negative
        tensor([[0., 0., 1.],
                [0., 0., 0.],
                [1., 0., 0.]])
    """

    pairing: Pairing
    rows: Tensor
    columns: Tensor | None = None

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        plan = self.pairing.plan(queries, keys)
        if plan.joint:
            return plan
        if plan.negatives is not None:
            raise DataError("negatives were chosen already; choose them from a pairing that spares what is the same")
        rows = _table(self.rows, plan.shape[0], "queries", plan.device)
        columns = rows if self.columns is None else _table(self.columns, plan.shape[1], "keys", plan.device)
        if len(columns) != plan.shape[1]:
            raise DataError(f"codes of {len(columns)} queries for {plan.shape[1]} keys; give those of the keys too")
        if plan.weights is not None:
            return replace(plan, weights=_without(plan, rows, columns))
        most = FEW * (plan.shape[0] + plan.shape[1])
        listed = meetings(rows, columns, most=most)
        if listed is not None:
            return _with_ignored(plan, *listed)
        return _with_many(plan, rows, columns, most)


def sparing(pairing: Pairing, same: Codes | None) -> Pairing:
    """A pairing that spares what is the same; as it is where nothing is known of that."""
    if same is None:
        return pairing
    rows, columns = same if isinstance(same, tuple) else (same, None)
    return Sparing(pairing, rows, columns)


def of_views(same: Tensor | None, count: int) -> Tensor | None:
    """The codes of ``count`` views of the samples, one view after the other."""
    return None if same is None else torch.cat([same] * count)


def of_all(parts: Sequence[Tensor]) -> Tensor:
    """The codes of several sets of rows, one after the other; those that hold fewer things are filled with -1."""
    tables = [part if part.ndim == 2 else part[:, None] for part in parts]
    width = max(part.shape[1] for part in tables)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1]), value=-1) for part in tables])


def shares_a_code(codes: Tensor, others: Tensor) -> Tensor:
    """Bool ``(M,)``: which of the ``codes`` ``(M, K)`` share one with any of ``others`` ``(N, L)``; -1 is none."""
    return (torch.isin(codes, others) & (codes >= 0)).any(dim=1)


def alike(rows: Tensor, columns: Tensor) -> Tensor:
    """Bool ``(R, C)``: which of some rows and columns share a code, for a strip or tile; codes as for `Sparing`."""
    rows, columns = (codes if codes.ndim == 2 else codes[:, None] for codes in (rows, columns))
    found = torch.zeros(len(rows), len(columns), dtype=torch.bool, device=rows.device)
    for ours in rows.unbind(1):
        for theirs in columns.unbind(1):
            found |= (ours[:, None] == theirs) & (ours >= 0)[:, None]
    return found


def meetings(rows: Tensor, columns: Tensor, *, most: int | None = None) -> tuple[Tensor, Tensor] | None:
    """The pairs of a row and a column that share a code, found by sorting; a pair may come more than once.

    Args:
        rows: int64 ``(N, K)``, -1 for nothing.
        columns: int64 ``(M, L)``.
        most: None is returned where there would be more pairs than that.
    """
    codes, order = columns.reshape(-1).sort(stable=True)
    asked = rows.reshape(-1)
    first, last = torch.searchsorted(codes, asked), torch.searchsorted(codes, asked, right=True)
    each = torch.where(asked >= 0, last - first, 0)
    total = int(each.sum())
    if most is not None and total > most:
        return None
    place = torch.repeat_interleave(each, output_size=total)
    within = torch.arange(total, device=rows.device) - (each.cumsum(0) - each)[place]
    return place // rows.shape[1], order[first[place] + within] // columns.shape[1]


def _table(codes: Tensor, length: int, of: str, device: torch.device) -> Tensor:
    if codes.ndim not in (1, 2) or codes.is_floating_point() or codes.shape[0] != length:
        raise DataError(
            f"codes of shape {tuple(codes.shape)} of {codes.dtype} for {length} {of}; expected whole numbers, one or "
            f"several for each: ({length},) or ({length}, K)"
        )
    codes = codes.to(device, torch.int64)
    return codes if codes.ndim == 2 else codes[:, None]


def _with_ignored(plan: Plan, rows: Tensor, columns: Tensor) -> Plan:
    """The plan without some negatives; what it says of positives and of other ignored pairs stays."""
    width = plan.shape[1]
    keys = torch.unique(rows * width + columns)
    apart = plan.apart
    if apart is not None and apart.rows.numel():
        known = apart.rows * width + apart.columns
        place = torch.searchsorted(known, keys).clamp_(max=known.shape[0] - 1)
        keys = keys[known[place] != keys]
    if plan.labels is not None and keys.numel():
        ours, theirs = plan.labels[0][keys // width], plan.labels[1][keys % width]
        keys = keys[(ours != theirs) | (ours < 0)]
    if not keys.numel():
        return plan
    if apart is None:
        nothing = torch.zeros(keys.shape[0], device=plan.device)
        return replace(plan, apart=Edges(keys // width, keys % width, nothing, plan.shape))
    return replace(plan, apart=_merged(apart, keys, width))


def _merged(apart: Edges, keys: Tensor, width: int) -> Edges:
    """Pairs held apart, and further ones that are ignored."""
    known = apart.rows.shape[0]
    every, order = torch.cat([apart.rows * width + apart.columns, keys]).sort()
    weights = torch.cat([apart.weights, apart.weights.new_zeros(keys.shape[0])])[order]
    only = apart.only
    if only is not None:
        place = torch.empty_like(order)
        place[order] = torch.arange(order.shape[0], device=order.device)
        only = place[:known][only]
    return Edges(every // width, every % width, weights, apart.shape, only=only, matched=apart.matched)


def _with_many(plan: Plan, rows: Tensor, columns: Tensor, most: int) -> Plan:
    """The plan where many pairs are the same: one code that many hold may serve as a label, others as weights."""
    common = _common(rows, columns, most)
    ours = torch.isin(rows, common)
    theirs = ours if columns is rows else torch.isin(columns, common)
    one_each = int(ours.sum(1).max()) <= 1 and int(theirs.sum(1).max()) <= 1
    if plan.labels is not None or not one_each:
        return replace(plan, weights=_without(plan, rows, columns))
    labels = rows.masked_fill(~ours, -1).amax(1)
    of_columns = labels if columns is rows else columns.masked_fill(~theirs, -1).amax(1)
    rest = rows.masked_fill(ours, -1), columns.masked_fill(theirs, -1)
    listed = meetings(*rest)
    assert listed is not None
    return replace(_with_ignored(plan, *listed), labels=(labels, of_columns), same="ignored")


def _common(rows: Tensor, columns: Tensor, most: int) -> Tensor:
    """The codes that make the most pairs, so that the others make no more than ``most``."""
    found, inverse = torch.unique(torch.cat([rows.reshape(-1), columns.reshape(-1)]), return_inverse=True)
    parts = inverse[: rows.numel()], inverse[rows.numel() :]
    ours, theirs = (torch.bincount(part, minlength=len(found)) for part in parts)
    pairs = torch.where(found >= 0, ours * theirs, 0)
    order = pairs.argsort(descending=True)
    left = pairs.sum() - pairs[order].cumsum(0)
    return found[order[: int((left > most).sum()) + 1]]


def _without(plan: Plan, rows: Tensor, columns: Tensor) -> Callable[[slice, slice], Tile]:
    """The weights of a plan's tiles, where the negatives that share a code weigh nothing."""
    before = plan.weights

    def weights(part: slice, across: slice) -> Tile:
        size = part.stop - part.start, across.stop - across.start
        if before is None:
            positive, negative = torch.zeros(size, device=plan.device), torch.ones(size, device=plan.device)
        else:
            positive, negative = before(part, across)
        spared = alike(rows[part], columns[across]) & (positive <= 0)
        return Tile(positive, negative.masked_fill(spared, 0.0))

    return weights
