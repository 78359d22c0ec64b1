"""Mixtures of embeddings, and of their labels: between two vectors or beyond one of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from unalike.errors import SettingsError
from unalike.objectives.checks import positive


def mix(first: Tensor, second: Tensor, weights: Tensor | float, *, renormalize: bool = False) -> Tensor:
    """``weights * first + (1 - weights) * second``: a mixture of vectors, or of the labels that go with them.

    Weights between 0 and 1 interpolate; above 1 they extrapolate beyond ``first``, away from ``second``.

    Args:
        first: vectors ``(..., D)``, or labels.
        second: the same shape, or one that broadcasts with it.
        weights: share of ``first``: one number, one a row ``(..., 1)``, or one a dimension ``(..., D)``.
        renormalize: bring the mixtures back to unit length.

    Returns:
        Mixtures of the shape that all three broadcast to; gradient flows to all of them.

    Example:
        >>> import torch
        >>> from unalike.objectives import mix
        >>> mix(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.25]]))
        tensor([[0.2500, 0.7500]])
        >>> mix(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 1.5)
        tensor([[ 1.5000, -0.5000]])
    """
    mixed = weights * first + (1 - weights) * second
    return normalize(mixed, dim=-1) if renormalize else mixed


def beta_weights(
    shape: Sequence[int],
    a: float,
    b: float | None = None,
    *,
    generator: torch.Generator,
    like: Tensor | None = None,
) -> Tensor:
    """Mixing weights from a Beta distribution, as in mixup.

    Args:
        shape: of the weights: ``(B, 1)`` for one a row, ``(B, D)`` for one a dimension.
        a: the distribution's first parameter.
        b: the second; equal to ``a`` unless told.
        generator: source of all randomness.
        like: gives device and dtype; float32 on the generator's device where None.

    Raises:
        SettingsError: a parameter is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import beta_weights
        >>> weights = beta_weights((10_000, 1), 2.0, 8.0, generator=torch.Generator().manual_seed(0))
        >>> round(float(weights.mean()), 2)
        0.2
    """
    b = a if b is None else b
    positive(a=a, b=b)
    both = torch.tensor([a, b], dtype=torch.float64, device=generator.device).expand(*shape, 2)
    drawn = torch._sample_dirichlet(both, generator=generator)[..., 0]  # torch.distributions takes no generator
    return drawn.to(torch.float32) if like is None else drawn.to(like)


def uniform_weights(
    shape: Sequence[int], low: float, high: float, *, generator: torch.Generator, like: Tensor | None = None
) -> Tensor:
    """Mixing weights drawn evenly from ``low`` to ``high``.

    Args:
        shape: of the weights: ``(B, 1)`` for one a row, ``(B, D)`` for one a dimension.
        low: smallest weight.
        high: largest weight, not reached.
        generator: source of all randomness.
        like: gives device and dtype; float32 on the generator's device where None.

    Raises:
        SettingsError: high is below low.

    Example:
        >>> import torch
        >>> from unalike.objectives import uniform_weights
        >>> weights = uniform_weights((1000,), 0.0, 0.5, generator=torch.Generator().manual_seed(0))
        >>> 0 <= float(weights.min()) and float(weights.max()) < 0.5
        True
    """
    if high < low:
        raise SettingsError(f"low={low}, high={high}; high must not be below low")
    drawn = low + (high - low) * torch.rand(*shape, generator=generator, device=generator.device)
    return drawn if like is None else drawn.to(like)
