"""Clusters of vectors by k-means: plain, over cosines, of equal sizes, and with known labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unalike.errors import DataError


class Clustering(NamedTuple):
    """The cluster of each vector, int64 ``(N,)``, and the centres ``(K, D)``; of length one where cosines were used."""

    codes: Tensor
    centres: Tensor


def k_means(
    vectors: Tensor, clusters: int, *, cosine: bool = False, restarts: int = 3, seed: int | None = None
) -> Clustering:
    """K-means: scikit-learn's for squared distances; over cosines the spherical form of Dhillon and Modha (2001).

    Args:
        vectors: ``(N, D)``.
        clusters: number K of clusters, at most N.
        cosine: compare by cosine: vectors and centres are brought to length one.
        restarts: runs from other first centres (k-means++), of which the best is kept.
        seed: of the first centres; None draws from torch's current random state, which the loop seeds for every hook.

    Returns:
        Codes and centres on the vectors' device; the same bits whenever the seed is the same (CPU).

    Raises:
        DataError: the vectors are no finite matrix, or there are more clusters than vectors.

    Example:
        >>> import torch
        >>> from unalike.pairing import k_means
        >>> vectors = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 5.0]])
        >>> codes, centres = k_means(vectors, 2, cosine=True, seed=0)
        >>> bool(codes[0] == codes[1]), bool(codes[2] == codes[3]), bool(codes[0] == codes[2])
        (True, True, False)
    """
    points, state = _prepared(vectors, clusters, cosine, seed)
    if cosine:
        return _best(vectors, restarts, lambda: _lloyd(points, _spread(points, clusters, state), _nearest, True))
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    # scikit-learn's threads add their shares in the order in which they finish, which decides the last bits.
    with threadpool_limits(1, user_api="openmp"):
        model = KMeans(clusters, n_init=restarts, random_state=state).fit(points)
    return _clustering(vectors, model.labels_, model.cluster_centers_)


def balanced_k_means(
    vectors: Tensor, clusters: int, *, cosine: bool = False, restarts: int = 1, seed: int | None = None
) -> Clustering:
    """K-means whose clusters are equally large, up to one vector (Malinen and Fränti 2014).

    Each round assigns all vectors at the least cost that equal sizes allow (`scipy.optimize.linear_sum_assignment`),
    so the time of a round grows with N^3: meant for a class or a batch, up to some thousand vectors.

    Args:
        vectors: ``(N, D)``.
        clusters: number K of clusters, at most N.
        cosine: compare by cosine: vectors and centres are brought to length one.
        restarts: runs from other first centres, of which the best is kept.
        seed: of the first centres; None draws from torch's current random state.

    Raises:
        DataError: the vectors are no finite matrix, or there are more clusters than vectors.

    Example:
        >>> import torch
        >>> from unalike.pairing import balanced_k_means
        >>> balanced_k_means(torch.tensor([[0.0], [0.1], [0.2], [9.0]]), 2, seed=0).codes.bincount()
        tensor([2, 2])
    """
    points, state = _prepared(vectors, clusters, cosine, seed)
    return _best(vectors, restarts, lambda: _lloyd(points, _spread(points, clusters, state), _equal_sizes, cosine))


def clamped_k_means(
    vectors: Tensor,
    labels: Tensor,
    clusters: int,
    *,
    cosine: bool = False,
    restarts: int = 3,
    seed: int | None = None,
) -> Clustering:
    """Semi-supervised k-means: vectors with a label stay in the cluster of that number (Vaze et al. 2022,
    arXiv:2201.02609).

    Cluster c begins at the mean of class c, the clusters beyond the classes at vectors without label that lie far from
    all centres so far (k-means++).

    Args:
        vectors: ``(N, D)``.
        labels: int64 ``(N,)``, -1 where unknown, else below ``clusters``.
        clusters: number K of clusters, with those of the classes.
        cosine: compare by cosine: vectors and centres are brought to length one.
        restarts: runs from other first centres, of which the best is kept.
        seed: of the first centres; None draws from torch's current random state.

    Raises:
        DataError: the vectors are no finite matrix, there are more clusters than vectors, a label is out of range, or
            there are fewer vectors without label than clusters without class.

    Example:
        >>> import torch
        >>> from unalike.pairing import clamped_k_means
        >>> vectors = torch.tensor([[0.0], [0.2], [5.0], [5.1]])
        >>> clamped_k_means(vectors, torch.tensor([0, -1, -1, -1]), 2, seed=0).codes
        tensor([0, 0, 1, 1])
    """
    points, state = _prepared(vectors, clusters, cosine, seed)
    known = labels.detach().cpu().numpy()
    if known.shape != (len(points),) or known.max() >= clusters:
        raise DataError(
            f"labels {tuple(labels.shape)} up to {int(known.max(initial=-1))} for {len(points)} vectors in {clusters} "
            "clusters; expected one a vector, each below the number of clusters"
        )
    free = known < 0
    classes = np.unique(known[~free])
    if free.sum() < clusters - len(classes):
        raise DataError(f"{free.sum()} vectors without label for {clusters - len(classes)} clusters without class")

    def first() -> np.ndarray:
        start = np.zeros((clusters, points.shape[1]))
        for number in classes:
            start[number] = _unit(points[known == number].mean(axis=0), cosine)
        done = list(classes)
        for number in np.setdiff1d(np.arange(clusters), classes):
            far = _costs(points[free], start[done]).min(axis=1) if done else np.ones(int(free.sum()))
            chances = far / far.sum() if far.sum() > 0 else None
            start[number] = points[free][state.choice(len(far), p=chances)]
            done.append(number)
        return start

    def clamped(costs: np.ndarray) -> np.ndarray:
        return _filled(np.where(free, costs.argmin(axis=1), known), costs, free)

    return _best(vectors, restarts, lambda: _lloyd(points, first(), clamped, cosine))


Run = tuple[float, np.ndarray, np.ndarray]
"""Sum of costs, codes, centres."""


def _prepared(
    vectors: Tensor, clusters: int, cosine: bool, seed: int | None
) -> tuple[np.ndarray, np.random.RandomState]:
    if vectors.ndim != 2 or not bool(torch.isfinite(vectors).all()):
        raise DataError(f"vectors of shape {tuple(vectors.shape)}; expected a matrix of finite numbers")
    if not 1 <= clusters <= len(vectors):
        raise DataError(f"{clusters} clusters of {len(vectors)} vectors; expected 1 to {len(vectors)}")
    drawn = int(torch.randint(2**31 - 1, ())) if seed is None else seed
    points = vectors.detach().cpu().double().numpy()
    return _unit(points, cosine), np.random.RandomState(drawn)


def _unit(rows: np.ndarray, cosine: bool) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12) if cosine else rows


def _costs(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances ``(N, K)``; between unit vectors these are 2 - 2 cosine."""
    from sklearn.metrics import euclidean_distances

    return euclidean_distances(points, centres, squared=True)


