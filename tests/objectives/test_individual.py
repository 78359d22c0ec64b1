"""SogCLR and iSogCLR: losses, gradients and the step of the temperatures against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import agree, batches, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import IndividualTemperatures, info_nce, isogclr, isogclr_pairs, sogclr
from unalike.pairing import PerSampleState


def means(looks: Tensor, heat: Tensor) -> list[Tensor]:
    """For each look the mean of ``exp(s / t)`` over the looks at other samples."""
    size = len(heat)
    found = []
    for i in range(2 * size):
        others = [j for j in range(2 * size) if j % size != i % size]
        found.append(sum((looks[i] @ looks[j] / heat[i % size]).exp() for j in others) / len(others))
    return found


def constant_weights(looks: Tensor, heat: Tensor, averages: Tensor) -> Tensor:
    """``t log u - s`` with the gradient of ``mean_j w_j s_j - s``, the weights constant."""
    size = len(heat)
    total = (heat * averages.log()).sum() * 2
    for i in range(2 * size):
        others = [j for j in range(2 * size) if j % size != i % size]
        for j in others:
            score = looks[i] @ looks[j]
            weight = (score.detach() / heat[i % size]).exp() / averages[i % size] / len(others)
            total = total + weight * (score - score.detach())
        total = total - looks[i] @ looks[(i + size) % (2 * size)]
    return total / (2 * size)


@few
@given(seeds, batches, widths, st.sampled_from([0.1, 0.8, 1.0]))
def test_sogclr_equals_loops_over_two_steps(seed: int, size: int, width: int, rate: float) -> None:
    rows, before = vectors(seed, 2, size, width), vectors(seed + 1, 2, size, width)
    index = torch.randperm(20, generator=torch.Generator().manual_seed(seed))[:size]
    heat = torch.full((size,), 0.4, dtype=torch.float64)

    def average(looks: Tensor) -> Tensor:
        both = torch.stack(means(looks.detach().flatten(0, 1), heat))
        return both.view(2, size).mean(dim=0)

    def loops(z: Tensor) -> Tensor:
        first = average(before)  # a first value counts whole
        return constant_weights(z.flatten(0, 1), heat, (1 - rate) * first + rate * average(z))

    def ours(z: Tensor) -> Tensor:
        state = PerSampleState(20).double()
        sogclr(*before.to(z.dtype), index, state=state, temperature=0.4, rate=rate)
        return sogclr(*z, index, state=state, temperature=0.4, rate=rate)

    agree(ours, loops, rows, single=1e-3)


def test_where_the_batch_is_all_there_is_sogclr_has_the_gradient_of_the_decoupled_loss() -> None:
    """With the batch's own value as average, g / u is 1 and the loss is t times the decoupled one."""
    first = vectors(2, 6, 4).requires_grad_()
    loss = sogclr(first, first, torch.arange(6), state=PerSampleState(6).double(), temperature=0.3, rate=1.0)
    looks = torch.cat([first, first])
    mine = torch.arange(12) % 6
    scores = (looks @ looks.T / 0.3).masked_fill(mine[:, None] == mine, -torch.inf)
    plain = 0.3 * (scores.logsumexp(dim=1) - math.log(10)).mean() - (first * first).sum(dim=1).mean()
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(torch.autograd.grad(loss, first)[0], torch.autograd.grad(plain, first)[0])


def test_averages_never_overflow() -> None:
    state, rows = PerSampleState(4), torch.eye(4)
    loss = sogclr(rows, rows.roll(1, 0), torch.arange(4), state=state, temperature=0.001)
    assert loss.isfinite() and state.values.isfinite().all()


