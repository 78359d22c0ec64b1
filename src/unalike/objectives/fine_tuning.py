"""Core-tuning: contrast as a regulariser of supervised fine-tuning."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from unalike.errors import DataError
from unalike.objectives.checks import positive, same_length
from unalike.objectives.masked import mean_where, own, pair_masks
from unalike.objectives.mixing import beta_weights, mix
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise


class CoreMixtures(NamedTuple):
    """Generated features ``(B, D)`` and their soft labels ``(B, C)``: hard positives, semi-hard negatives."""

    positives: Tensor
    positive_labels: Tensor
    negatives: Tensor
    negative_labels: Tensor


@full_precision
def core_mixtures(
    features: Tensor,
    labels: Tensor,
    *,
    classes: int,
    generator: torch.Generator,
    alpha: float = 1.0,
    least: float = 0.8,
) -> CoreMixtures:
    """Make a hard positive and a semi-hard negative for each sample, with soft labels.

    Hard positive: ``w h_p + (1 - w) h_n`` of the sample's hardest positive (lowest cosine of its class) and hardest
    negative (highest cosine of another), w from Beta(alpha, alpha). Semi-hard negative: ``(1 - w) z_i + w z_j`` with a
    sample j drawn at random and w at least ``least``.

    Paper: Zhang et al., "Unleashing the Power of Contrastive Self-Supervised Visual Models via Contrast-Regularized
    Fine-Tuning", NeurIPS 2021. Where a class occurs once, the sample is its own hardest positive; as in
    the authors' release the random partner may be of the same class.

    Args:
        features: of the encoder, before classifier and contrast head ``(B, D)``; any length.
        labels: int64 ``(B,)``, from 0 to classes - 1.
        classes: number C of classes.
        generator: source of all randomness.
        alpha: of both Beta distributions.
        least: smallest share of the partner in a semi-hard negative.

    Returns:
        Mixtures with gradient to the features.

    Data: labels.
    Cost: O(B^2 D) time, O(B^2) memory.

    Raises:
        DataError: features and labels differ in length. SettingsError: alpha is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import core_mixtures
        >>> generator = torch.Generator().manual_seed(0)
        >>> made = core_mixtures(torch.eye(4), torch.tensor([0, 0, 1, 1]), classes=2, generator=generator)
        >>> made.positives.shape, made.positive_labels.sum(dim=1)
        (torch.Size([4, 4]), tensor([1., 1., 1., 1.]))
    """
    same_length(features=features, labels=labels)
    size, itself = len(features), torch.arange(len(features), device=features.device)
    with torch.no_grad():
        units = normalize(features, dim=1)
        cosines = units @ units.T
        alike, different = pair_masks(labels)
        near = torch.where(alike.any(dim=1), cosines.masked_fill(~alike, torch.inf).argmin(dim=1), itself)
        far = torch.where(different.any(dim=1), cosines.masked_fill(~different, -torch.inf).argmax(dim=1), itself)
        codes = one_hot(labels, classes).to(features.dtype)
        partner = torch.randperm(size, generator=generator, device=generator.device).to(features.device)
        weights = beta_weights((size, 1), alpha, generator=generator, like=features)
        shares = beta_weights((size, 1), alpha, generator=generator, like=features).clamp(min=least)
    return CoreMixtures(
        positives=mix(features[near], features[far], weights),
        positive_labels=mix(codes[near], codes[far], weights),
        negatives=mix(features[partner], features, shares),
        negative_labels=mix(codes[partner], codes, shares),
    )


@full_precision
def core_tuning(
    embeddings: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    positives: Tensor | None = None,
    negatives: Tensor | None = None,
) -> Tensor:
    """Core-tuning's focal contrastive loss: SupCon in which well-fitted pairs weigh less, with generated hard pairs.

    ``mean_i mean_{j in P_i} -(1 - p_ij) log p_ij``, p_ij the softmax of ``z_i.z_j / t`` over all other samples and all
    generated ones. P_i are the samples of the same label, and the hard positive generated for i. Gradient flows through
    the weights.

    Paper: Zhang et al., "Unleashing the Power of Contrastive Self-Supervised Visual Models via Contrast-Regularized
    Fine-Tuning", NeurIPS 2021. The authors' release groups samples by exactly equal mixed labels, so that
    its generated positives act as negatives; pass them as ``negatives`` for that. It also divides by the batch instead
    of by the number of positives. The paper's whole loss adds the soft cross-entropy of originals and mixtures.

    Args:
        embeddings: unit vectors of the contrast head ``(B, D)``.
        labels: one class a row ``(B,)``; rows below zero have no positive.
        temperature: above zero; 0.07 in the release.
        positives: the hard positive generated for each sample, unit vectors ``(B, D)``.
        negatives: generated negatives of all samples, unit vectors ``(M, D)``.

    Data: labels; mixtures by `core_mixtures`, sent through the contrast head. Samples without a positive do not count.
    Cost: 8 B (2B + M) D flops; memory O(strip (2B + M)).

    Raises:
        DataError: shapes do not fit. SettingsError: temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import core_tuning
        >>> rows, labels = torch.eye(2).repeat(2, 1), torch.tensor([0, 1, 0, 1])
        >>> round(float(core_tuning(rows, labels, temperature=1.0)), 4)  # (1 - p) * 0.5514 with p = 0.5761
        0.2337
    """
    same_length(embeddings=embeddings, labels=labels)
    positive(temperature=temperature)
    size = len(embeddings)
    keys = [embeddings]
    if positives is not None:
        if positives.shape != embeddings.shape:
            raise DataError(
                f"got positives {tuple(positives.shape)} for embeddings {tuple(embeddings.shape)}; expected one each"
            )
        keys.append(positives)
    if negatives is not None:
        keys.append(negatives)
    columns = torch.cat(keys)
    # the originals' own labels, one hard positive each, and negatives of all
    counted = pair_masks(labels)[0].any(dim=1) | (positives is not None)

    def rows_of(scores: Tensor, rows: slice) -> Tensor:
        itself = own(rows, len(columns), scores)
        logs = (scores / temperature).masked_fill(itself, -torch.inf).log_softmax(dim=1)
        alike = torch.zeros_like(itself)
        alike[:, :size] = pair_masks(labels, rows=rows)[0]
        if positives is not None:
            alike[:, size : 2 * size] = own(rows, size, scores)
        logs = torch.where(alike, logs, 0)
        costs = torch.where(alike, logs.expm1() * logs, 0)  # -(1 - p) log p
        return costs.sum(dim=1) / alike.sum(dim=1).clamp(min=1)

    return mean_where(rowwise(rows_of, embeddings, columns), counted)
