"""Many labels of which several are right: positives that do not compete with one another."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, softplus

from unalike.errors import DataError, SettingsError
from unalike.objectives.checks import positive
from unalike.objectives.masked import mean_where
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise
from unalike.objectives.score import check_scores, edge_scores, inverse_temperature, sums_of_plan
from unalike.pairing import Edges, Plan


@full_precision
def decoupled_softmax(queries: Tensor, labels: Tensor, positives: Tensor, *, temperature: float | Tensor) -> Tensor:
    """Decoupled softmax: each right label competes with the wrong ones, and not with the other right ones.

    ``mean_i mean_{p in P_i} -log [ exp(s_ip) / (exp(s_ip) + sum_{n not in P_i} exp(s_in)) ]``. Under the plain softmax
    the gradient pushes a confident label down as soon as there are others.

    Paper: Gupta, Khatri, Rawat, Bhojanapalli, Jain, Dhillon, "Dual-Encoders for Extreme Multi-Label Classification",
    ICLR 2024.

    Args:
        queries: unit vectors ``(N, D)``.
        labels: unit vectors of all labels ``(L, D)``.
        positives: which labels are right for each query ``(N, L)``: sparse (COO or CSR), or dense; above zero is right.
        temperature: above zero; 0.05 in the paper.

    Data: samples with several labels each; all labels serve as negatives. Queries without a label do not count.
    Cost: 8 N L D flops; memory O((N + L) D + positives).

    Raises:
        DataError: shapes do not fit. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import decoupled_softmax
        >>> right = torch.tensor([[1, 1, 0]])
        >>> round(float(decoupled_softmax(torch.eye(3)[:1], torch.eye(3), right, temperature=1.0)), 4)
        0.5032
    """
    plan, edges = _plan(queries, labels, positives)
    inverse = inverse_temperature(temperature, queries)
    negative = sums_of_plan(queries, labels, inverse, plan).negative
    costs = softplus(negative[edges.rows] - edge_scores(queries, labels, edges, inverse)) * edges.weights
    return _mean_of_rows(costs, edges).to(queries.dtype)


def soft_top_k(scores: Tensor, *, k: int, alpha: float = 2.0, iterations: int = 48) -> Tensor:
    """The soft top-k operator: shares in (0, 1) that grow with the scores and sum to k in each row.

    ``sigmoid(alpha (s_j + t))`` with the threshold t for which the sum is k, found by bisection; the gradient takes the
    threshold's dependence on all scores into account.

    Paper: Gupta, Khatri, Rawat, Bhojanapalli, Jain, Dhillon, "Dual-Encoders for Extreme Multi-Label Classification",
    ICLR 2024.

    Args:
        scores: ``(N, L)``.
        k: how many are to be chosen, between 1 and L - 1.
        alpha: sharpness.
        iterations: of the bisection; each halves the error.

    Returns:
        Shares ``(N, L)``.

    Cost: O(iterations N L) time, O(N L) memory. Differentiable once.

    Raises:
        SettingsError: k is not between 1 and L - 1, or alpha or iterations is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import soft_top_k
        >>> soft_top_k(torch.tensor([[5.0, 4.0, -4.0]]), k=2, alpha=4.0).round(decimals=3)
        tensor([[1., 1., 0.]])
    """
    return (alpha * (scores + _threshold(scores, k, alpha, iterations))).sigmoid()


@full_precision
def soft_top_k_loss(
    queries: Tensor, labels: Tensor, positives: Tensor, *, temperature: float, k: int = 5, alpha: float = 2.0
) -> Tensor:
    """Soft top-k loss: the right labels are to be among the k best, in whatever order.

    ``mean_i mean_{p in P_i} -log sigmoid(alpha (s_ip + t_i))``, the shares of `soft_top_k` over all labels.

    Paper: Gupta, Khatri, Rawat, Bhojanapalli, Jain, Dhillon, "Dual-Encoders for Extreme Multi-Label Classification",
    ICLR 2024. The authors' release draws k labels where a query has more; here all count.

    Args:
        queries: unit vectors ``(N, D)``.
        labels: unit vectors of all labels ``(L, D)``.
        positives: which labels are right for each query ``(N, L)``: sparse (COO or CSR), or dense; above zero is right.
        temperature: above zero; 0.05 in the paper.
        k: size of the list that is to hold them.
        alpha: sharpness of the operator.

    Data: samples with several labels each; all labels serve as negatives. Queries without a label do not count.
    Cost: 8 N L D flops and O(48 N L) for the thresholds, twice; memory O(strip L).

    Raises:
        DataError: shapes do not fit. SettingsError: k is not between 1 and L - 1, or another setting not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import soft_top_k_loss
        >>> right = torch.tensor([[1, 1, 0]])
        >>> loss = soft_top_k_loss(torch.tensor([[0.8, 0.6, 0.0]]), torch.eye(3), right, temperature=0.05, k=2)
        >>> bool(loss < 1e-4)
        True
    """
    positive(temperature=temperature)
    plan, edges = _plan(queries, labels, positives)
    every = slice(0, plan.shape[1])
    count = edges.weights.new_zeros(plan.shape[0]).index_add_(0, edges.rows, edges.weights)

    def rows_of(scores: Tensor, rows: slice) -> Tensor:
        scaled = scores / temperature
        shares = logsigmoid(alpha * (scaled + _threshold(scaled, k, alpha, 48)))
        row, column, number = edges.within(rows, every)
        costs = -shares[row, column] * edges.weights[number]
        return scores.new_zeros(len(scores)).index_add(0, row, costs.to(scores.dtype))

    losses = rowwise(rows_of, queries, labels)
    return mean_where(losses / count.clamp(min=1), count > 0)


@full_precision
def one_vs_all(
    queries: Tensor, labels: Tensor, positives: Tensor, *, temperature: float, bias: Tensor | None = None
) -> Tensor:
    """One label against all: a logistic regression for each label, whether a query has it or not.

    ``mean_i sum_l BCE(sigmoid(q_i . w_l / t + b_l), [l in P_i])`` over the queries that have a label.

    Paper: Rifkin, Klautau, "In Defense of One-Vs-All Classification", JMLR 2004; with the logistic loss.

    Args:
        queries: ``(N, D)``.
        labels: ``(L, D)``, the weights of the labels.
        positives: which labels are right for each query ``(N, L)``: sparse (COO or CSR), or dense; above zero is right.
        temperature: above zero.
        bias: ``(L,)``, one for each label; none unless given.

    Data: samples with several labels each. Queries without a label do not count: nothing is known of them.
    Cost: 8 N L D flops; memory O(strip L).

    Raises:
        DataError: shapes do not fit. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import one_vs_all
        >>> round(float(one_vs_all(torch.eye(2), torch.eye(2), torch.eye(2), temperature=1.0)), 4)
        1.0064
    """
    positive(temperature=temperature)
    plan, edges = _plan(queries, labels, positives)
    every = slice(0, plan.shape[1])
    count = edges.weights.new_zeros(plan.shape[0]).index_add_(0, edges.rows, edges.weights)
    offset = labels.new_zeros(len(labels)) if bias is None else bias
    if offset.shape != (len(labels),):
        raise DataError(f"a bias of shape {tuple(offset.shape)} for {len(labels)} labels; expected one number each")

    def rows_of(scores: Tensor, rows: slice, offset: Tensor) -> Tensor:
        logits = scores / temperature + offset.to(scores.dtype)
        row, column, number = edges.within(rows, every)
        # softplus of all, less the logits of the right ones, is their cross-entropy.
        right = logits[row, column] * edges.weights[number].to(scores.dtype)
        return softplus(logits).sum(dim=1).index_add(0, row, -right)

    losses = rowwise(rows_of, queries, labels, offset)
    return mean_where(losses, count > 0)


def _plan(queries: Tensor, labels: Tensor, positives: Tensor) -> tuple[Plan, Edges]:
    check_scores(queries, labels)
    shape = (len(queries), len(labels))
    if tuple(positives.shape) != shape:
        raise DataError(f"positives of shape {tuple(positives.shape)} for scores {shape}; both must agree")
    sparse = positives.to(queries.device).to_sparse(sparse_dim=2).coalesce()
    (rows, columns), right = sparse.indices(), sparse.values() > 0
    edges = Edges.from_pairs(rows[right], columns[right], torch.ones(int(right.sum()), device=queries.device), shape)
    return Plan(shape, queries.device, apart=edges), edges


def _mean_of_rows(costs: Tensor, edges: Edges) -> Tensor:
    """Mean over rows, of those that have any, of the mean over their edges."""
    empty = costs.new_zeros(edges.shape[0])
    count = empty.index_add(0, edges.rows, edges.weights.to(costs.dtype))
    return mean_where(empty.index_add(0, edges.rows, costs) / count.clamp(min=1), count > 0)


def _threshold(scores: Tensor, k: int, alpha: float, iterations: int) -> Tensor:
    positive(alpha=alpha, iterations=iterations)
    if not 0 < k < scores.shape[1]:
        raise SettingsError(f"k={k} of {scores.shape[1]} labels; expected 1 to {scores.shape[1] - 1}")
    found: Tensor = _Threshold.apply(scores, k, alpha, iterations)
    return found


class _Threshold(torch.autograd.Function):
    """``(N, 1)``: the t of each row for which the sum of ``sigmoid(alpha (s + t))`` is k."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, k: int, alpha: float, iterations: int) -> Tensor:
        reach = (10 + abs(math.log(k / (scores.shape[1] - k)))) / alpha  # far enough for any number of labels
        low, high = -scores.amax(dim=1, keepdim=True) - reach, -scores.amin(dim=1, keepdim=True) + reach
        for _ in range(iterations):
            middle = (low + high) / 2
            few = (alpha * (scores + middle)).sigmoid().sum(dim=1, keepdim=True) < k
            low, high = torch.where(few, middle, low), torch.where(few, high, middle)
        found = (low + high) / 2
        ctx.alpha = alpha
        ctx.save_for_backward(scores, found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        scores, found = ctx.saved_tensors
        share = (ctx.alpha * (scores + found)).sigmoid()
        steep = share * (1 - share)
        total = steep.sum(dim=1, keepdim=True).clamp(min=torch.finfo(steep.dtype).tiny)
        return -slope * steep / total, None, None, None
