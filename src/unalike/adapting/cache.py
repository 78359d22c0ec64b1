"""A cache of labelled vectors that is asked by similarity."""

from __future__ import annotations

import numpy as np


def cache_scores(vectors: np.ndarray, keys: np.ndarray, values: np.ndarray, *, sharpness: float) -> np.ndarray:
    """For each vector and class, how like it is to that class's keys: ``exp(-sharpness * (1 - cosine))``, added.

    Zhang et al., *Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification* (2022), equation 4.

    Args:
        vectors: ``(Q, D)`` of unit length.
        keys: ``(N, D)`` of unit length.
        values: ``(N, C)`` of each key how much it counts for each class, such as one for its own.
        sharpness: beta in the paper; the larger, the fewer keys count.

    Returns:
        ``(Q, C)``.

    Example:
        >>> cache_scores(np.eye(2), np.eye(2), np.eye(2), sharpness=1.0).round(2).tolist()
        [[1.0, 0.37], [0.37, 1.0]]
    """
    return np.exp(-sharpness * (1 - vectors @ keys.T)) @ values