@settings(few, max_examples=8)
@given(seeds, st.integers(2, 4), widths, st.sampled_from([0.3, 0.8]), st.sampled_from([0.2, 6.0]))
def test_isogclr_and_its_temperatures_equal_loops(seed: int, size: int, width: int, rate: float, rho: float) -> None:
    steps = vectors(seed, 3, 2, size, width)
    index = torch.randperm(20, generator=torch.Generator().manual_seed(seed))[:size]
    heat = torch.full((size,), 0.25, dtype=torch.float64)
    averages = moments = torch.zeros(size, dtype=torch.float64)
    state = IndividualTemperatures(20, initial=0.25).double()
    for step, looks in enumerate(steps):
        flat = looks.flatten(0, 1)
        now = torch.stack(means(flat, heat)).view(2, size).mean(dim=0)
        averages = now if step == 0 else (1 - rate) * averages + rate * now
        current, expected_averages = heat.clone(), averages.clone()
        slopes = []
        for i in range(size):
            told = []
            for look in (i, i + size):
                others = [j for j in range(2 * size) if j % size != i]
                scores = [flat[look] @ flat[j] / heat[i] for j in others]
                told.append(sum(s.exp() / averages[i] * s for s in scores) / len(others))
            slopes.append((averages[i].log() + rho - sum(told) / 2).clamp(-3, 3))
        moments = 0.1 * moments + 0.9 * torch.stack(slopes)
        heat = (heat - 0.1 * moments).clamp(0.05, 1.0)

        def loops(z: Tensor, current: Tensor = current, expected: Tensor = expected_averages) -> Tensor:
            return constant_weights(z.flatten(0, 1), current, expected)

        kept = {name: value.clone() for name, value in state.state_dict().items()}

        def ours(z: Tensor, kept: dict[str, Tensor] = kept) -> Tensor:
            state.load_state_dict(kept)
            return isogclr(*z, index, state=state, rho=rho, rate=rate, step=0.1)

        agree(ours, loops, looks, single=1e-3)
        state.load_state_dict(kept)
        ours(looks)
        torch.testing.assert_close(state.temperatures.get(index), heat)
        torch.testing.assert_close(state.averages.get(index).exp(), averages)


def test_the_temperatures_step_is_the_gradient_of_the_robust_loss() -> None:
    """With the batch's own average: the derivative of ``t log mean exp(s / t) + t rho`` with respect to t."""
    queries, keys = vectors(4, 2, 5, 3)
    heat = torch.full((5,), 0.2, dtype=torch.float64, requires_grad=True)
    scores = (queries @ keys.T / heat[:, None]).masked_fill(torch.eye(5, dtype=torch.bool), -torch.inf)
    robust = (heat * (scores.logsumexp(dim=1) - math.log(4)) + heat * 0.7).sum()
    (slope,) = torch.autograd.grad(robust, heat)
    state = IndividualTemperatures(5, initial=0.2).double()
    isogclr_pairs(queries, keys, torch.arange(5), state=state, rho=0.7, rate=1.0, momentum=1.0, step=0.01)
    torch.testing.assert_close(state.temperatures.values, 0.2 - 0.01 * slope)


def test_pairs_equal_infonce_without_its_positive() -> None:
    queries, keys = (view.requires_grad_() for view in vectors(6, 2, 5, 3))
    state = IndividualTemperatures(9, initial=0.2).double()
    loss = isogclr_pairs(queries, keys, torch.arange(5), state=state, rho=1.0, rate=1.0)
    scores = (queries @ keys.T / 0.2).masked_fill(torch.eye(5, dtype=torch.bool), -torch.inf)
    plain = (0.2 * (scores.logsumexp(dim=1) - math.log(4)) - (queries * keys).sum(dim=1)).mean()
    torch.testing.assert_close(loss, plain)
    for one, two in zip(
        torch.autograd.grad(loss, [queries, keys]), torch.autograd.grad(plain, [queries, keys]), strict=True
    ):
        torch.testing.assert_close(one, two)
    assert loss < info_nce(queries, keys, temperature=0.2)


def test_only_the_batchs_samples_move_and_a_checkpoint_carries_all() -> None:
    state, rows = IndividualTemperatures(10), torch.eye(3)
    isogclr(rows, rows, torch.tensor([2, 5, 7]), state=state, rho=0.5)
    moved = state.temperatures.values != torch.tensor(0.07)
    assert moved.nonzero().flatten().tolist() == [2, 5, 7]
    copy = IndividualTemperatures(10)
    copy.load_state_dict(state.state_dict())
    again = [isogclr(rows, rows, torch.tensor([2, 5, 9]), state=s, rho=0.5) for s in (state, copy)]
    assert torch.equal(*again) and torch.equal(state.temperatures.values, copy.temperatures.values)


def test_what_is_refused() -> None:
    rows, index = torch.eye(3), torch.arange(3)
    with pytest.raises(SettingsError, match="rate=0"):
        sogclr(rows, rows, index, state=PerSampleState(3), temperature=0.1, rate=0)
    with pytest.raises(DataError, match="3 first, 2 index"):
        sogclr(rows, rows, index[:2], state=PerSampleState(3), temperature=0.1)
    with pytest.raises(SettingsError, match="initial=0"):
        IndividualTemperatures(3, initial=0)
    with pytest.raises(DataError, match="batch of 1"):
        isogclr_pairs(rows[:1], rows[:1], index[:1], state=IndividualTemperatures(3), rho=0.1)
