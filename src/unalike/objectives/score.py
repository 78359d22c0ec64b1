"""The heart: sums over a score matrix that is never stored.

Nearly every contrastive loss is made, for each row of the scores ``s_ij = q_i . k_j / t_i``, of the log of a weighted
sum of exponentials over the row's negatives, the same over its positives, and the weighted mean of its positive scores.
`score_sums` gives these three, differentiable, in memory that grows with the number of rows and not with its square.
Losses are a few lines over them; see `contrastive`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.errors import DataError, SettingsError
from unalike.objectives import fast, portable, walk
from unalike.objectives.autograd import eager, once
from unalike.objectives.native import Kernels
from unalike.objectives.portable import Slopes
from unalike.objectives.walk import Task, Totals
from unalike.pairing import Edges, Pairing, Plan, SameIndex


class Sums(NamedTuple):
    """What `score_sums` gives; float64 ``(N,)`` each, since one number a row costs nothing.

    negative: log of the sum of ``exp(s_ij)`` over the row's negatives, weighted; minus infinity where it has none.
    positive: the same over the row's positives, each of weight 1; minus infinity where it has none, and with soft
        targets, whose pairs all stay in ``negative``.
    mean: weighted mean of the row's positive scores; zero where it has none.
    weight: sum of the weights of the row's positives (their number, where all weigh 1); no gradient.
    columns: the same for the columns ``(M,)``, where asked for.
    """

    negative: Tensor
    positive: Tensor
    mean: Tensor
    weight: Tensor
    columns: Sums | None = None


def score_sums(
    queries: Tensor,
    keys: Tensor | None = None,
    *,
    temperature: float | Tensor,
    pairing: Pairing | None = None,
    columns: bool = False,
) -> Sums:
    """Log-sum-exp of the scores ``q_i . k_j / t_i`` over each row's negatives and positives, and their mean score.

    Positives are kept out of the sum over negatives, and the scores of single positives are computed with more digits,
    so that a loss such as ``softplus(negative - positive)`` is exact where it is nearly zero.

    Args:
        queries: ``(N, D)``, float32, bfloat16, float16 or float64. Scores are inner products: bring vectors to unit
            length before if cosines are meant.
        keys: ``(M, D)``; None for scores of the queries with themselves.
        temperature: above zero; a number, or a tensor with one or with ``N`` entries, which may want a gradient.
        pairing: who is positive, negative or ignored; `SameIndex` if None.
        columns: give the sums over columns too, from the same exponentials. Needs one temperature for all.

    Returns:
        `Sums`. Rows with NaN or infinity give what arithmetic gives, NaN or infinity, and no error.

    Raises:
        DataError: shapes, devices or pairing do not fit each other.
        SettingsError: a temperature not above zero, or one a row together with ``columns``.

    Data: pairs, labels, graphs or soft targets, as the pairing says.
    Cost: 2NMD flops forward and 6NMD backward (half of it for scores of a set with itself); memory O((N + M) D).

    Differentiable once: a second derivative raises an error. Under `torch.compile` the graph breaks here.

    Example:
        >>> import torch
        >>> from unalike.objectives import score_sums
        >>> sums = score_sums(torch.eye(3), torch.eye(3), temperature=1.0)
        >>> sums.negative.exp()
        tensor([2., 2., 2.], dtype=torch.float64)
        >>> sums.positive
        tensor([1., 1., 1.], dtype=torch.float64)
    """
    other = queries if keys is None else keys
    check_scores(queries, other)
    inverse = inverse_temperature(temperature, queries)
    plan = (SameIndex() if pairing is None else pairing).plan(queries, other)
    return sums_of_plan(queries, keys, inverse, plan, columns=columns)


@torch.no_grad()
def count_negatives(pairing: Pairing, queries: Tensor, keys: Tensor) -> Tensor:
    """Float64 ``(N,)``: the weight of all negatives of each row, their number where they weigh 1."""
    nothing = (each.detach()[:, :1].float() * 0 for each in (queries, keys))
    return score_sums(*nothing, temperature=1.0, pairing=pairing).negative.exp().round(decimals=6)


def check_scores(queries: Tensor, keys: Tensor) -> None:
    """Raise unless there can be scores of these."""
    if queries.ndim != 2 or keys.ndim != 2 or queries.shape[1] != keys.shape[1]:
        raise DataError(
            f"queries {tuple(queries.shape)} and keys {tuple(keys.shape)}; expected (N, D) and (M, D) with equal D"
        )
    if not queries.shape[0] or not keys.shape[0]:
        raise DataError(f"{queries.shape[0]} queries and {keys.shape[0]} keys; at least one of each is needed")
    if queries.device != keys.device:
        raise DataError(f"queries on {queries.device} and keys on {keys.device}; bring them to one device")
    if not queries.is_floating_point() or not keys.is_floating_point():
        raise DataError(f"queries are {queries.dtype} and keys {keys.dtype}; expected floating point numbers")


def inverse_temperature(temperature: float | Tensor, queries: Tensor) -> float | Tensor:
    """One over the temperature; a tensor keeps its gradient and becomes a scalar or ``(N,)``."""
    if not isinstance(temperature, Tensor):
        if not 0 < temperature < float("inf"):
            raise SettingsError(f"temperature={temperature}; expected a number above zero")
        return 1.0 / temperature
    if temperature.numel() == 1:
        return temperature.to(queries.device).reshape(()).reciprocal()
    if temperature.shape != queries.shape[:1]:
        raise SettingsError(
            f"temperature of shape {tuple(temperature.shape)} for {queries.shape[0]} queries; "
            "expected one number or one for each query"
        )
    return temperature.to(queries.device).reciprocal()


@eager
def sums_of_plan(
    queries: Tensor, keys: Tensor | None, inverse: float | Tensor, plan: Plan, *, columns: bool = False
) -> Sums:
    """`score_sums` for a plan that is made already and an inverse temperature."""
    one_each = isinstance(inverse, Tensor) and inverse.ndim == 1
    if columns and one_each:
        raise SettingsError("sums over columns need one temperature for all; ask for each direction on its own")
    if columns and plan.negatives is not None:
        raise SettingsError("negatives chosen for each row give no sums over columns")
    symmetric = (
        keys is None
        and not one_each
        and plan.weights is None
        and (plan.labels is None or plan.labels[0] is plan.labels[1])
        and not columns
    )
    task = Task(plan, columns=columns, symmetric=symmetric)
    if plan.negatives is not None:
        return _sparse_sums(queries, queries if keys is None else keys, inverse, plan)
    found: tuple[Any, ...] = _ScoreSums.apply(queries, keys if symmetric else _or(keys, queries), inverse, task)
    rows_negative, rows_positive, rows_mean, columns_negative, columns_positive, columns_mean, apart, *weight = found
    totals = (rows_negative, rows_positive, rows_mean, weight[0])
    label_means = _label_means(queries, _or(keys, queries), inverse, plan, columns)
    result = _assemble(totals, apart, plan, label_means[0], by_column=False)
    if not columns:
        return result
    totals = (columns_negative, columns_positive, columns_mean, weight[1])
    return result._replace(columns=_assemble(totals, apart, plan, label_means[1], by_column=True))


def _or(keys: Tensor | None, queries: Tensor) -> Tensor:
    return queries if keys is None else keys


class _ScoreSums(torch.autograd.Function):
    """Sums over the tiles of a score matrix, and the scores of the pairs held apart."""

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor | None, inverse: float | Tensor, task: Task
    ) -> tuple[Tensor | None, ...]:
        q, k = computed(queries, keys)
        number = _detached(inverse)
        edges, apart = task.plan.apart, None
        kernels = fast.kernels_for(q, k, task)
        totals = None
        with uncast(q.device):
            if kernels is not None:
                totals = fast.forward(kernels, q, k, number, task, keep=any(ctx.needs_input_grad))
            if totals is None:
                kernels = None
                totals = portable.forward(q, k, q * column(number, q.dtype), number, task)
            if edges is not None:
                apart = pair_scores(q, k, edges, number, kernels)
        ctx.task, ctx.totals, ctx.kernels, ctx.inverse = task, totals, kernels, number
        ctx.dtypes = (queries.dtype, _or(keys, queries).dtype)
        ctx.save_for_backward(q, k)
        rows = [_log(totals, totals.rows, totals.row_shift, kind) for kind in ("negative", "positive")]
        columns = [_log(totals, totals.columns, totals.column_shift, kind) for kind in ("negative", "positive")]
        weighted, weight = totals.weighted or (None, None), totals.weight or (None, None)
        ctx.mark_non_differentiable(*(w for w in weight if w is not None))
        return (*rows, weighted[0], *columns, weighted[1] if task.columns else None, apart, *weight)

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        task, totals, inverse = ctx.task, ctx.totals, ctx.inverse
        q, k = ctx.saved_tensors
        needs_queries, needs_keys, needs_inverse, _ = ctx.needs_input_grad
        unit, (rn, rp, rm, cn, cp, cm, apart) = _unit(slopes[:7])
        d_queries: Tensor | None
        d_keys: Tensor | None
        found = Slopes({"negative": rn, "positive": rp}, {"negative": cn, "positive": cp}, (rm, cm), apart)
        with uncast(q.device):
            if ctx.kernels is not None:
                d_queries, d_keys = fast.backward(ctx.kernels, q, k, inverse, task, totals, found)
            else:
                scale = column(inverse, q.dtype)
                needs = (needs_queries or needs_inverse, needs_keys)
                d_queries, d_keys = portable.backward(k, q * scale, task, totals, found, needs)
                d_queries = None if d_queries is None else d_queries.mul_(scale)
        d_inverse = None
        if needs_inverse:
            assert d_queries is not None
            d_inverse = slope_of_inverse(q, d_queries, inverse) * unit
            d_inverse = d_inverse * (0.5 if task.symmetric else 1.0)
        if not isinstance(unit, float):
            d_queries, d_keys = (None if d is None else d.mul_(unit.to(d.dtype)) for d in (d_queries, d_keys))
        return (
            d_queries.to(ctx.dtypes[0]) if needs_queries and d_queries is not None else None,
            d_keys.to(ctx.dtypes[1]) if needs_keys and d_keys is not None else None,
            d_inverse,
            None,
        )


class _Ready(torch.autograd.Function):
    """A loss whose gradients were made with it; symmetric ones have no keys."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor | None,
        inverse: float | Tensor,
        loss: Tensor,
        d_queries: Tensor,
        d_keys: Tensor | None,
        d_inverse: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(d_queries, d_keys, d_inverse)
        ctx.dtypes = (queries.dtype, queries.dtype if keys is None else keys.dtype)
        return loss

    @staticmethod
    @once
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        d_queries, d_keys, d_inverse = ctx.saved_tensors
        needs = ctx.needs_input_grad
        if slope.device.type != "cpu" or slope.item() != 1.0:  # to look would be to wait for another device
            factor = slope.to(d_queries.dtype)
            d_queries, d_keys = (None if d is None else d * factor for d in (d_queries, d_keys))
        return (
            _as(d_queries, ctx.dtypes[0]) if needs[0] else None,
            _as(d_keys, ctx.dtypes[1]) if needs[1] else None,
            (d_inverse * slope).to(d_inverse.dtype) if needs[2] else None,
            *(None for _ in needs[3:]),
        )


