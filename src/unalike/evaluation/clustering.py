"""Clustering: do the groups that k-means finds match the classes?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import Labels, check_lengths, label_codes, matrix
from unalike.search.blocks import Vectors

# Rows from which k-means reads batches instead of everything in each round.
_MANY = 20_000


@dataclass(frozen=True)
class Agreement:
    """How well a clustering matches classes.

    nmi: normalised mutual information, arithmetic mean; ari: Rand index adjusted for chance; accuracy: share of rows
    in the right class when clusters are matched to classes one to one, as well as can be.
    """

    nmi: float
    ari: float
    accuracy: float


def cluster(vectors: Vectors, clusters: int, *, seed: int = 0) -> np.ndarray:
    """k-means on unit vectors, from several k-means++ starts; in batches where there are more than 20,000 rows.

    Args:
        vectors: ``(N, D)``.
        clusters: how many; not more than rows.
        seed: of the starts.

    Returns:
        ``(N,)`` int64, the cluster of each row.

    Raises:
        DataError: vectors are not finite.
        SettingsError: fewer than one cluster, or more than rows.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import cluster
        >>> found = cluster(np.array([[1, 0], [0.9, 0.1], [0, 1]]), 2)
        >>> bool(found[0] == found[1] != found[2])
        True
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    unit = matrix(vectors, "vectors", unit=True).numpy()
    if not 1 <= clusters <= len(unit):
        raise SettingsError(f"got {clusters} clusters for {len(unit)} rows; expected 1 to {len(unit)}")
    if len(unit) > _MANY:
        model = MiniBatchKMeans(clusters, n_init=3, batch_size=4096, random_state=seed)
    else:
        model = KMeans(clusters, n_init=3, random_state=seed)
    with warnings.catch_warnings():
        # Fewer distinct points than clusters: what collapsed vectors give, and the agreement shows it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit_predict(unit).astype(np.int64)


def agreement(clusters: np.ndarray, labels: Labels) -> Agreement:
    """NMI, ARI and Hungarian accuracy of a clustering.

    Args:
        clusters: ``(N,)`` the cluster of each row.
        labels: ``(N,)`` a class for each; rows without one are left out.

    Raises:
        DataError: lengths differ, or no row has a label.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import agreement
        >>> agreement(np.array([1, 1, 0, 0]), ["sun", "sun", "sea", "sea"])
        Agreement(nmi=1.0, ari=1.0, accuracy=1.0)
    """
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    (codes,) = label_codes(labels)
    check_lengths(clusters=clusters, labels=codes)
    known = codes >= 0
    if not known.any():
        raise DataError("no row has a label; expected at least one to compare with")
    codes, clusters = codes[known], np.asarray(clusters)[known]
    table = contingency_matrix(codes, clusters)
    matched = table[linear_sum_assignment(table, maximize=True)].sum()
    return Agreement(
        float(normalized_mutual_info_score(codes, clusters)),
        float(adjusted_rand_score(codes, clusters)),
        float(matched / len(codes)),
    )


def chance_agreement(
    clusters: np.ndarray, labels: Labels, *, draws: int = 10, rng: np.random.Generator | None = None
) -> Agreement:
    """What clusters of these sizes agree by chance: the mean over random orders of the labels.

    NMI and matched accuracy are above zero by chance, the more so the more clusters there are.

    Args:
        clusters: ``(N,)`` the cluster of each row.
        labels: ``(N,)`` a class for each.
        draws: orders that are tried.
        rng: draws them; without it always the same ones.

    Raises:
        DataError: as `agreement`.
        SettingsError: ``draws`` below one.
    """
    if draws < 1:
        raise SettingsError(f"got draws={draws}; expected at least 1")
    rng = np.random.default_rng(0) if rng is None else rng
    (codes,) = label_codes(labels)
    check_lengths(clusters=clusters, labels=codes)
    known = codes >= 0
    tried = [agreement(clusters[known], rng.permutation(codes[known])) for _ in range(draws)]
    nmi, ari, accuracy = np.mean([(one.nmi, one.ari, one.accuracy) for one in tried], axis=0)
    return Agreement(float(nmi), float(ari), float(accuracy))


def agreement_within(clusters: np.ndarray, labels: Labels, classes: Labels) -> float:
    """How well clusters match finer labels inside each class: adjusted mutual information, mean over the rows.

    Adjusted for what clusters of these sizes give by chance, so that many small ones gain nothing; what clusters tell
    of the classes themselves does not count. Rows of a class that is one cluster are left out.

    Paper: Vinh, Epps, Bailey, "Information Theoretic Measures for Clusterings Comparison", JMLR 2010 (AMI, arithmetic
    mean).

    Args:
        clusters: ``(N,)`` the cluster of each row.
        labels: ``(N,)`` the finer label of each; rows without one are left out.
        classes: ``(N,)`` the class of each; rows without one are left out.

    Returns:
        1 where every class's clusters are its finer labels, about 0 by chance.

    Raises:
        DataError: lengths differ, or no class has two clusters.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import agreement_within
        >>> coast = ["sea", "sea", "sand", "sand", "oak", "oak"]
        >>> agreement_within(np.array([0, 0, 1, 1, 2, 2]), coast, ["beach"] * 4 + ["wood"] * 2)
        1.0
    """
    from sklearn.metrics import adjusted_mutual_info_score

    (fine,), (coarse,) = label_codes(labels), label_codes(classes)
    check_lengths(clusters=clusters, labels=fine, classes=coarse)
    found, weights = [], []
    for number in np.unique(coarse[coarse >= 0]):
        rows = (coarse == number) & (fine >= 0)
        if len(np.unique(clusters[rows])) > 1:
            found.append(adjusted_mutual_info_score(fine[rows], clusters[rows]))
            weights.append(rows.sum())
    if not found:
        raise DataError("no class has two clusters; expected at least one to look into")
    return float(np.average(found, weights=weights))
