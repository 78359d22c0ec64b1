"""Mixtures of embeddings, and the two ways to transform features."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import beta_weights, extrapolate_positives, interpolate_negatives, mix, uniform_weights


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("a", "b"), [(2.0, 2.0), (2.0, 8.0), (0.4, 0.4)])
def test_weights_follow_their_distribution(a: float, b: float) -> None:
    drawn = beta_weights((4000, 1), a, b, generator=stream()).flatten().numpy()
    assert scipy.stats.kstest(drawn, scipy.stats.beta(a, b).cdf).pvalue > 0.01
    drawn = uniform_weights((4000,), 0.25, 0.5, generator=stream()).numpy()
    assert scipy.stats.kstest(drawn, scipy.stats.uniform(0.25, 0.25).cdf).pvalue > 0.01


def test_weights_come_from_the_given_stream_alone() -> None:
    state = torch.random.get_rng_state()
    first, again = (beta_weights((5, 2), 2.0, generator=stream(3)) for _ in range(2))
    uniform_weights((5, 2), 0, 1, generator=stream(3))
    assert torch.equal(first, again) and not torch.equal(first, beta_weights((5, 2), 2.0, generator=stream(4)))
    assert torch.equal(state, torch.random.get_rng_state())
    assert beta_weights((2,), 1.0, generator=stream(), like=torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_tiny_parameters_give_no_nan() -> None:
    assert beta_weights((1000,), 1e-4, generator=stream()).isfinite().all()


def test_mix_serves_vectors_and_labels_alike() -> None:
    first, second, weights = torch.eye(2), torch.eye(2).flip(0), torch.tensor([[0.25], [1.5]])
    torch.testing.assert_close(mix(first, second, weights), torch.tensor([[0.25, 0.75], [-0.5, 1.5]]))
    lengths = mix(first, second, weights, renormalize=True).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(2))


@few
@given(seeds, batches, widths)
def test_the_positive_score_falls_as_the_paper_says(seed: int, size: int, width: int) -> None:
    """With one weight w the new score is exactly s + 2 w (1 - w) (1 - s)."""
    queries, keys = vectors(seed, 2, size, width)
    weight = 1 + beta_weights((1, 1), 2.0, generator=stream(seed), like=queries)
    harder = extrapolate_positives(queries, keys, generator=stream(seed), per_dimension=False)
    scores = (queries * keys).sum(dim=1)
    expected = scores + 2 * weight * (1 - weight) * (1 - scores)
    torch.testing.assert_close((harder[0] * harder[1]).sum(dim=1), expected.flatten())
    assert (expected <= scores + 1e-12).all()


@few
@given(seeds, batches, widths, st.booleans(), st.booleans())
def test_transformations_equal_loops(seed: int, size: int, width: int, each: bool, unit: bool) -> None:
    queries, keys = vectors(seed, 2, size, width)
    shape = (size, width) if each else (1, 1)
    extra = 1 + beta_weights(shape, 2.0, generator=stream(seed), like=queries).expand(size, width)
    order = torch.randperm(size, generator=(inner := stream(seed)))
    inside = beta_weights(shape, 1.6, generator=inner, like=queries).expand(size, width)

    def scale(values: list[Tensor]) -> list[Tensor]:
        length = sum(value**2 for value in values).sqrt() if unit else 1
        return [value / length for value in values]

    def positive_loops(q: Tensor, k: Tensor) -> Tensor:
        k, total = k.detach(), q.sum() * 0
        for i in range(size):
            one = scale([extra[i, d] * q[i, d] + (1 - extra[i, d]) * k[i, d] for d in range(width)])
            two = scale([extra[i, d] * k[i, d] + (1 - extra[i, d]) * q[i, d] for d in range(width)])
            total = total + sum(a * b * (d + 1) for d, (a, b) in enumerate(zip(one, two, strict=True)))
        return total

    def positive(q: Tensor, k: Tensor) -> Tensor:
        one, two = extrapolate_positives(q, k, generator=stream(seed), per_dimension=each, renormalize=unit)
        return (one * two * torch.arange(1, width + 1)).sum().to(torch.promote_types(q.dtype, torch.float32))

    agree(positive, positive_loops, queries, keys, single=1e-2)

    def negative_loops(n: Tensor) -> Tensor:
        total = n.sum() * 0
        for i in range(size):
            mixed = [inside[i, d] * n[i, d] + (1 - inside[i, d]) * n[order[i], d] for d in range(width)]
            total = total + sum(value * (d + 1 + i) for d, value in enumerate(scale(mixed)))
        return total

    def negative(n: Tensor) -> Tensor:
        mixed = interpolate_negatives(n, generator=stream(seed), per_dimension=each, renormalize=unit)
        places = torch.arange(1, width + 1) + torch.arange(size)[:, None]
        return (mixed * places).sum().to(torch.promote_types(n.dtype, torch.float32))

    if not unit or width > 1:  # in one dimension a unit mixture has no gradient, and may cross zero
        agree(negative, negative_loops, queries, single=1e-2)


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"queries \(2, 3\), keys \(3, 3\)"):
        extrapolate_positives(torch.ones(2, 3), torch.ones(3, 3), generator=stream())
    with pytest.raises(SettingsError, match=r"a=0\.0"):
        interpolate_negatives(torch.ones(2, 3), generator=stream(), alpha=0.0)
    with pytest.raises(SettingsError, match=r"low=1.*high=0"):
        uniform_weights((2,), 1, 0, generator=stream())