def uncast(device: torch.device) -> AbstractContextManager[Any]:
    """Inside of the ``with``, autocast casts nothing; where it is off already, this costs nothing."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


@eager
def ready_loss(
    queries: Tensor, keys: Tensor | None, inverse: float | Tensor, plan: Plan, *, columns: bool = False
) -> Tensor | None:
    """The mean over rows, or rows and columns, of ``softplus(negative - positive)``, its gradients made at once.

    One-sided this takes three multiplications in place of four; for small batches it saves the calls. None where it
    cannot be done: several positives a row, labels, no gradient wanted, scores of too wide a range, or more of them
    than the portable path keeps (one-sided losses it makes this way in any case). Then the general way serves.
    """
    edges, other = plan.apart, _or(keys, queries)
    if edges is None or edges.only is None or plan.labels or plan.weights or plan.negatives:
        return None
    if columns and not edges.matched:
        return None
    one_each = isinstance(inverse, Tensor) and inverse.ndim > 0
    if one_each and (columns or keys is None):
        return None
    wanted = [x.requires_grad for x in (queries, other, inverse) if isinstance(x, Tensor)]
    if not torch.is_grad_enabled() or not any(wanted):
        return None
    task = Task(plan, columns=columns, symmetric=keys is None)
    number = _detached(inverse)
    with torch.no_grad(), uncast(queries.device):
        q, k = computed(queries, keys)
        kernels = fast.kernels_for(q, k, task)
        found: tuple[Tensor, Tensor, Tensor | None] | None
        if kernels is not None:
            found = fast.whole(kernels, q, k, number, task)
        else:
            found = portable.kept(q, k, number, task)
            if found is None and not columns and not task.symmetric:
                found = _one_sided(q, k, number, task, edges, edges.only)
        if found is None:
            return None
        d_inverse = None
        if isinstance(inverse, Tensor) and inverse.requires_grad:
            d_inverse = slope_of_inverse(q, found[1], inverse.detach()) * (0.5 if task.symmetric else 1.0)
    loss, d_queries, d_keys = found
    result: Tensor = _Ready.apply(queries, keys, inverse, loss.to(q.dtype), d_queries, d_keys, d_inverse)
    return result


def _one_sided(
    queries: Tensor, keys: Tensor, inverse: float | Tensor, task: Task, edges: Edges, only: Tensor
) -> tuple[Tensor, Tensor, Tensor] | None:
    """The one-sided loss and its gradients in strips of rows."""
    positive = walk.edge_scores(queries, keys, edges, inverse)[only]
    share = torch.full_like(positive, 1.0 / positive.shape[0])
    scale = column(inverse, queries.dtype)
    found = portable.one_sided(queries, keys, queries * scale, inverse, task, positive, only, share)
    if found is None:
        return None
    negative, d_queries, d_keys = found
    return softplus(negative - positive).mean(), d_queries.mul_(scale), d_keys


def computed(queries: Tensor, keys: Tensor | None) -> tuple[Tensor, Tensor]:
    """Queries and keys as they are computed with: float64 if one of them is, else float32; contiguous."""
    dtype = torch.float64 if torch.float64 in (queries.dtype, _or(keys, queries).dtype) else torch.float32
    q = _as(queries.detach(), dtype).contiguous()
    return q, q if keys is None or keys is queries else _as(keys.detach(), dtype).contiguous()


def _as(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """`Tensor.to`, which takes its time even where there is nothing to do."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def pair_scores(
    queries: Tensor, keys: Tensor, edges: Edges, inverse: float | Tensor, kernels: Kernels | None
) -> Tensor:
    """``(E,)`` scores of single pairs with the digits of float64."""
    if kernels is not None:
        return fast.edge_scores(kernels, queries, keys, edges, inverse)
    return walk.edge_scores(queries, keys, edges, inverse)


