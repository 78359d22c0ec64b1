"""SigLIP's loss: every pair is a yes-or-no question of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.errors import SettingsError
from unalike.objectives.autograd import eager, once
from unalike.objectives.contrastive import narrow
from unalike.objectives.score import check_scores, edge_scores
from unalike.objectives.walk import Task, Walk, accumulator
from unalike.pairing import Codes, Edges, Pairing, Plan, SameIndex, sparing


@eager
def sigmoid(
    queries: Tensor,
    keys: Tensor,
    *,
    logit_scale: float | Tensor,
    bias: float | Tensor,
    pairing: Pairing | None = None,
    same: Codes | None = None,
) -> Tensor:
    """Sigmoid loss: for every pair on its own, is it a positive?

    ``-1/N sum_ij log sigmoid(y_ij (scale q_i . k_j + bias))``, y = 1 for positives and -1 for negatives; ignored pairs
    are left out.

    Paper: Zhai, Mustafa, Kolesnikov, Beyer, "Sigmoid Loss for Language Image Pre-Training", arXiv:2303.15343,
    equation 1.

    Args:
        queries: ``(N, D)``, of unit length.
        keys: ``(M, D)``, of unit length.
        logit_scale: what scores are multiplied by, above zero (10 at the paper's start); a tensor gets its gradient.
        bias: what is added to scores (-10 at the paper's start); a tensor gets its gradient.
        pairing: who is positive or ignored; `SameIndex` if None.
        same: codes of what each pair holds, as for `info_nce`.

    Data: pairs, with any number of positives a row, none included.
    Cost: 6NMD flops, gradients made in the forward pass; memory O((N + M) D).

    Raises:
        DataError: shapes do not fit. SettingsError: a scale that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import sigmoid
        >>> round(float(sigmoid(torch.eye(2), torch.eye(2), logit_scale=1.0, bias=0.0)), 4)
        1.0064
    """
    check_scores(queries, keys)
    if not isinstance(logit_scale, Tensor) and not 0 < logit_scale < float("inf"):
        raise SettingsError(f"logit_scale={logit_scale}; expected a number above zero")
    plan = sparing(SameIndex() if pairing is None else pairing, same).plan(queries, keys)
    scale = torch.as_tensor(logit_scale, dtype=torch.float64 if queries.dtype == torch.float64 else torch.float32)
    scale = scale.to(queries.device).reshape(())
    shift = torch.as_tensor(bias, dtype=scale.dtype).to(queries.device).reshape(())
    total: Tensor = _SoftplusSum.apply(queries, keys, scale, shift, plan)
    edges = plan.apart
    if edges is not None:
        total = total + _apart(queries, keys, scale, shift, edges)
    return narrow(total / queries.shape[0], queries)


def _apart(queries: Tensor, keys: Tensor, scale: Tensor, bias: Tensor, edges: Edges) -> Tensor:
    """The single positives, with more digits: they are few and weigh the most."""
    scores = edge_scores(queries, keys, edges, scale) + bias
    return (softplus(-scores) * edges.weights.to(scores.dtype)).sum()


class _SoftplusSum(torch.autograd.Function):
    """The sum over all pairs that are not held apart; no row needs another, so gradients come with the first pass."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, scale: Tensor, bias: Tensor, plan: Plan) -> Tensor:
        dtype = torch.float64 if torch.float64 in (queries.dtype, keys.dtype) else torch.float32
        q, k = queries.detach().to(dtype), keys.detach().to(dtype)
        factor, shift = scale.detach().to(dtype), bias.detach().to(dtype)
        wanted = any(ctx.needs_input_grad[:4])
        d_queries, d_keys = (torch.zeros_like(q), torch.zeros_like(k)) if wanted else (None, None)
        total = torch.zeros((), dtype=accumulator(q.device), device=q.device)
        d_bias = torch.zeros_like(total)
        with torch.autocast(q.device.type, enabled=False):
            walk = Walk(q * factor, k, Task(plan))
            for rows, columns, scores in walk:
                slope = _tile(walk, rows, columns, scores.add_(shift), total)
                if d_queries is None or d_keys is None:
                    continue
                d_bias += slope.sum()
                d_queries[rows].addmm_(slope, k[columns])
                d_keys[columns].addmm_(slope.T, walk.scaled[rows])
        ctx.dtypes = (queries.dtype, keys.dtype)
        if d_queries is not None and d_keys is not None:
            d_scale = torch.einsum("nd,nd->", q, d_queries)
            ctx.save_for_backward(d_queries.mul_(factor), d_keys, d_scale, d_bias)
        return total

    @staticmethod
    @once
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        d_queries, d_keys, d_scale, d_bias = ctx.saved_tensors
        wide = torch.float64 if d_queries.dtype == torch.float64 else torch.float32
        return (
            (d_queries * slope.to(wide)).to(ctx.dtypes[0]),
            (d_keys * slope.to(wide)).to(ctx.dtypes[1]),
            (d_scale * slope).to(wide),
            (d_bias * slope).to(wide),
            None,
        )


def _tile(walk: Walk, rows: slice, columns: slice, scores: Tensor, total: Tensor) -> Tensor:
    """Add the tile's loss to the total and give its slope by the scores."""
    plan = walk.task.plan
    if plan.weights is None and plan.labels is None and plan.negatives is None:
        walk.hold_apart(rows, columns, scores)
        total += softplus(scores).sum()
        return scores.sigmoid_()
    positive, negative = (weight.to(scores.dtype) for weight in plan.tile(rows, columns))
    if plan.apart is not None:
        r, c, _ = plan.apart.within(rows, columns)
        positive[r, c] = 0.0
    total += (softplus(scores) * negative + softplus(-scores) * positive).sum()
    return scores.sigmoid() * negative - torch.sigmoid(-scores) * positive
