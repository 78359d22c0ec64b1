"""Global contrastive losses: the denominator of each sample is an average over steps, not over the batch alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unalike.errors import SettingsError
from unalike.objectives.checks import at_least, finite, positive, same_length, same_shape
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise
from unalike.objectives.score import count_negatives, score_sums
from unalike.pairing import Pairing, PerSampleState, SameIndex, alike, of_views, sparing


@full_precision
def sogclr(
    first: Tensor,
    second: Tensor,
    index: Tensor,
    *,
    state: PerSampleState,
    temperature: float,
    rate: float = 0.9,
    same: Tensor | None = None,
) -> Tensor:
    """SogCLR: NT-Xent whose denominators are moving averages of each sample, so that small batches do not bias it.

    With ``g_i = mean_j exp(s_ij / t)`` over the 2B - 2 looks at other samples and its moving average u_i, the loss is
    ``mean_i t log u_i - s_ip``; its gradient is that of ``mean_j w_ij s_ij - s_ip`` with constant weights
    ``w_ij = exp(s_ij / t) / u_i``.

    Paper: Yuan et al., "Provable Stochastic Optimization for Global Contrastive Learning: Small Batch Does Not Harm
    Performance", ICML 2022, algorithm 1: one average for both looks at a sample. The authors' release adds the two
    looks' losses and averages; here all looks are averaged.

    Args:
        first: one look at each sample, unit vectors ``(B, D)``, B >= 2.
        second: another look at the same samples ``(B, D)``.
        index: which samples of the training set these are, int64 ``(B,)``, none twice.
        state: log u_i for each sample of the training set; updated by every call.
        temperature: above zero.
        rate: share of the batch's value in the average, the paper's gamma; a sample's first value is taken whole.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two views of each sample, and the samples' numbers; no labels.
    Cost: 16 B^2 D flops; memory O(B D), and one number for each sample of the training set.

    Raises:
        DataError: shapes do not fit, or one sample. SettingsError: temperature is not above zero, rate not in (0, 1].

    Example:
        >>> import torch
        >>> from unalike.objectives import sogclr
        >>> from unalike.pairing import PerSampleState
        >>> state = PerSampleState(100)
        >>> loss = sogclr(torch.eye(2), torch.eye(2), torch.tensor([7, 9]), state=state, temperature=1.0)
        >>> float(loss)  # log 1 - 1
        -1.0
    """
    same_length(first=first, index=index)
    positive(temperature=temperature)
    logs, pull = _two_looks(first, second, temperature, same)
    averages = _average(state, index, logs.detach(), rate)
    return _loss(logs, averages, pull, temperature)


class IndividualTemperatures(nn.Module):
    """What `isogclr` remembers of each sample: its average denominator, its temperature, and that one's momentum.

    Args:
        samples: size of the training set.
        initial: temperature of all samples at the start.

    Raises:
        SettingsError: no samples, or an initial temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import IndividualTemperatures
        >>> IndividualTemperatures(3, initial=0.1).temperatures.values
        tensor([0.1000, 0.1000, 0.1000])
    """

    def __init__(self, samples: int, *, initial: float = 0.07) -> None:
        super().__init__()
        finite(initial=initial)
        positive(initial=initial)
        self.averages = PerSampleState(samples)
        self.momenta = PerSampleState(samples)
        self.temperatures = PerSampleState(samples, initial=initial)


@full_precision
def isogclr(
    first: Tensor,
    second: Tensor,
    index: Tensor,
    *,
    state: IndividualTemperatures,
    rho: float,
    rate: float = 0.8,
    momentum: float = 0.9,
    step: float = 1e-3,
    limits: tuple[float, float] = (0.05, 1.0),
    clip: float = 3.0,
    same: Tensor | None = None,
) -> Tensor:
    """iSogCLR: SogCLR with a temperature for each sample, set by robust optimisation while the encoder trains.

    Each sample's loss is ``t_i log mean_j exp(s_ij / t_i) - s_ip + t_i rho``, minimised over t_i too: samples with many
    look-alikes get high temperatures. After the loss each call takes one step on the temperatures of its samples along
    ``log u_i + rho - mean_j w_ij s_ij / t_i`` (clipped, with momentum).

    Paper: Qiu et al., "Not All Semantics are Created Equal: Contrastive Self-supervised Learning with Automatic
    Temperature Individualization", ICML 2023, algorithm 1. As in the authors' release scores are not shifted by the
    positive's, and the loss has no factor 1/t.

    Args:
        first: one look at each sample, unit vectors ``(B, D)``, B >= 2.
        second: another look at the same samples ``(B, D)``.
        index: which samples of the training set these are, int64 ``(B,)``, none twice.
        state: what is remembered of each sample; updated by every call.
        rho: how far from even the weights of the negatives may be, in nats of divergence; below log(2B - 2). The
            authors' release uses 6.0 at batch 256 and above.
        rate: share of the batch's value in the average denominator.
        momentum: share of the new gradient in the temperature's step, the release's beta_u.
        step: the temperature's step size.
        limits: smallest and largest temperature.
        clip: largest gradient of a temperature, in nats.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two views of each sample, and the samples' numbers; no labels.
    Cost: 24 B^2 D flops; memory O(B D), and three numbers for each sample of the training set.

    Raises:
        DataError: shapes do not fit, or one sample. SettingsError: a setting is out of range.

    Example:
        >>> import torch
        >>> from unalike.objectives import IndividualTemperatures, isogclr
        >>> state, rows = IndividualTemperatures(100), torch.eye(4)
        >>> loss = isogclr(rows, rows, torch.arange(4), state=state, rho=1.0)
        >>> state.temperatures.get(torch.tensor([0, 50]))  # even weights, less divergence than allowed: sharpen
        tensor([0.0691, 0.0700])
    """
    same_length(first=first, index=index)
    temperatures = state.temperatures.get(index).to(first.dtype)
    both = temperatures.repeat(2)
    logs, pull = _two_looks(first, second, both, same)
    averages = _average(state.averages, index, logs.detach(), rate)
    size = len(first)
    with torch.no_grad():
        looks = torch.cat([first, second])
        scores = _mean_scores(looks, looks, both, size, of_views(same, 2))
        weighed = (logs - averages.repeat(2)).exp() * scores
        slope = averages + rho - weighed.view(2, size).mean(dim=0)
        _move(state, index, slope, momentum, step, limits, clip)
    return _loss(logs, averages, pull, temperatures)


@full_precision
def isogclr_pairs(
    queries: Tensor,
    keys: Tensor,
    index: Tensor,
    *,
    state: IndividualTemperatures,
    rho: float,
    rate: float = 0.8,
    momentum: float = 0.9,
    step: float = 1e-3,
    limits: tuple[float, float] = (0.05, 1.0),
    clip: float = 3.0,
    same: Tensor | None = None,
) -> Tensor:
    """iSogCLR across two modalities, in one direction: each query meets the keys of the other samples.

    The paper's bimodal loss is the mean of both directions, each with temperatures of its own:
    ``(isogclr_pairs(x, y, index, state=a, ...) + isogclr_pairs(y, x, index, state=b, ...)) / 2``.

    Paper: Qiu et al., "Not All Semantics are Created Equal: Contrastive Self-supervised Learning with Automatic
    Temperature Individualization", ICML 2023.

    Args:
        queries: unit vectors ``(B, D)``, B >= 2.
        keys: the positive of each query ``(B, D)``.
        index: which samples of the training set these are, int64 ``(B,)``, none twice.
        state: what is remembered of each sample's query; updated by every call.
        rho: how far from even the weights of the negatives may be, in nats of divergence; below log(B - 1).
        rate: share of the batch's value in the average denominator.
        momentum: share of the new gradient in the temperature's step.
        step: the temperature's step size.
        limits: smallest and largest temperature.
        clip: largest gradient of a temperature, in nats.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: pairs across two modalities, and the samples' numbers.
    Cost: 10 B^2 D flops; memory O(B D), and three numbers for each sample of the training set.

    Raises:
        DataError: shapes do not fit, or one sample. SettingsError: a setting is out of range.

    Example:
        >>> import torch
        >>> from unalike.objectives import IndividualTemperatures, isogclr_pairs
        >>> state = IndividualTemperatures(100)
        >>> float(isogclr_pairs(torch.eye(4), torch.eye(4), torch.arange(4), state=state, rho=1.0))
        -1.0
    """
    same_shape(queries=queries, keys=keys)
    same_length(queries=queries, index=index)
    at_least(2, queries, "a negative is another sample")
    temperatures = state.temperatures.get(index).to(queries.dtype)
    logs = _mean_exponentials(queries, keys, temperatures, SameIndex(), same).to(queries.dtype)
    averages = _average(state.averages, index, logs.detach(), rate)
    with torch.no_grad():
        weighed = (logs - averages).exp() * _mean_scores(queries, keys, temperatures, len(queries), same)
        _move(state, index, averages + rho - weighed, momentum, step, limits, clip)
    return _loss(logs, averages, (queries * keys).sum(dim=1), temperatures)


def _two_looks(
    first: Tensor, second: Tensor, temperature: float | Tensor, same: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Log of the mean exponential over the looks at other samples ``(2B,)``, and the positives' scores ``(B,)``."""
    same_shape(first=first, second=second)
    at_least(2, first, "a negative is another sample")
    both = torch.cat([first, second])
    logs = _mean_exponentials(both, None, temperature, SameIndex(views=2), of_views(same, 2))
    return logs.to(first.dtype), (first * second).sum(dim=1)


