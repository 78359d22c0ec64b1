"""Contrastive losses over pairs: a few lines each over `score_sums`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.errors import DataError
from unalike.objectives.checks import same_shape
from unalike.objectives.score import (
    Sums,
    check_scores,
    inverse_temperature,
    log_add,
    ready_loss,
    score_sums,
    sums_of_plan,
)
from unalike.pairing import (
    AllNegatives,
    Codes,
    ExtraNegatives,
    Pairing,
    SameIndex,
    SameLabel,
    Sparing,
    of_all,
    of_views,
    sparing,
)


def info_nce(
    queries: Tensor,
    keys: Tensor,
    *,
    temperature: float | Tensor,
    pairing: Pairing | None = None,
    symmetric: bool = False,
    extra_negatives: Tensor | None = None,
    same: Codes | None = None,
    extra_same: Tensor | None = None,
) -> Tensor:
    """InfoNCE: tell each query's positive key from all other keys.

    ``mean_i [ log sum_j exp(s_ij) - mean_{p in P_i} s_ip ]`` over positives and negatives j, with
    ``s_ij = q_i . k_j / t``. Rows without a positive are left out of the mean.

    Paper: van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748,
    equation 4.

    Args:
        queries: ``(N, D)``, of unit length if cosines are meant.
        keys: ``(M, D)``.
        temperature: above zero: a number, or a tensor with one or ``N`` entries.
        pairing: which keys are positive or ignored; `SameIndex` if None.
        symmetric: the mean of this loss and of the loss with rows and columns exchanged.
        extra_negatives: ``(K, D)`` further keys that are negatives of every query, such as a queue; they have no side
            of their own in the symmetric loss.
        same: codes of what each pair holds, int64 ``(N,)`` or ``(N, K)``; two of them, of queries and of keys, where
            they differ. Queries and keys that share one are no negatives (`unalike.pairing.Sparing`).
        extra_same: the same of the extra negatives, ``(K,)`` or ``(K, L)``.

    Data: pairs (a query and its key), or what the pairing says.
    Cost: 6NMD flops one-sided, 8NMD symmetric; memory O((N + M) D), never N x M.

    Raises:
        DataError: shapes do not fit. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import info_nce
        >>> round(float(info_nce(torch.eye(3), torch.eye(3), temperature=1.0)), 4)
        0.5514
    """
    pairing = SameIndex() if pairing is None else pairing
    if symmetric:
        further = AllNegatives()
        if same is not None and extra_same is not None:
            further = Sparing(further, same[0] if isinstance(same, tuple) else same, extra_same)
        both = _both_sides(queries, keys, temperature, sparing(pairing, same), extra_negatives, further)
        return narrow(both, queries)
    if extra_negatives is not None and len(extra_negatives):
        check_scores(queries, extra_negatives)
        keys = torch.cat([keys, extra_negatives])
        pairing = ExtraNegatives(pairing, len(extra_negatives))
        if same is not None:
            ours, theirs = same if isinstance(same, tuple) else (same, same)
            more = theirs.new_full((len(extra_negatives),), -1) if extra_same is None else extra_same
            same = ours, of_all([theirs, more])
    pairing = sparing(pairing, same)
    check_scores(queries, keys)
    inverse, plan = inverse_temperature(temperature, queries), pairing.plan(queries, keys)
    loss = ready_loss(queries, keys, inverse, plan)
    if loss is None:
        sums = sums_of_plan(queries, keys, inverse, plan)
        loss = mean_over_paired(coupled(sums), sums)
    return narrow(loss, queries)


def _both_sides(
    queries: Tensor,
    keys: Tensor,
    temperature: float | Tensor,
    pairing: Pairing,
    extra: Tensor | None,
    further: Pairing,
) -> Tensor:
    check_scores(queries, keys)
    inverse, plan = inverse_temperature(temperature, queries), pairing.plan(queries, keys)
    more = extra is not None and len(extra) > 0
    loss = None if more else ready_loss(queries, keys, inverse, plan, columns=True)
    if loss is not None:
        return loss
    sums = sums_of_plan(queries, keys, inverse, plan, columns=True)
    assert sums.columns is not None
    columns = mean_over_paired(coupled(sums.columns), sums.columns)
    if extra is not None and more:
        sums = sums._replace(negative=_with_extra(sums, queries, extra, temperature, further))
    return (mean_over_paired(coupled(sums), sums) + columns) / 2


def _with_extra(sums: Sums, queries: Tensor, extra: Tensor, temperature: float | Tensor, pairing: Pairing) -> Tensor:
    found = score_sums(queries, extra, temperature=temperature, pairing=pairing)
    return log_add(sums.negative, found.negative)


def nt_xent(first: Tensor, second: Tensor, *, temperature: float | Tensor, same: Tensor | None = None) -> Tensor:
    """NT-Xent: of all looks at all samples in the batch, find the other look at the same sample.

    InfoNCE over the ``2B`` looks, where each look's score with itself is left out.

    Paper: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations",
    arXiv:2002.05709, equation 1.

    Args:
        first: one look at each sample ``(B, D)``, of unit length.
        second: another look at the same samples ``(B, D)``.
        temperature: above zero: a number, or a tensor with one entry.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two views of each sample.
    Cost: 16 B^2 D flops, half of what ``2B x 2B`` scores would need, since they are symmetric; memory O(B D).

    Raises:
        DataError: the views differ in shape. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import nt_xent
        >>> round(float(nt_xent(torch.eye(2), torch.eye(2), temperature=1.0)), 4)
        0.5514
    """
    same_shape(first=first, second=second)
    both = torch.cat([first, second])
    check_scores(both, both)
    pairing = sparing(SameIndex(views=2), of_views(same, 2))
    inverse, plan = inverse_temperature(temperature, both), pairing.plan(both, both)
    loss = ready_loss(both, None, inverse, plan)
    if loss is None:
        loss = coupled(sums_of_plan(both, None, inverse, plan)).mean()
    return narrow(loss, first)


def sup_con(embeddings: Tensor, labels: Tensor, *, temperature: float | Tensor, inside: bool = False) -> Tensor:
    """Supervised contrastive loss: all samples of the same label are positives.

    ``mean_i [ log sum_{j != i} exp(s_ij) - mean_{p in P_i} s_ip ]`` (the paper's "out"), or with ``inside`` the mean
    within the logarithm, ``-mean_i log [ mean_{p in P_i} exp(s_ip) / sum_{j != i} exp(s_ij) ]`` (the paper's "in").
    Rows whose label occurs once are left out of the mean over rows.

    Paper: Khosla et al., "Supervised Contrastive Learning", arXiv:2004.11362, equations 2 and 3.

    Args:
        embeddings: ``(N, D)``, of unit length; several views of a sample follow as further rows with its label.
        labels: int64 ``(N,)``; -1 (missing) is a negative of all and has no positive.
        temperature: above zero: a number, or a tensor with one or ``N`` entries.
        inside: the form with the mean inside of the logarithm.

    Data: labels, with several samples (or views) of a class in a batch.
    Cost: 4 N^2 D flops (symmetric scores are computed once); memory O(N D).

    Raises:
        DataError: embeddings and labels differ in length. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import sup_con
        >>> z = torch.eye(2).repeat(2, 1)
        >>> round(float(sup_con(z, torch.tensor([0, 1, 0, 1]), temperature=1.0)), 4)
        0.5514
    """
    sums = score_sums(embeddings, temperature=temperature, pairing=SameLabel(labels))
    if inside:
        has = sums.weight > 0
        positive = torch.where(has, sums.positive, 0.0)
        rows = softplus(sums.negative - positive) + torch.where(has, sums.weight, 1.0).log()
    else:
        rows = coupled(sums)
    return narrow(mean_over_paired(rows, sums), embeddings)


def clip(
    images: Tensor,
    texts: Tensor,
    *,
    logit_scale: float | Tensor,
    pairing: Pairing | None = None,
    same: Codes | None = None,
) -> Tensor:
    """CLIP's loss: InfoNCE from images to texts and from texts to images, with a learned scale.

    Paper: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv:2103.00020,
    figure 3.

    Args:
        images: ``(B, D)``, of unit length.
        texts: ``(B, D)``, of unit length, row i describing image i.
        logit_scale: what scores are multiplied by (the exponential of CLIP's parameter, at most 100 there); a tensor
            gets its gradient.
        pairing: such as `SharedText`, where captions occur again; `SameIndex` if None.
        same: codes of what each pair holds, as for `info_nce`.

    Data: pairs across two modalities.
    Cost: 8 B^2 D flops, one exponential a score for both directions; memory O(B D).

    Raises:
        DataError: shapes do not fit. SettingsError: a scale that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import clip
        >>> scale = torch.tensor(1.0, requires_grad=True)
        >>> loss = clip(torch.eye(3), torch.eye(3), logit_scale=scale)
        >>> loss.backward()
        >>> round(loss.item(), 4), round(scale.grad.item(), 4)
        (0.5514, -0.4239)
    """
    if isinstance(logit_scale, Tensor):
        temperature: float | Tensor = logit_scale.reciprocal()
    else:
        temperature = 1.0 / logit_scale if logit_scale else float("inf")
    return info_nce(images, texts, temperature=temperature, pairing=pairing, symmetric=True, same=same)


def decoupled(first: Tensor, second: Tensor, *, temperature: float | Tensor, same: Tensor | None = None) -> Tensor:
    """Decoupled contrastive loss: NT-Xent with the positive taken out of the denominator.

    ``mean_i [ log sum_{negatives j} exp(s_ij) - s_ip ]`` over all ``2B`` looks; a look's negatives are both looks at
    all other samples.

    Paper: Yeh et al., "Decoupled Contrastive Learning", arXiv:2110.06848, equation 6 (there a sum of both looks'
    losses; a mean here).

    Args:
        first: one look at each sample ``(B, D)``, of unit length.
        second: another look at the same samples ``(B, D)``.
        temperature: above zero: a number, or a tensor with one entry.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two views of each sample, two samples or more.
    Cost: 16 B^2 D flops; memory O(B D).

    Raises:
        DataError: the views differ in shape, or one sample only. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import decoupled
        >>> round(float(decoupled(torch.eye(2), torch.eye(2), temperature=1.0)), 4)
        -0.3069
    """
    sums = _two_views(first, second, temperature, same)
    return narrow((sums.negative - sums.mean).mean(), first)


def decoupled_weighted(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float | Tensor,
    sigma: float = 0.5,
    same: Tensor | None = None,
) -> Tensor:
    """Decoupled contrastive loss whose positives weigh more where the two looks are far apart.

    As `decoupled`, with ``w_i s_ip`` in place of ``s_ip`` and
    ``w_i = 2 - exp(cos_i / sigma) / mean_j exp(cos_j / sigma)``; gradient flows through the weights too.

    Paper: Yeh et al., "Decoupled Contrastive Learning", arXiv:2110.06848, section 3.3.

    Args:
        first: one look at each sample ``(B, D)``, of unit length.
        second: another look at the same samples ``(B, D)``.
        temperature: above zero: a number, or a tensor with one entry.
        sigma: spread of the weights, above zero; 0.5 in the paper.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two views of each sample, two samples or more.
    Cost: 16 B^2 D flops; memory O(B D).

    Raises:
        DataError: the views differ in shape, or one sample only. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import decoupled_weighted
        >>> round(float(decoupled_weighted(torch.eye(2), torch.eye(2), temperature=1.0)), 4)
        -0.3069
    """
    sums = _two_views(first, second, temperature, same)
    cosines = torch.einsum("bd,bd->b", first, second).to(sums.mean.dtype)
    weights = 2 - torch.softmax(cosines / sigma, 0) * cosines.shape[0]
    return narrow((sums.negative - weights.repeat(2) * sums.mean).mean(), first)


def _two_views(first: Tensor, second: Tensor, temperature: float | Tensor, same: Tensor | None) -> Sums:
    same_shape(first=first, second=second)
    if len(first) < 2:
        raise DataError("got one sample, which has no negatives; expected two or more in a batch")
    pairing = sparing(SameIndex(views=2), of_views(same, 2))
    sums = score_sums(torch.cat([first, second]), temperature=temperature, pairing=pairing)
    return sums if same is None else sums._replace(negative=or_nothing(sums.negative))


def or_nothing(negative: Tensor) -> Tensor:
    """The log sums over negatives, zero where a row has none: nothing but its positive moves it."""
    return torch.where(negative == -torch.inf, 0.0, negative)


def coupled(sums: Sums) -> Tensor:
    """``(N,)``: log of the sum over positives and negatives, less the mean positive score; zero without a positive.

    Written with the positive outside: where it is far above the negatives, nothing cancels.
    """
    if sums.positive is sums.mean:
        return softplus(sums.negative - sums.positive)
    alone = sums.positive == -torch.inf
    positive = torch.where(alone, 0.0, sums.positive)
    rows = torch.where(alone, sums.negative - sums.mean, softplus(sums.negative - positive) + (positive - sums.mean))
    return torch.where(sums.weight > 0, rows, 0.0)


def mean_over_paired(rows: Tensor, sums: Sums) -> Tensor:
    """Mean of row losses over the rows that have a positive; zero if none has."""
    if sums.positive is sums.mean:
        return rows.mean()
    has = sums.weight > 0
    return torch.where(has, rows, 0.0).sum() / has.sum().clamp(min=1)


def narrow(loss: Tensor, like: Tensor) -> Tensor:
    """The loss as float32, or float64 where the embeddings are."""
    return loss.to(torch.float64 if like.dtype == torch.float64 else torch.float32)
