"""Images with several texts, and the gap between two modalities."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives.checks import same_shape
from unalike.objectives.contrastive import clip, coupled, mean_over_paired, narrow
from unalike.objectives.geometry import alignment, uniformity
from unalike.objectives.score import score_sums
from unalike.pairing import SameLabel


def one_to_k(images: Tensor, texts: Tensor, *, temperature: float | Tensor) -> Tensor:
    """1-to-K contrastive loss: an image's K texts, say in K languages, are its positives all at once.

    The mean of both directions: for images ``mean_i mean_k -log softmax over all N K texts``, where the other K - 1
    positives stay in the denominator; for texts ``mean_{i,k} -log softmax over the N images``.

    Paper: Nie et al., "Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive
    Learning", KDD 2024 (the sum over K divided by K, as in the authors' release).

    Args:
        images: unit vectors ``(N, D)``.
        texts: unit vectors of the K texts of each image ``(N, K, D)``.
        temperature: above zero; a tensor with one entry gets its gradient.

    Data: images, each with K texts.
    Cost: 8 N^2 K D flops, one exponential a score for both directions; memory O(N K D).

    Raises:
        DataError: shapes do not fit. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import one_to_k
        >>> images = torch.eye(2)
        >>> texts = images[:, None].expand(2, 3, 2)
        >>> round(float(one_to_k(images, texts, temperature=1.0)), 4)
        0.8626
    """
    if texts.ndim != 3 or images.ndim != 2 or (texts.shape[0], texts.shape[2]) != tuple(images.shape):
        raise DataError(f"got images {tuple(images.shape)}, texts {tuple(texts.shape)}; expected (N, D) and (N, K, D)")
    owners = torch.arange(len(images), device=images.device)
    pairing = SameLabel(owners, owners.repeat_interleave(texts.shape[1]))
    sums = score_sums(images, texts.flatten(0, 1), temperature=temperature, pairing=pairing, columns=True)
    assert sums.columns is not None
    both = mean_over_paired(coupled(sums), sums) + mean_over_paired(coupled(sums.columns), sums.columns)
    return narrow(both / 2, images)


def cua(images: Tensor, texts: Tensor, *, logit_scale: float | Tensor) -> Tensor:
    """CUA: CLIP's loss, plus alignment of the pairs, plus uniformity within each modality.

    ``clip + mean_i ||x_i - y_i||^2 + (uniformity(x) + uniformity(y)) / 2``.

    Paper: Fahim, Murphy, Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap", 2024. All
    terms weigh 1. The mean inside of the uniformity is over different samples.

    Args:
        images: unit vectors ``(B, D)``, B >= 2.
        texts: unit vectors ``(B, D)``, row i describing image i.
        logit_scale: what scores are multiplied by in CLIP's loss; fixed at 100 in the paper's fine-tuning.

    Data: pairs across two modalities.
    Cost: 24 B^2 D flops; memory O(B D).

    Raises:
        DataError: shapes differ, or one pair. SettingsError: a scale that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import clip, cua
        >>> rows = torch.eye(2)
        >>> round(float(cua(rows, rows, logit_scale=1.0) - clip(rows, rows, logit_scale=1.0)), 4)  # two at distance 2
        -4.0
    """
    same_shape(images=images, texts=texts)
    evenness = (uniformity(images) + uniformity(texts)) / 2
    return clip(images, texts, logit_scale=logit_scale) + alignment(images, texts) + evenness


def cuaxu(images: Tensor, texts: Tensor, *, logit_scale: float | Tensor) -> Tensor:
    """CUAXU: CUA, plus uniformity between the modalities, which closes the gap between them.

    `cua` plus ``log mean_{i != j} exp(-2 ||x_i - y_j||^2)``.

    Paper: Fahim, Murphy, Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap", 2024.

    Args:
        images: unit vectors ``(B, D)``, B >= 2.
        texts: unit vectors ``(B, D)``, row i describing image i.
        logit_scale: what scores are multiplied by in CLIP's loss.

    Data: pairs across two modalities.
    Cost: 32 B^2 D flops; memory O(B D).

    Raises:
        DataError: shapes differ, or one pair. SettingsError: a scale that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import cua, cuaxu
        >>> rows = torch.eye(2)
        >>> round(float(cuaxu(rows, rows, logit_scale=1.0) - cua(rows, rows, logit_scale=1.0)), 4)
        -4.0
    """
    return cua(images, texts, logit_scale=logit_scale) + uniformity(images, texts)
