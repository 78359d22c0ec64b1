"""Deep metric learning: triplets, pairs and proxies."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.objectives.checks import positive, same_length, same_shape
from unalike.objectives.masked import log1p_sum_exp, mean_where, pair_masks
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise


@full_precision
def triplet(anchors: Tensor, positives: Tensor, negatives: Tensor, *, margin: float) -> Tensor:
    """Triplet loss: the anchor's squared distance to its positive is smaller than to its negative, by a margin.

    ``mean_i relu(||a_i - p_i||^2 - ||a_i - n_i||^2 + margin)``.

    Paper: Schroff, Kalenichenko, Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR
    2015, equation 3 (there a sum; a mean here). The paper's margin is 0.2, for unit vectors.

    Args:
        anchors: embeddings ``(B, D)``.
        positives: one embedding for each anchor that is to be near ``(B, D)``.
        negatives: one embedding for each anchor that is to be far ``(B, D)``.
        margin: the least difference of squared distances that costs nothing.

    Data: triples, given or mined.
    Cost: O(B D) time and memory.

    Raises:
        DataError: the shapes differ.

    Example:
        >>> import torch
        >>> from unalike.objectives import triplet
        >>> anchor, near, far = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> float(triplet(anchor, near, far, margin=0.2)), round(float(triplet(anchor, far, near, margin=0.2)), 4)
        (0.0, 2.2)
    """
    same_shape(anchors=anchors, positives=positives, negatives=negatives)
    near = (anchors - positives).square().sum(dim=1)
    far = (anchors - negatives).square().sum(dim=1)
    return (near - far + margin).relu().mean()


@full_precision
def triplet_semi_hard(embeddings: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Triplet loss over all positive pairs, each with the nearest negative that is farther than the positive.

    Where no negative is farther than the positive, the farthest one serves (as in the widely used TensorFlow release;
    the paper leaves this open). Squared distances; the mean over all ordered positive pairs.

    Paper: Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015, section 3.2.

    Args:
        embeddings: ``(B, D)``.
        labels: one class a row ``(B,)``; rows below zero are left out.
        margin: the least difference of squared distances that costs nothing; 0.2 in the paper, for unit vectors.

    Data: labels, with several samples of a class in a batch. A batch without any triplet gives zero.
    Cost: O(B^2 (D + log B)) time, O(B^2) memory while mining; gradients through the chosen triplets only.

    Raises:
        DataError: embeddings and labels differ in length.

    Example:
        >>> import torch
        >>> from unalike.objectives import triplet_semi_hard
        >>> rows = torch.tensor([[0.0], [1.0], [1.5], [3.0]])
        >>> float(triplet_semi_hard(rows, torch.tensor([0, 0, 1, 1]), margin=2.0))
        0.75
    """
    same_length(embeddings=embeddings, labels=labels)
    with torch.no_grad():
        alike, different = pair_masks(labels)
        squared = torch.cdist(embeddings, embeddings).square()
        distances, order = squared.masked_fill(~different, torch.inf).sort(dim=1)
        count = different.sum(dim=1, keepdim=True)
        rank = torch.searchsorted(distances, squared, right=True).minimum(count - 1).clamp(min=0)
        anchor, near = torch.nonzero(alike & (count > 0), as_tuple=True)
        far = order.gather(1, rank)[anchor, near]
    if not len(anchor):
        return embeddings.sum() * 0
    return triplet(embeddings[anchor], embeddings[near], embeddings[far], margin=margin)


@full_precision
def triplet_batch_hard(embeddings: Tensor, labels: Tensor, *, margin: float | None) -> Tensor:
    """Triplet loss of every anchor with its farthest positive and its nearest negative in the batch.

    ``mean_a relu(max_p ||a - p|| - min_n ||a - n|| + margin)``; without a margin softplus takes the place of relu.
    Distances are not squared, as the paper advises.

    Paper: Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017, equation 5.

    Args:
        embeddings: ``(B, D)``; any length.
        labels: one class a row ``(B,)``; rows below zero are left out.
        margin: the least difference of distances that costs nothing, or None for the paper's soft margin.

    Data: labels, with several samples of a class in a batch. Anchors without a positive or a negative do not count; a
    batch without any triplet gives zero.
    Cost: O(B^2 D) time, O(B^2) memory while mining; gradients through the chosen triplets only.

    Raises:
        DataError: embeddings and labels differ in length.

    Example:
        >>> import torch
        >>> from unalike.objectives import triplet_batch_hard
        >>> rows = torch.tensor([[0.0], [1.0], [1.5], [3.0]])
        >>> float(triplet_batch_hard(rows, torch.tensor([0, 0, 1, 1]), margin=0.5))  # 0 + 1 + 1.5 + 0, over 4
        0.625
    """
    same_length(embeddings=embeddings, labels=labels)
    with torch.no_grad():
        alike, different = pair_masks(labels)
        distances = torch.cdist(embeddings, embeddings)
        anchor = torch.nonzero(alike.any(dim=1) & different.any(dim=1)).squeeze(1)
        near = distances.masked_fill(~alike, -1)[anchor].argmax(dim=1)
        far = distances.masked_fill(~different, torch.inf)[anchor].argmin(dim=1)
    if not len(anchor):
        return embeddings.sum() * 0
    gap = _distance(embeddings[anchor], embeddings[near]) - _distance(embeddings[anchor], embeddings[far])
    return softplus(gap).mean() if margin is None else (gap + margin).relu().mean()