def _spread(points: np.ndarray, clusters: int, state: np.random.RandomState) -> np.ndarray:
    from sklearn.cluster import kmeans_plusplus

    return kmeans_plusplus(points, clusters, random_state=state)[0]


def _lloyd(
    points: np.ndarray, centres: np.ndarray, assign: Callable[[np.ndarray], np.ndarray], cosine: bool, rounds: int = 100
) -> Run:
    """Assign and average in turn until nothing changes."""
    codes = assign(_costs(points, centres))
    for _ in range(rounds):
        sums = np.zeros_like(centres)
        np.add.at(sums, codes, points)
        counts = np.bincount(codes, minlength=len(centres))[:, None]
        centres = np.where(counts > 0, _unit(sums / np.maximum(counts, 1), cosine), centres)
        costs = _costs(points, centres)
        before, codes = codes, assign(costs)
        if np.array_equal(before, codes):
            break
    return float(costs[np.arange(len(points)), codes].sum()), codes, centres


def _nearest(costs: np.ndarray) -> np.ndarray:
    return _filled(costs.argmin(axis=1), costs, np.ones(len(costs), bool))


def _filled(codes: np.ndarray, costs: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Each empty cluster takes the free vector that lies farthest from its centre, as scikit-learn does."""
    codes = codes.copy()
    for empty in np.flatnonzero(np.bincount(codes, minlength=costs.shape[1]) == 0):
        movable = free & (np.bincount(codes, minlength=costs.shape[1])[codes] > 1)
        if movable.any():
            codes[np.where(movable, costs[np.arange(len(codes)), codes], -1.0).argmax()] = empty
    return codes


def _equal_sizes(costs: np.ndarray) -> np.ndarray:
    """The cheapest assignment in which every cluster has N // K vectors, or one more."""
    from scipy.optimize import linear_sum_assignment

    count, clusters = costs.shape
    size, more = divmod(count, clusters)
    places = np.repeat(costs, size, axis=1)
    owners = np.repeat(np.arange(clusters), size)
    if more:
        # One further place in each cluster, so dear that the regular places fill up first.
        dear = costs + count * (np.ptp(costs) + 1.0)
        places, owners = np.concatenate([places, dear], axis=1), np.concatenate([owners, np.arange(clusters)])
    return owners[linear_sum_assignment(places)[1]]


def _best(vectors: Tensor, restarts: int, run: Callable[[], Run]) -> Clustering:
    _, codes, centres = min((run() for _ in range(restarts)), key=lambda found: found[0])
    return _clustering(vectors, codes, centres)


def _clustering(vectors: Tensor, codes: np.ndarray, centres: np.ndarray) -> Clustering:
    return Clustering(
        torch.from_numpy(codes.astype(np.int64)).to(vectors.device),
        torch.from_numpy(centres).to(device=vectors.device, dtype=torch.float32),
    )