def _mean_exponentials(
    queries: Tensor, keys: Tensor | None, temperature: float | Tensor, pairing: Pairing, same: Tensor | None
) -> Tensor:
    """Log of the mean exponential of each row's scores with its negatives; where it has none, as of opposite ones."""
    chosen, columns = sparing(pairing, same), queries if keys is None else keys
    sums = score_sums(queries, keys, temperature=temperature, pairing=chosen)
    if same is None:
        return sums.negative - math.log(len(columns) - (1 if keys is not None else 2))
    count = count_negatives(chosen, queries, columns)
    return torch.where(count > 0, sums.negative - count.clamp(min=1).log(), -1 / torch.as_tensor(temperature).double())


def _average(state: PerSampleState, index: Tensor, logs: Tensor, rate: float) -> Tensor:
    """Move the averages of the samples and return their logarithms; kept as logarithms, they cannot overflow."""
    if not 0 < rate <= 1:
        raise SettingsError(f"rate={rate} of a moving average; it must be above 0 and at most 1")
    looks = logs.view(-1, len(index))
    now = looks.logsumexp(dim=0) - math.log(len(looks))
    if rate == 1:
        moved = now
    else:
        moved = torch.logaddexp(state.get(index).to(now.dtype) + math.log1p(-rate), now + math.log(rate))
        moved = torch.where(state.seen[index], moved, now)
    state.set(index, moved)
    return moved


