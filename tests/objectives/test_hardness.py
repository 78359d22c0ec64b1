"""Temperature as hardness: shares of the gradient, truncated and simple losses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, pairs, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import (
    gradient_shares,
    hard_contrastive,
    hard_simple_contrastive,
    info_nce,
    simple_contrastive,
)

shares = st.sampled_from([0.1, 0.4, 0.5, 1.0])


@few
@given(seeds, batches, widths, st.sampled_from([0.2, 0.5, 2.0]))
def test_autograds_ratios_are_the_boltzmann_weights(seed: int, size: int, width: int, temperature: float) -> None:
    """The gradients of InfoNCE with respect to negatives' scores, over that of the positive's, are the shares."""
    queries, keys = vectors(seed, 2, size, width)
    scores = (queries @ keys.T).requires_grad_()
    loss = torch.nn.functional.cross_entropy(scores / temperature, torch.arange(size))
    (slope,) = torch.autograd.grad(loss, scores)
    ratio = slope / -slope.diagonal()[:, None]
    ratio.fill_diagonal_(0)
    found = gradient_shares(queries, keys, temperature=temperature)
    torch.testing.assert_close(found, ratio, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(size, dtype=torch.float64))
    for i, j in pairs(size):
        total = sum(math.exp(scores[i, k].detach() / temperature) for k in range(size) if k != i)
        assert math.isclose(found[i, j], math.exp(scores[i, j].detach() / temperature) / total, rel_tol=1e-9)


def test_the_share_of_the_hardest_falls_with_the_temperature() -> None:
    queries, keys = vectors(4, 2, 64, 8)
    top = [gradient_shares(queries, keys, temperature=t).topk(3, dim=1).values.sum(dim=1) for t in (0.05, 0.2, 1.0)]
    assert (top[0] > top[1]).all() and (top[1] > top[2]).all()


def kept(size: int, share: float) -> int:
    return max(1, math.ceil(share * (size - 1)))


@few
@given(seeds, batches, st.integers(2, 5), shares)
def test_hard_contrastive_equals_loops(seed: int, size: int, width: int, share: float) -> None:
    def loops(q: Tensor, k: Tensor) -> Tensor:
        total = q.sum() * 0
        for i in range(size):
            hardest = sorted((q[i] @ k[j] for j in range(size) if j != i), reverse=True)[: kept(size, share)]
            scores = torch.stack([q[i] @ k[i], *hardest]) / 0.3
            total = total + scores.logsumexp(0) - scores[0]
        return total / size

    agree(lambda q, k: hard_contrastive(q, k, temperature=0.3, share=share), loops, *vectors(seed, 2, size, width))


@few
@given(seeds, batches, st.integers(2, 5), shares)
def test_the_simple_losses_equal_loops(seed: int, size: int, width: int, share: float) -> None:
    def simple(q: Tensor, k: Tensor) -> Tensor:
        push = [q[i] @ k[j] for i, j in pairs(size)]
        return 0.7 * sum(push) / len(push) - sum(q[i] @ k[i] for i in range(size)) / size

    def hard(q: Tensor, k: Tensor) -> Tensor:
        total = q.sum() * 0
        for i in range(size):
            hardest = sorted((q[i] @ k[j] for j in range(size) if j != i), reverse=True)[: kept(size, share)]
            total = total + 0.7 * sum(hardest) / len(hardest) - q[i] @ k[i]
        return total / size

    rows = vectors(seed, 2, size, width)
    agree(lambda q, k: simple_contrastive(q, k, weight=0.7), simple, *rows)
    agree(lambda q, k: hard_simple_contrastive(q, k, weight=0.7, share=share), hard, *rows)


def test_all_negatives_make_the_hard_losses_the_plain_ones() -> None:
    rows = vectors(3, 2, 9, 4)
    torch.testing.assert_close(hard_contrastive(*rows, temperature=0.2, share=1.0), info_nce(*rows, temperature=0.2))
    torch.testing.assert_close(
        hard_simple_contrastive(*rows, weight=0.5, share=1.0), simple_contrastive(*rows, weight=0.5)
    )


def test_at_high_temperature_the_simple_loss_is_infonces_direction() -> None:
    """As t grows, t times InfoNCE's gradient tends to (B - 1)/B times that of the simple loss of weight one."""
    size = 6
    rows = [row.requires_grad_() for row in vectors(5, 2, size, 4)]
    plain = torch.autograd.grad(info_nce(*rows, temperature=1e5) * 1e5, rows)
    simple = torch.autograd.grad(simple_contrastive(*rows, weight=1.0) * (size - 1) / size, rows)
    torch.testing.assert_close(plain, simple, rtol=1e-3, atol=1e-4)


def test_what_is_refused() -> None:
    rows = torch.eye(3)
    with pytest.raises(SettingsError, match="share=0"):
        hard_contrastive(rows, rows, temperature=0.1, share=0)
    with pytest.raises(SettingsError, match=r"share=1\.5"):
        hard_simple_contrastive(rows, rows, weight=1, share=1.5)
    with pytest.raises(DataError, match="batch of 1"):
        simple_contrastive(rows[:1], rows[:1], weight=1)
    with pytest.raises(SettingsError, match="temperature=0"):
        gradient_shares(rows, rows, temperature=0)
