"""Class probabilities of new rows from labelled ones: the shares of their neighbours' votes."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError
from unalike.evaluation.inputs import check_lengths, matrix
from unalike.search import top_k
from unalike.search.blocks import Vectors


def knn_shares(
    train: Vectors, codes: np.ndarray, test: Vectors, *, classes: int, k: int = 20, temperature: float = 0.07
) -> np.ndarray:
    """Of the votes that `knn_predict` counts the share that each class got.

    Args:
        train: ``(N, D)``.
        codes: int64 ``(N,)``, a class for each, all known.
        test: ``(Q, D)``.
        classes: how many there are.
        k: voters; as many as there are where k is more.
        temperature: a vote weighs ``exp(cosine / temperature)``.

    Returns:
        float64 ``(Q, classes)`` whose rows sum to one.

    Raises:
        DataError: lengths differ, vectors are not finite, or a code names no class.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import knn_shares
        >>> train = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
        >>> knn_shares(train, np.array([0, 0, 1]), np.array([[1, 0.2]], dtype=np.float32), classes=2, k=2)
        array([[1., 0.]])
    """
    check_lengths(training_vectors=train, training_labels=codes)
    if not len(codes) or not 0 <= codes.min() <= codes.max() < classes:
        raise DataError(f"{len(codes)} training rows with codes that are not all in [0, {classes}); expected one each")
    similarity, nearest = top_k(matrix(test, "test").numpy(), matrix(train, "train").numpy(), k)
    votes = np.exp((similarity.astype(np.float64) - similarity[:, :1]) / temperature)
    shares = np.zeros((len(votes), classes))
    np.add.at(shares, (np.arange(len(votes))[:, None], codes[nearest]), votes)
    return shares / shares.sum(axis=1, keepdims=True)
