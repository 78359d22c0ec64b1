"""Losses that drive poison out of a model which has learned it."""

from __future__ import annotations

from torch import Tensor

from unalike.objectives.checks import same_shape
from unalike.objectives.contrastive import clip, info_nce
from unalike.pairing import SharedText


def cleanclip(
    images: Tensor,
    texts: Tensor,
    image_views: Tensor,
    text_views: Tensor,
    *,
    logit_scale: float | Tensor,
    pairing: SharedText | None = None,
    same: Tensor | None = None,
    across: float = 1.0,
    within: float = 1.0,
) -> Tensor:
    """CleanCLIP: CLIP's loss on the pairs, and within each modality every row finds its own changed look.

    ``across * clip(x, y) + within * [CE(s x x~) + CE(s y y~)] / 2``, from the unchanged to the changed look alone.

    Paper: Bansal et al., "CleanCLIP: Mitigating Data Poisoning Attacks in Multimodal Contrastive Learning",
    arXiv:2303.03323, equations 2 and 3.

    Args:
        images: unit vectors ``(B, D)``.
        texts: unit vectors ``(B, D)``, row i describing image i.
        image_views: unit vectors ``(B, D)`` of random views of the images.
        text_views: unit vectors ``(B, D)`` of random views of the texts.
        logit_scale: what all scores are multiplied by; a tensor gets its gradient.
        pairing: where texts occur again: their rows are then positives of each other across modalities and among texts.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.
        across: weight of CLIP's loss; 1 in the paper.
        within: weight of the self-supervision; 1 in the paper.

    Data: pairs across two modalities.
    Cost: 32 B^2 D flops; memory O(B D).

    Raises:
        DataError: shapes differ. SettingsError: a scale that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import cleanclip, clip
        >>> rows = torch.eye(2)
        >>> both = cleanclip(rows, rows, rows, rows, logit_scale=1.0)
        >>> round(float(both / clip(rows, rows, logit_scale=1.0)), 4)
        2.0
    """
    same_shape(images=images, texts=texts, image_views=image_views, text_views=text_views)
    temperature = 1 / logit_scale
    alike = info_nce(images, image_views, temperature=temperature, same=same)
    worded = info_nce(texts, text_views, temperature=temperature, pairing=pairing, same=same)
    crossed = clip(images, texts, logit_scale=logit_scale, pairing=pairing, same=same)
    return across * crossed + within * (alike + worded) / 2
