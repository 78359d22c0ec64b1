"""Weights that follow from a seed and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Modules built inside have the weights of ``seed``; the caller's random state is as before afterwards.

    Args:
        seed: any integer that `torch.manual_seed` takes; None goes on with the current random state.

    Example:
        >>> import torch
        >>> from unalike.encoders import seeded
        >>> with seeded(0):
        ...     first = torch.nn.Linear(4, 2).weight
        >>> with seeded(0):
        ...     second = torch.nn.Linear(4, 2).weight
        >>> torch.equal(first, second)
        True
    """
    if seed is None:
        yield
        return
    # Initialisers of torch.nn draw on the CPU, so other devices' generators need no saving.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