def slope_of_inverse(queries: Tensor, d_queries: Tensor, inverse: Tensor) -> Tensor:
    """The derivative by one over the temperature, from that by the queries: scores are linear in both."""
    rows = torch.einsum("nd,nd->n", queries, d_queries).double()
    return (rows / inverse if inverse.ndim else rows.sum() / inverse).to(inverse.dtype)


def _detached(inverse: float | Tensor) -> float | Tensor:
    return inverse.detach() if isinstance(inverse, Tensor) else inverse


def column(inverse: float | Tensor, dtype: torch.dtype) -> float | Tensor:
    """The inverse temperature in the shape that scales rows."""
    if not isinstance(inverse, Tensor):
        return inverse
    inverse = inverse.detach().to(dtype)
    return inverse[:, None] if inverse.ndim else inverse


def _log(totals: Totals, sums: dict[str, Tensor], shifts: dict[str, Tensor], kind: str) -> Tensor | None:
    if kind not in sums:
        return None
    return sums[kind].log() + (shifts[kind] if totals.shift is None else totals.shift)


def _unit(slopes: tuple[Tensor | None, ...]) -> tuple[Tensor | float, list[Tensor | None]]:
    """Slopes over their largest where float32 could not hold them over a sum, and that largest; else as they are."""
    given = [slope for slope in slopes if slope is not None and slope.numel()]
    largest = torch.stack([slope.abs().amax() for slope in given]).amax()
    if 1e-7 < float(largest) < 1e7:
        return 1.0, list(slopes)
    unit = torch.where(largest > 0, largest, 1.0)
    return unit, [None if slope is None else slope / unit for slope in slopes]