def _loss(logs: Tensor, averages: Tensor, pull: Tensor, temperature: float | Tensor) -> Tensor:
    """The mean of ``t log u - s``, with the gradient of ``t g / u - s`` in which u is constant."""
    looks = (logs.view(-1, len(averages)) - averages).exp().mean(dim=0)
    push = averages + looks - looks.detach()
    return (temperature * push - pull).mean()


def _mean_scores(queries: Tensor, keys: Tensor, temperature: Tensor, samples: int, codes: Tensor | None) -> Tensor:
    """``(N,)``: each row's mean score over temperature, weighed by the softmax over the looks at other samples."""

    sample = torch.arange(max(len(queries), len(keys)), device=queries.device) % samples

    def rows_of(scores: Tensor, rows: slice) -> Tensor:
        scaled = scores / temperature[rows, None]
        same = sample[rows, None] == sample[: len(keys)]
        if codes is None:
            return (scaled.masked_fill(same, -torch.inf).softmax(dim=1) * scaled).sum(dim=1)
        same |= alike(codes[rows], codes)
        weights = torch.where(same, 0.0, scaled.masked_fill(same, -torch.inf).softmax(dim=1))
        return (weights * scaled).sum(dim=1)

    return rowwise(rows_of, queries, keys)


def _move(
    state: IndividualTemperatures,
    index: Tensor,
    slope: Tensor,
    momentum: float,
    step: float,
    limits: tuple[float, float],
    clip: float,
) -> None:
    moved = state.momenta.average(index, slope.clamp(-clip, clip), rate=momentum)
    state.temperatures.set(index, (state.temperatures.get(index) - step * moved).clamp(*limits))
