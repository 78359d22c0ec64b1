"""The score primitive in plain torch calls: any device, any floating dtype, any pairing.

A score matrix is walked in tiles; of each tile only sums over its rows and columns are kept, and the backward pass
computes the tile again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.objectives import tiles
from unalike.objectives.walk import Task, Totals, Walk, accumulator, bound_of, edge_scores, reach


def forward(queries: Tensor, keys: Tensor, scaled: Tensor, inverse: Tensor | float, task: Task) -> Totals:
    """Sums of exponentials over rows, and columns where asked."""
    bound, limit = bound_of(queries, keys, inverse), reach(queries.dtype)
    if bound <= 4 * limit:
        totals = _sums(Walk(scaled, keys, task), max(0.0, bound - limit), None)
        if bound <= limit or not _lost(totals):
            return totals
    walk = Walk(scaled, keys, task)
    return _sums(walk, None, _maxima(walk))


def _lost(totals: Totals) -> bool:
    """Whether a sum is so small that its terms may have fallen below the smallest number."""
    sums = [*totals.rows.values(), *totals.columns.values()]
    return any(bool((total < 1e-25).any()) for total in sums)


def _zeros(walk: Walk, length: int) -> dict[str, Tensor]:
    device = walk.scaled.device
    return {kind: torch.zeros(length, dtype=accumulator(device), device=device) for kind in walk.task.kinds}


def _sums(walk: Walk, shift: float | None, maxima: Totals | None) -> Totals:
    task = walk.task
    n, m = walk.scaled.shape[0], walk.keys.shape[0]
    totals = Totals() if maxima is None else maxima
    totals.shift = shift
    totals.rows = _zeros(walk, n)
    totals.columns = _zeros(walk, m) if task.columns else {}
    if task.plan.weights is not None:
        device, wide = walk.scaled.device, accumulator(walk.scaled.device)
        totals.weighted = (torch.zeros(n, dtype=wide, device=device), torch.zeros(m, dtype=wide, device=device))
        totals.weight = (torch.zeros(n, dtype=wide, device=device), torch.zeros(m, dtype=wide, device=device))
    for rows, columns, scores in walk:
        kinds, mean = walk.weights(rows, columns)
        if mean is not None:
            assert totals.weighted is not None and totals.weight is not None
            product = torch.mul(mean, scores, out=walk.spare(scores))
            for axis, part in ((1, rows), (0, columns)):
                totals.weighted[1 - axis][part] += product.sum(axis)
                totals.weight[1 - axis][part] += mean.sum(axis)
        walk.hold_apart(rows, columns, scores)
        if shift is not None:
            powers = scores.sub_(shift).exp_() if shift else scores.exp_()
        for kind, weight in kinds.items():
            if shift is not None:
                term = powers if weight is None else torch.mul(powers, weight, out=walk.spare(scores))
                over_rows = term.sum(1)
                over_columns = term.sum(0) if task.columns or task.symmetric else None
            else:
                over_rows = _powers(walk, scores, weight, totals.row_shift[kind][rows, None]).sum(1)
                over_columns = None
                if task.columns or task.symmetric:
                    at = totals.row_shift if task.symmetric else totals.column_shift
                    over_columns = _powers(walk, scores, weight, at[kind][None, columns]).sum(0)
            totals.rows[kind][rows] += over_rows
            if task.columns:
                assert over_columns is not None
                totals.columns[kind][columns] += over_columns
            elif task.symmetric and rows != columns:
                assert over_columns is not None
                totals.rows[kind][columns] += over_columns
    return totals


def _powers(walk: Walk, scores: Tensor, weight: Tensor | None, shift: Tensor) -> Tensor:
    """``weight * exp(scores - shift)`` where the shift is a maximum over the pairs that have weight."""
    term = torch.sub(scores, shift.to(scores.dtype), out=walk.spare(scores))
    if weight is None:
        return term.exp_()
    return term.masked_fill_(weight == 0, -torch.inf).exp_().mul_(weight)


def _maxima(walk: Walk) -> Totals:
    """The largest score of each kind in each row and column; zero where there is none."""
    task = walk.task
    totals = Totals(shift=None)
    n, m = walk.scaled.shape[0], walk.keys.shape[0]
    for kind in task.kinds:
        totals.row_shift[kind] = walk.scaled.new_full((n,), -torch.inf)
        if task.columns:
            totals.column_shift[kind] = walk.scaled.new_full((m,), -torch.inf)
    for rows, columns, scores in walk:
        kinds, _ = walk.weights(rows, columns)
        walk.hold_apart(rows, columns, scores)
        for kind, weight in kinds.items():
            seen = scores
            if weight is not None:
                seen = walk.spare(scores).copy_(scores).masked_fill_(weight == 0, -torch.inf)
            _raise(totals.row_shift[kind], rows, seen.amax(1))
            if task.columns:
                _raise(totals.column_shift[kind], columns, seen.amax(0))
            elif task.symmetric and rows != columns:
                _raise(totals.row_shift[kind], columns, seen.amax(0))
    for shifts in (totals.row_shift, totals.column_shift):
        for shift in shifts.values():
            shift.masked_fill_(shift == -torch.inf, 0.0)
    return totals


def _raise(maxima: Tensor, part: slice, seen: Tensor) -> None:
    torch.maximum(maxima[part], seen, out=maxima[part])


@dataclass(eq=False)
class Slopes:
    """Derivatives of the loss: by each sum's logarithm, by the weighted sums and by the scores held apart."""

    rows: dict[str, Tensor | None]
    columns: dict[str, Tensor | None]
    weighted: tuple[Tensor | None, Tensor | None]
    apart: Tensor | None