class _LabelScores(torch.autograd.Function):
    """``(N,)``: the sum of each row's scores with all columns of its label, through sums over classes."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, rows: Tensor, columns: Tensor, classes: int) -> Tensor:
        ctx.save_for_backward(queries, keys, rows, columns)
        ctx.classes = classes
        return _row_dots(queries.detach(), _class_sums(keys.detach(), columns, classes), rows)

    @staticmethod
    @once
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, rows, columns = ctx.saved_tensors
        d_queries = d_keys = None
        if ctx.needs_input_grad[0]:
            sums = _class_sums(keys, columns, ctx.classes)
            d_queries = _spread(sums, rows, slope, queries.dtype)
        if ctx.needs_input_grad[1]:
            sums = _class_sums(queries, rows, ctx.classes, slope)
            d_keys = _spread(sums, columns, None, keys.dtype)
        return d_queries, d_keys, None, None, None


def _chunks(length: int, width: int) -> list[slice]:
    step = max(1, (1 << 19) // max(width, 1))
    return [slice(first, min(first + step, length)) for first in range(0, length, step)]


def _class_sums(vectors: Tensor, codes: Tensor, classes: int, scale: Tensor | None = None) -> Tensor:
    wide = walk.accumulator(vectors.device)
    sums = torch.zeros(classes, vectors.shape[1], dtype=wide, device=vectors.device)
    for part in _chunks(*vectors.shape):
        rows = vectors[part].to(wide)
        sums.index_add_(0, codes[part], rows if scale is None else rows * scale[part, None])
    return sums


def _row_dots(vectors: Tensor, table: Tensor, codes: Tensor) -> Tensor:
    dots = [(vectors[part].to(table.dtype) * table[codes[part]]).sum(1) for part in _chunks(*vectors.shape)]
    return torch.cat(dots)


def _spread(table: Tensor, codes: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    out = torch.empty(codes.shape[0], table.shape[1], dtype=dtype, device=table.device)
    for part in _chunks(codes.shape[0], table.shape[1]):
        rows = table[codes[part]]
        out[part] = rows if scale is None else rows * scale[part, None]
    return out


class _Linear(NamedTuple):
    """Sum of scores with positives told by labels, before the pairs held apart are taken off, and their number."""

    total: Tensor
    number: Tensor


def _label_means(
    queries: Tensor, keys: Tensor, inverse: float | Tensor, plan: Plan, columns: bool
) -> tuple[_Linear | None, _Linear | None]:
    if plan.labels is None or plan.same == "ignored" or plan.weights is not None:
        return None, None
    codes, rows, cols = plan.codes
    wide = walk.accumulator(queries.device)
    total = _LabelScores.apply(queries, keys, rows, cols, codes) * _wide(inverse, wide)
    by_row = _Linear(total, _counts(rows, cols, codes, wide))
    if not columns:
        return by_row, None
    total = _LabelScores.apply(keys, queries, cols, rows, codes) * _wide(inverse, wide)
    return by_row, _Linear(total, _counts(cols, rows, codes, wide))


def _wide(inverse: float | Tensor, dtype: torch.dtype) -> float | Tensor:
    return inverse.to(dtype) if isinstance(inverse, Tensor) else inverse


def _counts(rows: Tensor, columns: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    return torch.bincount(columns, minlength=classes)[rows].to(dtype)


def _assemble(
    found: tuple[Tensor, Tensor | None, Tensor | None, Tensor | None],
    apart: Tensor | None,
    plan: Plan,
    linear: _Linear | None,
    *,
    by_column: bool,
) -> Sums:
    """Bring together what the tiles, the labels and the pairs held apart say about the rows, or the columns."""
    negative, positive, weighted, weight = found
    edges = plan.apart
    if edges is not None and apart is not None and positive is None and weighted is None:
        if edges.per_row == 1 and edges.ones and (edges.bijective or not by_column):
            return Sums(negative, apart, apart, torch.ones_like(apart))
        if edges.only is not None and (edges.matched or not by_column):
            only = apart[edges.only]
            return Sums(negative, only, only, torch.ones_like(only))
    size = negative.shape[0]
    total = negative.new_zeros(size) if weighted is None else weighted
    count = negative.new_zeros(size) if weight is None else weight
    if linear is not None:
        total, count = linear
    if edges is not None and apart is not None:
        index = edges.columns if by_column else edges.rows
        weights = edges.weights.to(apart.dtype)
        if linear is not None:
            assert plan.labels is not None
            alike = plan.labels[0][edges.rows]
            alike = (alike == plan.labels[1][edges.columns]) & (alike >= 0)
            weights = weights - alike.to(weights.dtype)
        total = total.index_add(0, index, weights * apart)
        count = count.index_add(0, index, weights)
        single = segment_logsumexp(apart, edges.weights > 0, index, size)
        positive = single if positive is None else log_add(positive, single)
    if positive is None:
        positive = torch.full_like(negative, -torch.inf)
    mean = torch.where(count > 0, total / count.clamp(min=torch.finfo(count.dtype).tiny), 0.0)
    if not plan.joint:
        # The only positive of a row is its mean: equal to the last digit, so that their difference is no noise.
        positive = torch.where((count == 1) & _single(plan, linear), mean, positive)
    return Sums(negative, positive, mean, count)


def _single(plan: Plan, linear: _Linear | None) -> bool:
    """Whether a weight of 1 means one positive: not where weights are free."""
    return plan.weights is None and (linear is not None or plan.apart is None or plan.apart.ones)


def log_add(first: Tensor, second: Tensor) -> Tensor:
    """``log(exp(first) + exp(second))`` whose gradient is defined where both are minus infinity, too."""
    top = torch.maximum(first, second).detach()
    top = torch.where(top == -torch.inf, 0.0, top)
    sums = (first - top).exp() + (second - top).exp()
    filled = sums != 0
    return torch.where(filled, torch.where(filled, sums, 1.0).log() + top, -torch.inf)


def segment_logsumexp(values: Tensor, keep: Tensor, index: Tensor, size: int) -> Tensor:
    """``(size,)``: log of the sum of ``exp(values)`` over the entries of each segment that are kept."""
    values = torch.where(keep, values, -torch.inf)
    top = torch.full((size,), -torch.inf, dtype=values.dtype, device=values.device)
    top = top.scatter_reduce(0, index, values.detach(), "amax")
    top = torch.where(top == -torch.inf, 0.0, top)
    sums = torch.zeros_like(top).index_add(0, index, (values - top[index]).exp())
    filled = sums != 0
    return torch.where(filled, torch.where(filled, sums, 1.0).log() + top, -torch.inf)


class _EdgeScores(torch.autograd.Function):
    """``(E,)`` scores of single pairs."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, edges: Edges) -> Tensor:
        ctx.edges = edges
        ctx.save_for_backward(queries, keys)
        return walk.edge_scores(queries.detach(), keys.detach(), edges, 1.0)

    @staticmethod
    @once
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys = ctx.saved_tensors
        edges: Edges = ctx.edges
        d_queries = torch.zeros_like(queries) if ctx.needs_input_grad[0] else None
        d_keys = torch.zeros_like(keys) if ctx.needs_input_grad[1] else None
        for part in _chunks(edges.rows.shape[0], queries.shape[1]):
            rows, columns = edges.rows[part], edges.columns[part]
            scale = slope[part, None]
            if d_queries is not None:
                d_queries.index_add_(0, rows, (keys[columns] * scale).to(d_queries.dtype))
            if d_keys is not None:
                d_keys.index_add_(0, columns, (queries[rows] * scale).to(d_keys.dtype))
        return d_queries, d_keys, None


