"""The kNN probe: a row gets the class of what is most like it."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import Labels, check_lengths, label_codes, matrix
from unalike.search import top_k
from unalike.search.blocks import Vectors

# Votes that are counted together: queries times classes.
_VOTES_AT_ONCE = 4_000_000


def knn_predict(
    train: Vectors,
    train_labels: Labels,
    test: Vectors | None = None,
    *,
    k: int = 20,
    temperature: float | None = 0.07,
) -> np.ndarray:
    """The class that the k nearest training rows vote for, by cosine.

    The weighted form is the protocol of Wu et al., *Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination* (2018), which SimCLR's successors and DINO kept.

    Args:
        train: ``(N, D)``.
        train_labels: a class for each; rows without one (-1 or None) have no vote.
        test: ``(Q, D)``; without it each labelled training row is asked in turn, leaving itself out.
        k: voters; as many as there are where k is more.
        temperature: a vote weighs ``exp(cosine / temperature)``; None gives each one vote. Of classes with equal
            votes the lowest code wins.

    Returns:
        ``(Q,)`` int64 codes: the integers given, or places in the column's table of names. Without ``test``, -1
        where a row has no label.

    Raises:
        DataError: lengths differ, vectors are not finite, or too few training rows have a label.
        SettingsError: ``k`` below one or a temperature that is not above zero.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import knn_predict
        >>> train = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
        >>> knn_predict(train, [3, 3, 7], np.array([[1, 0.2], [0.1, 1]], dtype=np.float32), k=2)
        array([3, 7])
    """
    if k < 1 or (temperature is not None and not temperature > 0):
        raise SettingsError(f"got k={k}, temperature={temperature}; expected k >= 1 and a temperature above 0")
    (codes,) = label_codes(train_labels)
    check_lengths(training_vectors=train, training_labels=codes)
    known = codes >= 0
    least = 2 if test is None else 1
    if known.sum() < least:
        raise DataError(f"{known.sum()} training rows have a label; expected at least {least} to learn from")
    voters = matrix(train, "train").numpy()[known]
    asked = voters if test is None else matrix(test, "test").numpy()
    similarity, nearest = top_k(asked, voters, k, exclude_self=test is None)
    if temperature is None:
        weights = np.ones(similarity.shape)
    else:
        # Relative to the best, so that a small temperature cannot overflow.
        weights = np.exp((similarity.astype(np.float64) - similarity[:, :1]) / temperature)
    classes, places = np.unique(codes[known], return_inverse=True)
    winners = np.empty(len(asked), dtype=np.int64)
    strip = max(1, _VOTES_AT_ONCE // len(classes))
    for start in range(0, len(asked), strip):
        rows = slice(start, start + strip)
        voted = places[nearest[rows]]
        cells = np.arange(len(voted))[:, None] * len(classes) + voted
        votes = np.bincount(cells.ravel(), weights[rows].ravel(), minlength=len(voted) * len(classes))
        winners[rows] = votes.reshape(len(voted), len(classes)).argmax(axis=1)
    predicted = classes[winners]
    if test is not None:
        return predicted
    everywhere = np.full(len(codes), -1)
    everywhere[known] = predicted
    return everywhere


def knn_accuracy(
    train: Vectors,
    train_labels: Labels,
    test: Vectors | None = None,
    test_labels: Labels | None = None,
    *,
    k: int = 20,
    temperature: float | None = 0.07,
) -> float:
    """Share of test rows that `knn_predict` gives their own class.

    Args:
        train: ``(N, D)``.
        train_labels: a class for each.
        test: ``(Q, D)``; without it and its labels, each training row is asked in turn, leaving itself out.
        test_labels: a class for each; rows without one are not scored. A class that no training row has is wrong.
        k: voters.
        temperature: of the weighted vote; None gives each voter one vote.

    Raises:
        DataError, SettingsError: as `knn_predict`; and no test row has a label.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import knn_accuracy
        >>> vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], dtype=np.float32)
        >>> knn_accuracy(vectors, ["sun", "sun", "sea", "sea"], k=1)
        1.0
    """
    if (test is None) != (test_labels is None):
        raise DataError("got test vectors without labels or the reverse; expected both or neither")
    learnt, truth = label_codes(train_labels, train_labels if test_labels is None else test_labels)
    predicted = knn_predict(train, learnt, test, k=k, temperature=temperature)
    return accuracy(predicted, truth)


def accuracy(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Share of rows with a known class (not -1) that are predicted right.

    Raises:
        DataError: lengths differ, or no row has a known class.
    """
    return float(correct(predicted, truth).mean())


def correct(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """1.0 or 0.0 for each row with a known class (not -1): the items that `accuracy` is the mean of.

    Raises:
        DataError: lengths differ, or no row has a known class.
    """
    check_lengths(predictions=predicted, test_labels=truth)
    known = truth >= 0
    if not known.any():
        raise DataError("no test row has a label; expected at least one to score")
    return (predicted[known] == truth[known]).astype(np.float64)