def backward(
    keys: Tensor, scaled: Tensor, task: Task, totals: Totals, slopes: Slopes, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Derivatives by the scaled queries and by the keys; in symmetric walks the first is by the set, both ways."""
    walk = Walk(scaled, keys, task)
    of_rows = {kind: share_of(slopes.rows[kind], totals.rows[kind], scaled.dtype) for kind in task.kinds}
    of_columns = {
        kind: share_of(slopes.columns[kind], totals.columns[kind], scaled.dtype) if task.columns else None
        for kind in task.kinds
    }
    if task.symmetric:
        of_columns = of_rows
    apart = slopes.apart
    if apart is not None and task.symmetric:
        assert task.plan.apart is not None
        apart = apart + apart[task.plan.apart.mirror]
    d_queries = torch.zeros_like(scaled) if needs[0] else None
    d_keys = torch.zeros_like(keys) if needs[1] and not task.symmetric else None
    for rows, columns, scores in walk:
        kinds, mean = walk.weights(rows, columns)
        walk.hold_apart(rows, columns, scores)
        slope = _slopes_of_tile(walk, scores, kinds, totals, of_rows, of_columns, rows, columns)
        if mean is not None:
            by_row, by_column = slopes.weighted
            if by_row is not None:
                slope.addcmul_(mean, by_row[rows, None].to(slope.dtype))
            if by_column is not None:
                slope.addcmul_(mean, by_column[None, columns].to(slope.dtype))
        if task.plan.apart is not None:
            r, c, e = task.plan.apart.within(rows, columns)
            if r.numel():
                slope[r, c] = 0.0 if apart is None else apart[e].to(slope.dtype)
        if d_queries is not None:
            d_queries[rows].addmm_(slope, keys[columns])
            if task.symmetric and rows != columns:
                d_queries[columns].addmm_(slope.T, keys[rows])
        if d_keys is not None:
            d_keys[columns].addmm_(slope.T, scaled[rows])
    return d_queries, d_keys


@overload
def share_of(slope: None, total: Tensor, dtype: torch.dtype) -> None: ...
@overload
def share_of(slope: Tensor, total: Tensor, dtype: torch.dtype) -> Tensor: ...
def share_of(slope: Tensor | None, total: Tensor, dtype: torch.dtype) -> Tensor | None:
    """What one exponential weighs in the derivative; an empty sum has no terms to weigh."""
    if slope is None:
        return None
    return torch.where((slope == 0) | (total == 0), 0.0, slope / total).to(dtype)


def _slopes_of_tile(
    walk: Walk,
    scores: Tensor,
    kinds: dict[str, Tensor | None],
    totals: Totals,
    of_rows: dict[str, Tensor | None],
    of_columns: dict[str, Tensor | None],
    rows: slice,
    columns: slice,
) -> Tensor:
    if totals.shift is not None:
        factor: Tensor | None = None
        powers = scores.sub_(totals.shift).exp_() if totals.shift else scores.exp_()
        for kind, weight in kinds.items():
            parts = [
                part for part in (_at(of_rows[kind], rows, 1), _at(of_columns[kind], columns, 0)) if part is not None
            ]
            if not parts:
                continue
            term = walk.spare(scores) if factor is None else torch.empty_like(factor)
            if len(parts) == 2:
                torch.add(parts[0], parts[1], out=term)
            else:
                term.copy_(parts[0].expand_as(term))
            if weight is not None:
                term.mul_(weight)
            factor = term if factor is None else factor.add_(term)
        return powers.zero_() if factor is None else powers.mul_(factor)
    slope = torch.zeros_like(scores)
    column_shift = totals.row_shift if walk.task.symmetric else totals.column_shift
    for kind, weight in kinds.items():
        for part, shift, axis in (
            (_at(of_rows[kind], rows, 1), totals.row_shift[kind][rows], 1),
            (_at(of_columns[kind], columns, 0), column_shift[kind][columns] if column_shift else None, 0),
        ):
            if part is not None:
                assert shift is not None
                slope.addcmul_(_powers(walk, scores, weight, shift.unsqueeze(axis)), part)
    return slope


def _at(values: Tensor | None, part: slice, axis: int) -> Tensor | None:
    return None if values is None else values[part].unsqueeze(axis)


def one_sided(
    queries: Tensor,
    keys: Tensor,
    scaled: Tensor,
    inverse: float | Tensor,
    task: Task,
    positive: Tensor,
    only: Tensor,
    share: Tensor,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Log sums over each row's negatives, and the derivatives of ``sum share * softplus(sum - positive)``, in one walk.

    A strip of whole rows is held at once, so that its sums are known before its exponentials are used again. The
    derivatives are by the scaled queries and by the keys. None where sums may lose terms.
    """
    bound, limit = bound_of(queries, keys, inverse), reach(queries.dtype)
    edges = task.plan.apart
    if not bound <= 4 * limit or edges is None:
        return None
    shift = max(0.0, bound - limit)
    n, m = task.plan.shape
    wide, dtype = accumulator(queries.device), queries.dtype
    strip = min(n, tiles.strip_rows(m, megabytes=8))
    buffer = torch.empty(strip, m, dtype=dtype, device=queries.device)
    negative = torch.empty(n, dtype=wide, device=queries.device)
    d_queries, d_keys = torch.empty_like(scaled), torch.zeros_like(keys)
    every = slice(0, m)
    for first in range(0, n, strip):
        rows = slice(first, min(first + strip, n))
        powers = torch.mm(scaled[rows], keys.T, out=buffer[: rows.stop - first])
        r, c, e = edges.within(rows, every)
        powers[r, c] = -torch.inf
        powers = powers.sub_(shift).exp_() if shift else powers.exp_()
        sums = powers.sum(1).to(wide)
        negative[rows] = sums.log() + shift
        slope = share[rows] * torch.sigmoid(negative[rows] - positive[rows])
        powers.mul_(share_of(slope, sums, dtype)[:, None])
        powers[r, c] = torch.where(only[rows][r] == e, -slope[r], 0.0).to(dtype)
        torch.mm(powers, keys, out=d_queries[rows])
        d_keys.addmm_(powers.T, scaled[rows])
    if shift and bool((negative < shift - 57.0).any()):
        return None
    return negative, d_queries, d_keys


def kept(
    queries: Tensor, keys: Tensor, inverse: float | Tensor, task: Task
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """The mean of ``softplus(negative - positive)`` over rows, or rows and columns, with its derivatives in one call.

    For as many scores as one tile has: all their exponentials are kept, since a small loss costs what its calls cost.
    The derivatives are by queries and keys (in symmetric walks by the set). Each row has one positive. None where there
    are more scores, or where sums may lose terms.
    """
    n, m = task.plan.shape
    tile, edges = tiles.portable(queries.device), task.plan.apart
    if n > tile.rows or m > tile.columns or edges is None or edges.only is None:
        return None
    wide, dtype = accumulator(queries.device), queries.dtype
    powers = torch.mm(queries, keys.T)
    powers.mul_(inverse.to(dtype)[:, None] if isinstance(inverse, Tensor) and inverse.ndim else inverse)
    low, high = (float(end) for end in torch.aminmax(powers))
    limit = reach(dtype)
    if not (-4 * limit <= low and high <= 4 * limit):
        return None
    shift = max(0.0, high - limit)
    positive = edge_scores(queries, keys, edges, inverse)
    if not edges.bijective:
        positive = positive[edges.only]
    powers[edges.rows, edges.columns] = -torch.inf
    powers = powers.sub_(shift).exp_() if shift else powers.exp_()

    def side(axis: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of rows (1) or columns (0): the logarithms of their sums, and the derivatives by these and by the powers."""
        sums = powers.sum(axis).to(wide)
        logs = sums.log().add_(shift)
        slopes = torch.sigmoid(logs - positive).mul_((0.5 if task.columns else 1.0) / n).mul_(inverse)
        shares = slopes / sums.clamp_min(torch.finfo(wide).tiny)  # of an empty sum the slope is zero
        return logs, slopes, shares.to(dtype)

    logs, slopes, shares = side(1)
    gaps = logs - positive
    if task.symmetric:
        pull = slopes + slopes[edges.columns[edges.only]]
        weights = shares[:, None] + shares
    elif task.columns:
        column_logs, column_slopes, column_shares = side(0)
        gaps = torch.stack([gaps, column_logs - positive])
        logs = torch.minimum(logs, column_logs)
        pull = slopes + column_slopes
        weights = shares[:, None] + column_shares
    else:
        pull, weights = slopes, shares[:, None]
    if low < shift - 57.0 and bool((logs < shift - 57.0).any()):
        return None
    powers.mul_(weights)
    powers[edges.rows[edges.only], edges.columns[edges.only]] = pull.neg_().to(dtype)
    d_keys = None if task.symmetric else torch.mm(powers.T, queries)
    return softplus(gaps).mean(), torch.mm(powers, keys), d_keys
