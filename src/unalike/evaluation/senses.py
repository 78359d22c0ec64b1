"""Words that mean several things: alike are two words whose closest meanings are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unalike.errors import DataError
from unalike.evaluation.inputs import check_lengths, matrix
from unalike.search.blocks import Vectors


def sense_correlation(
    senses: Vectors,
    first: Sequence[np.ndarray | Sequence[int]],
    second: Sequence[np.ndarray | Sequence[int]],
    ratings: np.ndarray,
) -> float:
    """Spearman's correlation of ratings of word pairs with the largest cosine over the two words' senses.

    Taking the closest senses follows Resnik (1995, arXiv:cmp-lg/9511007): who compares two words thinks of the
    meanings that they share.

    Args:
        senses: ``(N, D)`` vectors, such as of dictionary definitions.
        first: of each pair the rows of the first word's senses, at least one.
        second: of each pair the rows of the second word's.
        ratings: ``(P,)``, higher for what is more alike.

    Returns:
        From -1 to 1; 0 where the similarities or the ratings do not vary at all.

    Raises:
        DataError: lengths differ, fewer than two pairs, a word without senses, or something is not finite.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import sense_correlation
        >>> senses = np.array([[1, 0], [0, 1], [1, 1], [-1, 0]])
        >>> round(sense_correlation(senses, [[0, 1], [0], [0]], [[1], [2], [3]], np.array([9, 5, 1])), 6)
        1.0
    """
    from scipy.stats import spearmanr

    units = matrix(senses, "senses", unit=True).numpy()
    rated = np.asarray(ratings, dtype=np.float64)
    check_lengths(first=first, second=second, ratings=rated)
    if len(rated) < 2 or not np.isfinite(rated).all():
        raise DataError(f"got {len(rated)} ratings, not all finite or fewer than two; expected a number for each pair")
    empty = sum(1 for pair in zip(first, second, strict=True) for rows in pair if not len(rows))
    if empty:
        raise DataError(f"{empty:,} words have no senses; leave their pairs out")
    sides = ([np.asarray(rows, np.int64) for rows in side] for side in (first, second))
    # Words that share a sense are all as alike as can be, whatever rounding makes of a vector's cosine with itself.
    alike = np.array([(units[one] @ units[other].T).max() for one, other in zip(*sides, strict=True)]).round(6)
    if np.ptp(alike) == 0 or np.ptp(rated) == 0:
        return 0.0
    return float(spearmanr(alike, rated).statistic)