def edge_scores(queries: Tensor, keys: Tensor, edges: Edges, inverse: float | Tensor) -> Tensor:
    """``(E,)`` differentiable scores of single pairs, float64."""
    scores: Tensor = _EdgeScores.apply(queries, keys, edges)
    if isinstance(inverse, Tensor):
        wide = inverse.to(scores.dtype)
        return scores * (wide[edges.rows] if wide.ndim else wide)
    return scores * inverse


def _sparse_sums(queries: Tensor, keys: Tensor, inverse: float | Tensor, plan: Plan) -> Sums:
    """The sums where each row's negatives are a few chosen pairs: no walk over all scores is needed for them."""
    chosen = plan.negatives
    assert chosen is not None
    n = queries.shape[0]
    scores = edge_scores(queries, keys, chosen, inverse) + chosen.weights.to(torch.float64).log()
    negative = segment_logsumexp(scores, chosen.weights > 0, chosen.rows, n)
    if plan.labels is None and plan.weights is None:
        apart = None if plan.apart is None else edge_scores(queries, keys, plan.apart, inverse)
        return _assemble((negative, None, None, None), apart, plan, None, by_column=False)
    rest = Plan(plan.shape, plan.device, plan.apart, plan.labels, plan.same, plan.weights)
    return sums_of_plan(queries, keys, inverse, rest)._replace(negative=negative)
