"""Objectives that speak of the sphere itself: how near positives are, how evenly everything spreads."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unalike.objectives.checks import at_least, positive, same_shape
from unalike.objectives.precision import full_precision
from unalike.objectives.score import score_sums


@full_precision
def alignment(first: Tensor, second: Tensor, *, power: float = 2.0) -> Tensor:
    """Alignment: the mean distance between positives, to a power.

    ``mean_i ||x_i - y_i||^power``.

    Paper: Wang, Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere", ICML 2020.

    Args:
        first: unit vectors ``(B, D)``.
        second: the positive of each row ``(B, D)``.
        power: the paper's alpha; at least 1.

    Data: pairs.
    Cost: O(B D) time and memory.

    Raises:
        DataError: the shapes differ.
        SettingsError: power is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import alignment
        >>> float(alignment(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])))
        2.0
    """
    same_shape(first=first, second=second)
    positive(power=power)
    squared = (first - second).square().sum(dim=1)
    if power == 2:
        return squared.mean()
    apart = squared > 0  # a power below one of zero has no finite gradient
    return torch.where(apart, torch.where(apart, squared, 1).pow(power / 2), 0).mean()


@full_precision
def uniformity(embeddings: Tensor, others: Tensor | None = None, *, t: float = 2.0) -> Tensor:
    """Uniformity: the log of the mean Gaussian potential of two different samples; lower is more even.

    ``log mean_{i != j} exp(-t ||x_i - y_j||^2)``, with y = x unless ``others`` are given.

    Paper: Wang, Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere", ICML 2020. The form between two sets is the one of Fahim, Murphy, Fyshe, "It's Not a Modality Gap:
    Characterizing and Addressing the Contrastive Gap", 2024.

    Args:
        embeddings: ``(B, D)``, B >= 2; unit vectors in the paper, any length allowed.
        others: a second view or modality of the same samples ``(B, D)``; row i never meets its own row i.
        t: sharpness of the potential.

    Data: any vectors; no labels, no positives.
    Cost: 8 B^2 D flops; memory O(B D).

    Raises:
        DataError: fewer than two rows, or the shapes differ.
        SettingsError: t is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import uniformity
        >>> round(float(uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))), 4)  # one pair, at squared distance 4
        -8.0
    """
    columns = embeddings if others is None else others
    same_shape(embeddings=embeddings, others=columns)
    at_least(2, embeddings, "a sample needs another one")
    positive(t=t)
    size = len(embeddings)
    # -t |x - y|^2 = 2t x.y - t |y|^2 - t |x|^2: an inner product with one more dimension, and a number for each row
    ones, lengths = embeddings.new_ones(size, 1), columns.square().sum(dim=1, keepdim=True)
    sums = score_sums(
        torch.cat([embeddings, ones], dim=1), torch.cat([2 * t * columns, -t * lengths], dim=1), temperature=1.0
    )
    rows = sums.negative - t * embeddings.square().sum(dim=1)
    return (rows.logsumexp(dim=0) - math.log(size * (size - 1))).to(embeddings.dtype)


@full_precision
def spectral(first: Tensor, second: Tensor) -> Tensor:
    """Spectral contrastive loss: positives are pulled linearly, the squares of all other scores are pushed to zero.

    ``-2 mean_i x_i.y_i + mean_{i != j} (x_i.y_j)^2``.

    Paper: HaoChen, Wei, Gaidon, Ma, "Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive
    Loss", NeurIPS 2021.

    Args:
        first: one view ``(B, D)``, not normalised (the paper bounds or rescales their length), B >= 2.
        second: the other view ``(B, D)``.

    Data: two views of each sample.
    Cost: O(B D^2) time, O(B D + D^2) memory: the sum of squared scores is a product of two D x D matrices.

    Raises:
        DataError: the shapes differ, or there are fewer than two rows.

    Example:
        >>> import torch
        >>> from unalike.objectives import spectral
        >>> views = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> float(spectral(views, views))  # -2 (1 + 2)/2 + 1
        -2.0
    """
    same_shape(first=first, second=second)
    at_least(2, first, "a negative is another sample")
    size = len(first)
    own = (first * second).sum(dim=1)
    every = ((first.T @ first) * (second.T @ second)).sum()
    return -2 * own.mean() + (every - own.square().sum()) / (size * (size - 1))
