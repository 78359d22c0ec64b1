"""Two modalities in one space: how far they lie apart, and how evenly they fill it together."""

from __future__ import annotations

import math

import numpy as np
import torch

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import ROWS_AT_ONCE, pairs_of, same_space
from unalike.evaluation.probes import linear_probe
from unalike.search.blocks import Vectors


def modality_gap(first: Vectors, second: Vectors) -> float:
    """Distance between the mean vectors of two modalities on the sphere.

    Liang et al., *Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning*
    (2022).

    Args:
        first: ``(N, D)``.
        second: ``(M, D)``.

    Returns:
        From 0, the same centre, to 2, opposite points.

    Raises:
        DataError: widths differ, or numbers are not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import modality_gap
        >>> modality_gap(np.array([[1.0, 0], [1, 0]]), np.array([[-1.0, 0]]))
        2.0
    """
    one, other = same_space(first, second)
    return float((one.double().mean(dim=0) - other.double().mean(dim=0)).norm())


def modality_separability(first: Vectors, second: Vectors, *, sample: int = 5000, seed: int = 0) -> float:
    """Accuracy with which a linear classifier tells two modalities apart, on rows it has not seen.

    Chance is one half: it sees as many of each. Two clouds can share their centre and still lie apart, which
    `modality_gap` alone does not show.

    Args:
        first: ``(N, D)``.
        second: ``(N, D)``, row i being a positive of row i; a pair is learnt from or asked for, never both.
        sample: pairs to use, where there are more.
        seed: of the sample and of the halves.

    Raises:
        DataError: shapes differ, fewer than four pairs, or numbers that are not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import modality_separability
        >>> pictures = np.random.default_rng(0).normal(size=(40, 3)) + [4, 0, 0]
        >>> modality_separability(pictures, pictures * [-1, 1, 1])
        1.0
    """
    one, other = pairs_of(first, second)
    if len(one) < 4:
        raise DataError(f"got {len(one)} pairs; expected four or more, half to learn from and half to ask for")
    rng = np.random.default_rng(seed)
    chosen = torch.from_numpy(rng.permutation(len(one))[:sample])
    halves = chosen.chunk(2)
    learnt, asked = (torch.cat([one[half], other[half]]) for half in halves)
    sides = [np.repeat([0, 1], len(half)) for half in halves]
    return linear_probe(learnt, sides[0], asked, sides[1], strengths=(0.1,)).value


def cross_uniformity(first: Vectors, second: Vectors, *, scale: float = 2.0) -> float:
    """Log of the mean Gaussian potential of all pairs of an entry in one modality and another row's in the other.

    Fahim, Murphy and Fyshe, *It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap* (2024). Lower
    is more even: 0 where all entries are one point; two clouds that fill one sphere evenly have `even_uniformity`, and
    two that lie on opposite sides have less.

    Args:
        first: ``(N, D)``, two rows or more.
        second: ``(N, D)``, row i being the positive of row i, which it is not compared with.
        scale: ``t`` of the potential ``exp(-t |x - y|^2)``.

    Raises:
        DataError: shapes differ, fewer than two rows, or numbers that are not finite.
        SettingsError: a scale that is not above zero.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import cross_uniformity
        >>> round(cross_uniformity(np.eye(2), np.eye(2)), 3)
        -4.0
    """
    if not scale > 0:
        raise SettingsError(f"got scale={scale}; expected a number above 0")
    one, other = pairs_of(first, second)
    count = len(one)
    if count < 2:
        raise DataError("got one pair; expected two or more to compare with each other")
    total = 0.0
    for start in range(0, count, ROWS_AT_ONCE):
        rows = one[start : start + ROWS_AT_ONCE]
        strip = (rows @ other.t()).mul_(2).sub_(2).clamp_(max=0).mul_(scale).exp_()
        total += float(strip.sum(dtype=torch.float64)) - float(strip.diagonal(start).sum(dtype=torch.float64))
    return math.log(total / (count * (count - 1)))
