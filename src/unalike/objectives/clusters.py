"""Objectives that compare samples with prototypes of clusters instead of with one another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from unalike.errors import DataError
from unalike.objectives.checks import positive, same_length, several_views
from unalike.objectives.precision import full_precision


@torch.no_grad()
def transport_plan(scores: Tensor, *, epsilon: float, iterations: int) -> Tensor:
    """Entropic optimal transport between rows and columns that all weigh the same, by Sinkhorn's iterations.

    The plan P of mass one with ``P = diag(u) exp(scores / epsilon) diag(v)``. Each iteration fits the columns' marginal
    1/K and then the rows' 1/B, so that the rows are exact. Computed with logarithms: no score is too large.

    Paper: Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", NeurIPS 2013.

    Args:
        scores: what is gained by moving mass from row to column ``(B, K)``: similarities, or minus costs.
        epsilon: weight of the entropy, in units of the scores; smaller is sharper.
        iterations: how often both marginals are fitted.

    Returns:
        The plan ``(B, K)``, float32 or float64, without gradient.

    Cost: O(iterations B K) time, O(B K) memory.

    Raises:
        SettingsError: epsilon or iterations is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import transport_plan
        >>> plan = transport_plan(torch.tensor([[1.0, 0.0], [1.0, 0.9]]), epsilon=0.05, iterations=50)
        >>> [[round(value, 2) for value in row] for row in plan.tolist()]
        [[0.5, 0.0], [0.0, 0.5]]
    """
    positive(epsilon=epsilon, iterations=iterations)
    logs = (scores if scores.dtype == torch.float64 else scores.float()) / epsilon
    rows, columns = logs.shape
    for _ in range(iterations):
        logs = logs - logs.logsumexp(dim=0) - math.log(columns)
        logs = logs - logs.logsumexp(dim=1, keepdim=True) - math.log(rows)
    return logs.exp()


def sinkhorn_codes(scores: Tensor, *, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Soft assignments of samples to prototypes under which every prototype gets the same share of the batch.

    Paper: Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, "Unsupervised Learning of Visual Features by Contrasting
    Cluster Assignments", NeurIPS 2020, equations 3 to 5.

    Args:
        scores: cosines of embeddings and prototypes ``(B, K)``.
        epsilon: weight of the entropy; smaller is sharper.
        iterations: Sinkhorn's.

    Returns:
        Codes ``(B, K)`` whose rows sum to one and whose columns sum to about B/K, without gradient.

    Data: a batch of at least about K samples; append the scores of a queue where it is smaller.
    Cost: O(iterations B K) time, O(B K) memory.

    Raises:
        SettingsError: epsilon or iterations is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import sinkhorn_codes
        >>> codes = sinkhorn_codes(torch.tensor([[1.0, 0.0], [1.0, 0.9]]))
        >>> codes.argmax(dim=1).tolist()  # both like the first best; the second gives way
        [0, 1]
    """
    return transport_plan(scores, epsilon=epsilon, iterations=iterations) * len(scores)


@full_precision
def swapped_prediction(scores: Sequence[Tensor], codes: Sequence[Tensor], *, temperature: float = 0.1) -> Tensor:
    """SwAV: each crop predicts the cluster codes of the other crops.

    ``mean_{t, s != t} mean_i -sum_k q_tik log softmax(scores_si / temperature)_k``.

    Paper: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020,
    equations 1 and 2, and section 3.3 for several crops.

    Args:
        scores: cosines with the prototypes for each crop ``(B, K)``, the full crops first.
        codes: codes of the full crops ``(B, K)`` (`sinkhorn_codes`), in the same order; get no gradient.
        temperature: divides the scores.

    Data: two or more crops of each sample; no labels, no negatives.
    Cost: O(crops B K) time and memory.

    Raises:
        DataError: shapes differ, fewer than two crops, no codes, or more codes than crops.
        SettingsError: temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import swapped_prediction
        >>> scores, codes = torch.eye(2), torch.eye(2)
        >>> round(float(swapped_prediction([scores, scores], [codes, codes])), 6)
        4.5e-05
    """
    several_views(scores)
    several_views([*scores[:1], *codes])
    if len(codes) > len(scores):
        raise DataError(f"got {len(codes)} codes for {len(scores)} crops; expected codes of the first crops only")
    positive(temperature=temperature)
    logs = [log_softmax(crop / temperature, dim=1) for crop in scores]
    terms = [
        -(code.detach() * log).sum(dim=1).mean()
        for crop, code in enumerate(codes)
        for other, log in enumerate(logs)
        if other != crop
    ]
    return torch.stack(terms).mean()


