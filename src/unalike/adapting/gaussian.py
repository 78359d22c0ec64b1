"""Gaussian discriminant analysis with one covariance for all classes, from few samples."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError


def class_means(samples: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean ``(C, D)`` of each class's samples.

    Args:
        samples: ``(N, D)``.
        labels: ``(N,)`` integers from 0 on.
        classes: how many there are.

    Raises:
        DataError: a class has no sample.

    Example:
        >>> class_means(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1]), 2).tolist()
        [[1.0], [5.0]]
    """
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        raise DataError(f"class {int(counts.argmin())} of {classes} has no sample; expected one of each at least")
    sums = np.zeros((classes, samples.shape[1]))
    np.add.at(sums, labels, samples)
    return sums / counts[:, None]


def shrunk_precision(centred: np.ndarray) -> np.ndarray:
    """The inverse covariance ``(D, D)``, shrunk so that fewer samples than dimensions do.

    The empirical Bayes estimate ``D * inverse((N - 1) * S + trace(S) * I)`` of Kubokawa and Srivastava, *Estimation
    of the precision matrix of a singular Wishart distribution and its application in high-dimensional data* (2008),
    with the covariance ``S`` of the samples.

    Args:
        centred: ``(N, D)`` samples, each without the mean of its class; N at least 2.

    Raises:
        DataError: fewer than two samples, or all of them are zero: no spread to estimate.

    Example:
        >>> shrunk_precision(np.array([[1.0, 0.0], [-1.0, 0.0]])).tolist()
        [[0.5, 0.0], [0.0, 1.0]]
    """
    count, width = centred.shape
    if count < 2 or not centred.any():
        raise DataError(f"got {count} samples without any spread; expected two or more that differ")
    covariance = np.cov(centred.T).reshape(width, width)
    return width * np.linalg.inv((count - 1) * covariance + np.trace(covariance) * np.eye(width))


def isotropic_precision(samples: np.ndarray) -> np.ndarray:
    """What `shrunk_precision` gives for samples that spread alike in all directions, as far as these do on average.

    For classes of one sample each, which show no spread within a class: the rule is then that of the nearest mean.

    Args:
        samples: ``(N, D)``, N at least 2.

    Raises:
        DataError: fewer than two samples, or all are equal.

    Example:
        >>> isotropic_precision(np.array([[1.0, 0.0], [-1.0, 0.0]])).round(3).tolist()
        [[0.667, 0.0], [0.0, 0.667]]
    """
    count, width = samples.shape
    spread = float(samples.var(axis=0, ddof=1).mean()) if count > 1 else 0.0
    if spread == 0:
        raise DataError(f"got {count} samples without any spread; expected two or more that differ")
    return width / ((count - 1 + width) * spread) * np.eye(width)


def gaussian_rule(means: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(C, D)`` and bias ``(C,)`` of the linear rule of equally likely Gaussian classes.

    ``samples @ weights.T + bias`` are the log posteriors, up to a number for each sample.

    Args:
        means: ``(C, D)``.
        precision: ``(D, D)``, the same for all classes.

    Example:
        >>> weights, bias = gaussian_rule(np.array([[1.0], [3.0]]), np.array([[2.0]]))
        >>> (np.array([[1.9], [2.1]]) @ weights.T + bias).argmax(1).tolist()
        [0, 1]
    """
    weights = means @ precision
    return weights, -np.log(len(means)) - (weights * means).sum(1) / 2
