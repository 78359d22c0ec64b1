"""Losses over the steps of sequences: each series against others, each moment against others, whole samples of both."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d, normalize
from torch.utils.checkpoint import checkpoint

from unalike.errors import DataError, SettingsError
from unalike.objectives.checks import positive
from unalike.objectives.precision import full_precision
from unalike.objectives.tiles import strip_rows
from unalike.pairing import alike


@full_precision
def ts2vec(
    first: Tensor,
    second: Tensor,
    *,
    present: Tensor | None = None,
    instance: float = 0.5,
    same: Tensor | None = None,
) -> Tensor:
    """TS2Vec: two views of each moment agree, against other series at that moment and other moments of that series.

    At each of several resolutions ``instance * L_i + (1 - instance) * L_t``, then the maximum of two neighbouring steps
    is one step of the next; at the last, of one step, ``instance * L_i`` alone; the mean over the resolutions. Both are
    softmax cross-entropies of dot products: for ``L_i`` among both views of all series at one moment, for ``L_t``
    among both views of all moments of one series, each anchor without itself.

    Paper: Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022, equations 1 to 3.

    Args:
        first: one view ``(B, T, D)``, row i and step t of both views being the same moment.
        second: the other, ``(B, T, D)``.
        present: bool ``(B, T)``: moments that are there; all of them if None.
        instance: share of the contrast with other series, from 0 to 1.
        same: codes of what each series is (`unalike.pairing.Sparing`), int64 ``(B,)`` or ``(B, K)``: series that share
            one are not told apart.

    Data: two views of the same steps of each series.
    Cost: 4 B T (B + T) D flops at the finest resolution, half of it at the next; memory O(T B^2 + B T^2).

    Raises:
        DataError: shapes do not fit. SettingsError: a share out of range.

    Example:
        >>> import torch
        >>> from unalike.objectives import ts2vec
        >>> tokens = 9 * torch.eye(4).view(2, 2, 4)
        >>> float(ts2vec(tokens, tokens)) < 1e-6 < float(ts2vec(tokens, tokens.flip(1)))
        True
    """
    if first.shape != second.shape or first.ndim != 3 or not first.numel():
        raise DataError(f"got first {tuple(first.shape)}, second {tuple(second.shape)}; expected twice (B, T, D)")
    if present is None:
        present = torch.ones(first.shape[:2], dtype=torch.bool, device=first.device)
    if present.shape != first.shape[:2]:
        raise DataError(f"got present {tuple(present.shape)} for tokens {tuple(first.shape)}; expected (B, T)")
    if not 0 <= instance <= 1:
        raise SettingsError(f"instance={instance}; expected a share from 0 to 1")
    total, resolutions = first.new_zeros(()), 0
    spared = None if same is None else alike(same, same).fill_diagonal_(False).repeat(2, 2)
    while True:
        if instance:
            by_moment = (each.transpose(0, 1) for each in (first, second, present))
            total = total + instance * _told_apart(*by_moment, spared)
        if instance < 1 and first.shape[1] > 1:
            total = total + (1 - instance) * _told_apart(first, second, present)
        resolutions += 1
        if first.shape[1] == 1:
            return total / resolutions
        first, second = _halved(first, present), _halved(second, present)
        half = first.shape[1]
        present = present[:, : 2 * half].reshape(-1, half, 2).any(2)


def _told_apart(first: Tensor, second: Tensor, present: Tensor, spared: Tensor | None = None) -> Tensor:
    """Cross-entropy of each entry's other view among both views of a group's entries, ``(groups, entries, D)``.

    Pairs of entries that are ``spared`` are left out.
    """
    size = first.shape[1]
    entries, there = torch.cat([first, second], 1), torch.cat([present, present], 1)
    scores = entries @ entries.transpose(1, 2)
    own = torch.eye(2 * size, dtype=torch.bool, device=scores.device)
    if spared is not None:
        own = own | spared
    scores = scores.masked_fill(own | ~there[:, None], -torch.inf)
    partner = scores.diagonal(size, 1, 2)
    partner = torch.cat([partner, scores.diagonal(-size, 1, 2)], 1)
    # Where an entry is missing its row is all -inf, which must not enter the gradient.
    rows = torch.where(there[..., None], scores, 0)
    loss = torch.where(there, rows.logsumexp(2) - torch.where(there, partner, 0), 0)
    return loss.sum() / there.sum().clamp(min=1)


def _halved(tokens: Tensor, present: Tensor) -> Tensor:
    """The maximum of every two steps that are there, zero where neither is; an odd last step is dropped."""
    half = tokens.shape[1] // 2
    pairs = tokens.masked_fill(~present[..., None], -torch.inf)[:, : 2 * half]
    found = pairs.reshape(len(tokens), half, 2, -1).amax(2)
    return found.masked_fill(found.isinf(), 0)


@full_precision
def neighbouring_windows(
    tokens: Tensor, *, present: Tensor | None = None, windows: int = 16, temperature: float = 1.0
) -> Tensor:
    """Local InfoNCE of AutoTCL: a window of a series is like the next one, and unlike those that do not touch it.

    Tokens of unit length; a window's vector is their maximum. The positive of a window is the next one, of the last one
    the one before; its negatives are all windows of the same series but its neighbours.

    Paper: Zheng et al., "Parametric Augmentation for Time Series Contrastive Learning", ICLR 2024, arXiv 2402.10434,
    section 4.3. (The official code takes the first series of a batch alone.)

    Args:
        tokens: ``(B, T, D)``.
        present: bool ``(B, T)``: steps that are there, without gaps from the first on; all of them if None.
        windows: into which a series is cut, as many as steps where it has fewer.
        temperature: above zero.

    Data: series of at least three steps; shorter ones have no windows that do not touch, and cost nothing.
    Cost: 2 B windows^2 D flops; memory O(B windows^2).

    Raises:
        DataError: shapes do not fit. SettingsError: fewer than three windows, or a temperature not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import neighbouring_windows
        >>> slow = torch.eye(4)[torch.tensor([0, 0, 1, 1])].repeat_interleave(8, 0)
        >>> mixed = torch.eye(4)[torch.tensor([0, 1, 0, 1])].repeat_interleave(8, 0)
        >>> float(neighbouring_windows(slow[None], windows=4)) < float(neighbouring_windows(mixed[None], windows=4))
        True
    """
    positive(temperature=temperature)
    if tokens.ndim != 3 or (present is not None and present.shape != tokens.shape[:2]):
        raise DataError(f"got tokens {tuple(tokens.shape)}; expected (B, T, D), and present (B, T)")
    if windows < 3:
        raise SettingsError(f"windows={windows}; a window has a neighbour and one that it does not touch from three on")
    units = normalize(tokens, dim=2)
    lengths = [tokens.shape[1]] * len(tokens) if present is None else present.sum(1).tolist()
    losses = []
    for length in sorted(set(lengths)):
        count = min(windows, length)
        if count < 3:
            continue
        chosen = units[[row for row, each in enumerate(lengths) if each == length], :length]
        cut = adaptive_max_pool1d(chosen.transpose(1, 2), count).transpose(1, 2)
        scores = cut @ cut.transpose(1, 2) / temperature
        place = torch.arange(count, device=scores.device)
        touching = (place[:, None] - place).abs() <= 1
        positives = torch.cat([scores.diagonal(1, 1, 2), scores[:, -1, -2:-1]], 1)
        negatives = scores.masked_fill(touching, -torch.inf).logsumexp(2)
        losses.append((torch.logaddexp(positives, negatives) - positives).mean(1))
    return torch.cat(losses).mean() if losses else tokens.sum() * 0


@full_precision
def mmd(first: Tensor, second: Tensor, *, kernels: int = 5, ratio: float = 2.0) -> Tensor:
    """Squared maximum mean discrepancy of two samples, over a sum of Gaussian kernels.

    ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)``, ``k = sum_i exp(-|a - b|^2 / w_i)``; the widths ``w_i`` stand in
    a fixed ratio around the mean squared distance of two of all samples, which is taken as a constant.

    Paper: Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012; kernels as in Long et al., "Learning Transferable
    Features with Deep Adaptation Networks", ICML 2015.

    Args:
        first: one sample ``(N, D)``.
        second: the other ``(M, D)``.
        kernels: how many.
        ratio: of one width to the next.

    Data: two samples; which row stands where says nothing.
    Cost: 3 (N + M)^2 D flops; memory O(kernels (N + M)^2): for batches of some hundreds or a few thousands.

    Raises:
        DataError: shapes do not fit. SettingsError: no kernel, or a ratio that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import mmd
        >>> one = torch.eye(3)
        >>> float(mmd(one, one.flip(0))), float(mmd(one, one + 5)) > 1
        (0.0, True)
    """
    positive(kernels=kernels, ratio=ratio)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not (len(first) and len(second)):
        raise DataError(f"got first {tuple(first.shape)}, second {tuple(second.shape)}; expected (N, D) and (M, D)")
    both = torch.cat([first, second])
    count = len(both)

    def squares(some: Tensor) -> Tensor:
        return (some[:, None] - both).square().sum(2)

    rows = strip_rows(both.numel(), megabytes=64)
    strips = [both[start : start + rows] for start in range(0, count, rows)]
    # Differences are not taken by matrix products, which lose small distances; nor kept, but where they are few.
    parts = [checkpoint(squares, each, use_reentrant=False) for each in strips] if len(strips) > 1 else [squares(both)]
    distances = torch.cat(parts)
    middle = distances.detach().sum() / (count * (count - 1))
    widths = [(middle * ratio ** (i - kernels // 2)).clamp(min=1e-12) for i in range(kernels)]
    kernel = torch.stack([torch.exp(-distances / width) for width in widths]).sum(0)
    n = len(first)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