@full_precision
def proto_nce(
    embeddings: Tensor,
    prototypes: Sequence[Tensor],
    assignments: Sequence[Tensor],
    *,
    temperatures: Sequence[Tensor | float],
) -> Tensor:
    """The prototype part of ProtoNCE: each sample is attracted to the centre of its cluster, in several clusterings.

    ``mean_m mean_i -log softmax_k(x_i.c_k / phi_k)[assignment_i]``. The paper adds `info_nce` of two views.

    Paper: Li, Zhou, Xiong, Hoi, "Prototypical Contrastive Learning of Unsupervised Representations", ICLR 2021,
    equation 11. The paper draws r of the other prototypes as negatives; here all of them serve.

    Args:
        embeddings: unit vectors ``(B, D)``.
        prototypes: unit vectors of each clustering ``(K_m, D)``; get no gradient.
        assignments: the cluster of each sample in each clustering ``(B,)``.
        temperatures: for each clustering one value a prototype ``(K_m,)`` (`concentration`) or a number.

    Data: samples with clusters, refreshed now and then.
    Cost: O(B D sum_m K_m) time, O(B max K_m) memory and as much again for each clustering's backward pass.

    Raises:
        DataError: not one assignment and one temperature for each clustering, or none.

    Example:
        >>> import torch
        >>> from unalike.objectives import proto_nce
        >>> rows, clusters = torch.eye(2), torch.tensor([0, 1])
        >>> round(float(proto_nce(rows, [torch.eye(2)], [clusters], temperatures=[0.5])), 4)  # log(1 + exp(-2))
        0.1269
    """
    if not len(prototypes) == len(assignments) == len(temperatures) or not prototypes:
        raise DataError(
            f"got {len(prototypes)} sets of prototypes, {len(assignments)} of assignments and {len(temperatures)} of "
            "temperatures; expected the same number of each, one for each clustering"
        )
    terms = []
    for centres, clusters, temperature in zip(prototypes, assignments, temperatures, strict=True):
        same_length(embeddings=embeddings, assignments=clusters)
        positive(temperature=temperature)
        terms.append(cross_entropy(embeddings @ centres.detach().T / temperature, clusters))
    return torch.stack(terms).mean()


@torch.no_grad()
def concentration(
    embeddings: Tensor, prototypes: Tensor, assignments: Tensor, *, temperature: float, smoothing: float = 10.0
) -> Tensor:
    """A temperature for each prototype: large for loose and for small clusters, with a given mean.

    ``phi_k ~ sum_{i in k} ||x_i - c_k|| / (n_k log(n_k + smoothing))``, scaled to the mean ``temperature``. As in the
    authors' release a cluster with one sample or none, whose distances say nothing, gets the largest value of the
    others, and the values are clipped to their 10th and 90th percentile before scaling.

    Paper: Li, Zhou, Xiong, Hoi, "Prototypical Contrastive Learning of Unsupervised Representations", ICLR 2021,
    equation 12.

    Args:
        embeddings: unit vectors that were clustered ``(N, D)``.
        prototypes: their centres ``(K, D)``.
        assignments: the cluster of each ``(N,)``.
        temperature: mean of the result.
        smoothing: the paper's alpha.

    Returns:
        Temperatures ``(K,)``.

    Cost: O(N D) time and memory.

    Raises:
        DataError: embeddings and assignments differ in length.
        SettingsError: temperature or smoothing is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import concentration
        >>> rows = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.0, 1.0]])
        >>> centres = torch.tensor([[0.95, 0.3], [0.0, 1.0]])
        >>> loose, tight = concentration(rows, centres, torch.tensor([0, 0, 1, 1]), temperature=0.1).tolist()
        >>> loose > tight
        True
    """
    same_length(embeddings=embeddings, assignments=assignments)
    positive(temperature=temperature, smoothing=smoothing)
    distances = (embeddings - prototypes[assignments]).norm(dim=1).float()
    count = torch.bincount(assignments, minlength=len(prototypes))
    spread = distances.new_zeros(len(prototypes)).index_add_(0, assignments, distances)
    spread = spread / (count * (count + smoothing).log())
    told = count > 1
    if not told.any():
        return torch.full_like(spread, temperature)
    spread = torch.where(told, spread, spread[told].max())
    spread = spread.clamp(spread.quantile(0.1), spread.quantile(0.9))
    if spread.max() <= 0:  # every sample sits on its centre: all clusters are equally tight
        return torch.full_like(spread, temperature)
    return temperature * spread / spread.mean()
