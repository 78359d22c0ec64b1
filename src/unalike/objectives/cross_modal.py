"""Images with several texts, and the gap between two modalities."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives.checks import same_shape
from unalike.objectives.contrastive import clip, coupled, mean_over_paired, narrow
from unalike.objectives.geometry import alignment, uniformity
from unalike.objectives.precision import full_precision
from unalike.objectives.score import count_negatives, score_sums
from unalike.pairing import Pairing, SameIndex, SeveralTexts, SharedText, Sparing, sparing


def one_to_k(
    images: Tensor,
    texts: Tensor,
    *,
    temperature: float | Tensor,
    pairing: SeveralTexts | None = None,
    same: Tensor | None = None,
) -> Tensor:
    """1-to-K contrastive loss: an image's K texts, say in K languages, are its positives all at once.

    The mean of both directions: for images ``mean_i mean_k -log softmax over all N K texts``, where the other K - 1
    positives stay in the denominator; for texts ``mean_{i,k} -log softmax over the N images``. Where images have
    different numbers of texts, each image and each text counts once; an image without any is a negative alone.

    Paper: Nie et al., "Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive
    Learning", KDD 2024 (the sum over K divided by K, as in the authors' release).

    Args:
        images: unit vectors ``(N, D)``.
        texts: unit vectors of the K texts of each image ``(N, K, D)``; with a pairing those of all texts ``(M, D)``.
        temperature: above zero; a tensor with one entry gets its gradient.
        pairing: which image each text belongs to, and which texts are equal.
        same: codes of what each image's row holds, ``(N,)`` or ``(N, K)`` (`unalike.pairing.Sparing`): rows that share
            one are not each other's negatives.

    Data: images, each with K texts; with a pairing, any number of texts.
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
    if pairing is None:
        if texts.ndim != 3 or images.ndim != 2 or (texts.shape[0], texts.shape[2]) != tuple(images.shape):
            given = f"got images {tuple(images.shape)}, texts {tuple(texts.shape)}"
            raise DataError(f"{given}; expected (N, D) and (N, K, D), or a pairing and (M, D)")
        owners = torch.arange(len(images), device=images.device)
        pairing, texts = SeveralTexts(owners.repeat_interleave(texts.shape[1])), texts.flatten(0, 1)
    chosen: Pairing = pairing
    if same is not None:
        table, owners = same.view(len(same), -1), pairing.owners.to(same.device)
        chosen = Sparing(pairing, table, torch.where(owners[:, None] >= 0, table[owners], -1))
    sums = score_sums(images, texts, temperature=temperature, pairing=chosen, columns=True)
    assert sums.columns is not None
    both = mean_over_paired(coupled(sums), sums) + mean_over_paired(coupled(sums.columns), sums.columns)
    return narrow(both / 2, images)


def cua(
    images: Tensor,
    texts: Tensor,
    *,
    logit_scale: float | Tensor,
    pairing: SharedText | None = None,
    same: Tensor | None = None,
) -> Tensor:
    """CUA: CLIP's loss, plus alignment of the pairs, plus uniformity within each modality.

    ``clip + mean_i ||x_i - y_i||^2 + (uniformity(x) + uniformity(y)) / 2``.

    Paper: Fahim, Murphy, Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap", 2024. All
    terms weigh 1. The mean inside of the uniformity is over different samples.

    Args:
        images: unit vectors ``(B, D)``, B >= 2.
        texts: unit vectors ``(B, D)``, row i describing image i.
        logit_scale: what scores are multiplied by in CLIP's loss; fixed at 100 in the paper's fine-tuning.
        pairing: where texts occur again: in CLIP's loss their images are then positives of each other.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are neither negatives in CLIP's loss nor spread apart.

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
    if same is None:
        evenness = (uniformity(images) + uniformity(texts)) / 2
    else:
        apart = sparing(SameIndex(), same)
        evenness = (_evenness(images, images, apart) + _evenness(texts, texts, apart)) / 2
    contrast = clip(images, texts, logit_scale=logit_scale, pairing=pairing, same=same)
    return contrast + alignment(images, texts) + evenness


def cuaxu(
    images: Tensor,
    texts: Tensor,
    *,
    logit_scale: float | Tensor,
    pairing: SharedText | None = None,
    same: Tensor | None = None,
) -> Tensor:
    """CUAXU: CUA, plus uniformity between the modalities, which closes the gap between them.

    `cua` plus ``log mean_{i != j} exp(-2 ||x_i - y_j||^2)``.

    Paper: Fahim, Murphy, Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap", 2024.

    Args:
        images: unit vectors ``(B, D)``, B >= 2.
        texts: unit vectors ``(B, D)``, row i describing image i.
        logit_scale: what scores are multiplied by in CLIP's loss.
        pairing: where texts occur again, as for `cua`; an image is then not spread away from its own wording.
        same: as for `cua`.

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
    if same is not None:
        evenness = _evenness(images, texts, sparing(SameIndex() if pairing is None else pairing, same))
    else:
        evenness = uniformity(images, texts) if pairing is None else _evenness_of_unrelated(images, texts, pairing)
    return cua(images, texts, logit_scale=logit_scale, pairing=pairing, same=same) + evenness


@full_precision
def _evenness(one: Tensor, other: Tensor, pairing: Pairing) -> Tensor:
    """The uniformity over the negatives of a pairing, of unit vectors; zero where there is none."""
    count = count_negatives(pairing, one, other).sum()
    if not count:
        return one.sum() * 0
    sums = score_sums(one, other, temperature=0.25, pairing=pairing)  # 2 |x - y|^2 is 4 - 4 x.y
    return (sums.negative.logsumexp(dim=0) - 4 - count.log()).to(one.dtype)


@full_precision
def _evenness_of_unrelated(images: Tensor, texts: Tensor, pairing: SharedText) -> Tensor:
    """The uniformity of two unit modalities over the pairs of an image and another wording than its own."""
    sums = score_sums(images, texts, temperature=0.25, pairing=pairing)  # 2 |x - y|^2 is 4 - 4 x.y
    same = pairing.codes.unique(return_counts=True)[1].square().sum()  # type: ignore[no-untyped-call]
    count = len(images) ** 2 - int(same)
    if not count:
        return images.sum() * 0
    return (sums.negative.logsumexp(dim=0) - 4 - math.log(count)).to(images.dtype)
