"""Which rows of a training set stand out as poisoned rows do: larger is stranger."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import matrix
from unalike.search import top_k


def neighbour_distance(vectors: np.ndarray, *, k: int = 16, sample: int = 512, seed: int = 0) -> np.ndarray:
    """Cosine distance of each row from its k-th neighbour in a random sample of the rows.

    A poisoned row shares its trigger with few others: in a sample too small to hold k of these, its neighbourhood is
    sparse, while an honest row has many rows of its kind around it.

    Huang et al., *Detecting Backdoor Samples in Contrastive Language Image Pretraining* (2025), where the sample is a
    batch and k is 16.

    Args:
        vectors: ``(N, D)`` of the pictures.
        k: which neighbour.
        sample: rows among which neighbours are looked for.
        seed: of the sample.

    Returns:
        ``(N,)`` distances in [0, 2].

    Raises:
        DataError: no matrix, or numbers that are not finite. SettingsError: fewer rows than neighbours.

    Example:
        >>> import numpy as np
        >>> from unalike.audit import neighbour_distance
        >>> rows = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]])
        >>> neighbour_distance(rows, k=2).round(1).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """
    unit = matrix(vectors, "vectors", unit=True).numpy()
    chosen = np.random.default_rng(seed).permutation(len(unit))[:sample]
    if not 1 <= k < len(chosen):
        raise SettingsError(f"got k={k} of {len(chosen)} rows in the sample; expected at least 1 and fewer than these")
    scores, places = top_k(unit, unit[chosen], k + 1)
    # A row that was drawn itself is no neighbour of its own: of k + 1 hits it is left out, else the last is.
    own = chosen[places] == np.arange(len(unit))[:, None]
    own[~own.any(1), -1] = True
    return 1 - scores[~own].reshape(len(unit), k)[:, -1].astype(np.float64)


def pair_distance(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Cosine distance of each picture from its own caption: large where a model did not learn the pair.

    It shows wrong captions to a model that did not learn them; one that learned the trigger finds its pairs at one.

    Args:
        images, texts: ``(N, D)``, row by row.

    Raises:
        DataError: shapes differ or numbers are not finite.
    """
    first, second = matrix(images, "images", unit=True).numpy(), matrix(texts, "texts", unit=True).numpy()
    if first.shape != second.shape:
        raise DataError(f"got pictures {first.shape} and captions {second.shape}; expected as many, and as wide")
    return 1 - (first * second).sum(1).astype(np.float64)