@full_precision
def triplet_batch_all(embeddings: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Triplet loss over all triplets of the batch, averaged over those that cost something.

    ``sum_{a,p,n} relu(||a - p|| - ||a - n|| + margin) / number of terms above zero``. Distances are not squared.

    Paper: Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017, equation 6, in
    the form "BA, non-zero" of its experiments.

    Args:
        embeddings: ``(B, D)``; any length.
        labels: one class a row ``(B,)``; rows below zero are left out.
        margin: the least difference of distances that costs nothing.

    Data: labels, with several samples of a class in a batch. A batch without a costly triplet gives zero.
    Cost: O(B^2 (D + log B)) time, O(B^2) memory: each row's negatives are sorted and summed once for all its positives.

    Raises:
        DataError: embeddings and labels differ in length.

    Example:
        >>> import torch
        >>> from unalike.objectives import triplet_batch_all
        >>> rows = torch.tensor([[0.0], [1.0], [1.5], [3.0]])
        >>> float(triplet_batch_all(rows, torch.tensor([0, 0, 1, 1]), margin=0.5))  # (1 + 1.5 + 0.5) / 3
        1.0
    """
    same_length(embeddings=embeddings, labels=labels)
    alike, different = pair_masks(labels)
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist").double()
    negatives = distances.masked_fill(~different, torch.inf).sort(dim=1).values
    limits = distances + margin
    count = torch.searchsorted(negatives.detach(), limits.detach()) * alike
    total = torch.nn.functional.pad(negatives.masked_fill(negatives.isinf(), 0).cumsum(dim=1), (1, 0))
    loss = (count * limits - total.gather(1, count)).sum() / count.sum().clamp(min=1)
    return loss.to(embeddings.dtype)


@full_precision
def margin(embeddings: Tensor, labels: Tensor, *, margin: float = 0.2, beta: float | Tensor = 1.2) -> Tensor:
    """Margin loss: positives within ``beta - margin``, negatives beyond ``beta + margin``.

    ``sum_{i != j} relu(margin + y_ij (||x_i - x_j|| - beta_i)) / number of terms above zero``, y_ij = 1 for the same
    label, else -1.

    Paper: Wu, Manmatha, Smola, Kraehenbuehl, "Sampling Matters in Deep Embedding Learning", ICCV 2017. All
    pairs of the batch are taken; the paper's distance-weighted sampling chooses the batch's negatives beforehand.

    Args:
        embeddings: unit vectors ``(B, D)``.
        labels: one class a row ``(B,)``; rows below zero are left out.
        margin: half the width of the gap between positives and negatives.
        beta: the boundary: a number, or one value a row ``(B,)`` which may be learned.

    Data: labels, with several samples of a class in a batch. A batch without a costly pair gives zero.
    Cost: O(B^2 D) time, O(B^2) memory.

    Raises:
        DataError: embeddings and labels differ in length.

    Example:
        >>> import torch
        >>> from unalike.objectives import margin
        >>> rows = torch.tensor([[0.0], [1.5], [2.0]])
        >>> round(float(margin(rows, torch.tensor([0, 0, 1]))), 4)  # the positive pair 0.5, the negative at 0.5 0.9
        0.7
    """
    same_length(embeddings=embeddings, labels=labels)
    alike, different = pair_masks(labels)
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    boundary = beta[:, None] if isinstance(beta, Tensor) and beta.ndim else beta
    sign = alike.to(distances.dtype) - different.to(distances.dtype)
    cost = (margin + sign * (distances - boundary)).relu()
    return mean_where(cost, (alike | different) & (cost > 0))


@full_precision
def multi_similarity(
    embeddings: Tensor,
    labels: Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
    mining: float | None = 0.1,
) -> Tensor:
    """Multi-similarity loss: each pair weighs by its own similarity and by the other pairs of its anchor.

    ``mean_i log(1 + sum_{p in P_i} exp(-alpha (s_ip - base))) / alpha + log(1 + sum_{n in N_i} exp(beta (s_in - base)))
    / beta``. Mining keeps the negatives above the hardest positive minus ``mining`` and the positives below the hardest
    negative plus ``mining``.

    Paper: Wang, Han, Huang, Dong, Scott, "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
    CVPR 2019, As in the paper an anchor with no positive or no negative left still counts; the
    release drops it.

    Args:
        embeddings: unit vectors ``(B, D)``.
        labels: one class a row ``(B,)``; rows below zero are left out.
        alpha: sharpness for positives.
        beta: sharpness for negatives.
        base: similarity around which pairs begin to cost, the paper's lambda.
        mining: the paper's epsilon; None takes all pairs.

    Data: labels, with several samples of a class in a batch.
    Cost: O(B^2 D) time, O(strip B) memory.

    Raises:
        DataError: embeddings and labels differ in length.
        SettingsError: alpha or beta is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import multi_similarity
        >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(float(multi_similarity(rows, torch.tensor([0, 0, 1]), mining=None)), 4)  # log(1 + 1/e) / 2 * 2/3
        0.1044
    """
    same_length(embeddings=embeddings, labels=labels)
    positive(alpha=alpha, beta=beta)

    def rows_of(similarity: Tensor, rows: slice) -> Tensor:
        alike, different = pair_masks(labels, rows=rows)
        if mining is not None:
            weakest = similarity.detach().masked_fill(~alike, torch.inf).amin(dim=1, keepdim=True)
            strongest = similarity.detach().masked_fill(~different, -torch.inf).amax(dim=1, keepdim=True)
            alike, different = alike & (similarity - mining < strongest), different & (similarity + mining > weakest)
        pull = log1p_sum_exp(-alpha * (similarity - base), alike) / alpha
        return pull + log1p_sum_exp(beta * (similarity - base), different) / beta

    return rowwise(rows_of, embeddings, embeddings).mean()


@full_precision
def proxy_anchor(
    embeddings: Tensor, labels: Tensor, proxies: Tensor, *, margin: float = 0.1, scale: float = 32.0
) -> Tensor:
    """Proxy-Anchor loss: each class's proxy is an anchor which meets the whole batch.

    ``mean over classes in the batch of log(1 + sum_{x of p} exp(-scale (s(x,p) - margin)))
    + mean over all classes of log(1 + sum_{x not of p} exp(scale (s(x,p) + margin)))``.

    Paper: Kim, Kim, Cho, Kwak, "Proxy Anchor Loss for Deep Metric Learning", CVPR 2020, equation 4.

    Args:
        embeddings: unit vectors ``(B, D)``.
        labels: one class a row ``(B,)``, a row number of ``proxies``; rows below zero are left out.
        proxies: one unit vector a class ``(C, D)``, learned.
        margin: added to negatives and taken from positives, the paper's delta.
        scale: sharpness, the paper's alpha.

    Data: labels; the batch needs no two samples of a class.
    Cost: O(B C D) time, O(strip B) memory.

    Raises:
        DataError: embeddings and labels differ in length.
        SettingsError: scale is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import proxy_anchor
        >>> rows, proxies = torch.eye(2), torch.eye(2)
        >>> round(float(proxy_anchor(rows, torch.tensor([0, 1]), proxies)), 2)  # nothing to gain but the margin
        3.24
    """
    same_length(embeddings=embeddings, labels=labels)
    positive(scale=scale)
    classes = torch.arange(len(proxies), device=labels.device)
    present = torch.isin(classes, labels).sum().clamp(min=1)

    def rows_of(similarity: Tensor, rows: slice) -> Tensor:
        alike, different = pair_masks(classes, labels, rows=rows)
        pull = log1p_sum_exp(-scale * (similarity - margin), alike) / present
        return pull + log1p_sum_exp(scale * (similarity + margin), different) / len(proxies)

    return rowwise(rows_of, proxies, embeddings).sum()


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances ``(B,)`` whose gradient at zero is zero."""
    squared = (first - second).square().sum(dim=1)
    apart = squared > 0
    return torch.where(apart, torch.where(apart, squared, 1).sqrt(), 0)
