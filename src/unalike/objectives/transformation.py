"""Feature transformation: harder positives and more diverse negatives, made in the embedding space."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.objectives.checks import same_shape
from unalike.objectives.mixing import beta_weights, mix


def extrapolate_positives(
    queries: Tensor,
    keys: Tensor,
    *,
    generator: torch.Generator,
    alpha: float = 2.0,
    per_dimension: bool = True,
    renormalize: bool = False,
) -> tuple[Tensor, Tensor]:
    """Push a query and its key away from each other, to a harder positive pair.

    ``q' = w q + (1 - w) k`` and ``k' = w k + (1 - w) q`` with w = 1 + Beta(alpha, alpha). With one weight for all
    dimensions the score of unit vectors falls from s to ``s + 2 w (1 - w) (1 - s)``.

    Paper: Zhu et al., "Improving Contrastive Learning by Visualizing Feature Transformation", ICCV 2021.
    A weight a dimension is the paper's best; as in the authors' release all rows and dimensions draw their own.

    Args:
        queries: unit vectors ``(B, D)``; gradient flows to them from both members of the pair.
        keys: their positives ``(B, D)``, usually of a teacher; get no gradient.
        generator: source of all randomness.
        alpha: the Beta distribution's; 2 in the paper.
        per_dimension: a weight for each row and dimension, instead of one for the whole batch.
        renormalize: bring the results to unit length; off in the paper.

    Returns:
        The new queries and keys, both ``(B, D)``, for `moco` or `info_nce`. A queue keeps the keys as they were.

    Data: pairs of views; no labels.
    Cost: O(B D) time and memory.

    Raises:
        DataError: the shapes differ. SettingsError: alpha is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import extrapolate_positives
        >>> query, key = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.8, 0.6]])
        >>> harder = extrapolate_positives(query, key, generator=torch.Generator().manual_seed(0))
        >>> bool((harder[0] * harder[1]).sum() < (query * key).sum())
        True
    """
    same_shape(queries=queries, keys=keys)
    keys = keys.detach()
    shape = queries.shape if per_dimension else (1, 1)
    weights = 1 + beta_weights(shape, alpha, generator=generator, like=queries)
    return (
        mix(queries, keys, weights, renormalize=renormalize),
        mix(keys, queries, weights, renormalize=renormalize),
    )


def interpolate_negatives(
    queue: Tensor,
    *,
    generator: torch.Generator,
    alpha: float = 1.6,
    per_dimension: bool = True,
    renormalize: bool = False,
) -> Tensor:
    """Mix the negatives of a queue with one another, for negatives of which no two steps see the same.

    ``n'_i = w n_i + (1 - w) n_{perm(i)}`` with w from Beta(alpha, alpha).

    Paper: Zhu et al., "Improving Contrastive Learning by Visualizing Feature Transformation", ICCV 2021.

    Args:
        queue: negatives ``(K, D)``.
        generator: source of all randomness.
        alpha: the Beta distribution's; 1.6 in the paper.
        per_dimension: a weight for each row and dimension, instead of one for the whole queue.
        renormalize: bring the results to unit length; off in the paper.

    Returns:
        As many negatives ``(K, D)``.

    Data: any vectors that may serve as negatives.
    Cost: O(K D) time and memory.

    Raises:
        SettingsError: alpha is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import interpolate_negatives
        >>> interpolate_negatives(torch.eye(4), generator=torch.Generator().manual_seed(0)).shape
        torch.Size([4, 4])
    """
    partners = torch.randperm(len(queue), generator=generator, device=generator.device).to(queue.device)
    shape = queue.shape if per_dimension else (1, 1)
    weights = beta_weights(shape, alpha, generator=generator, like=queue)
    return mix(queue, queue[partners], weights, renormalize=renormalize)
