"""Zero-shot classification: a row gets the class whose name or prompt is most like it."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError, SettingsError
from unalike.evaluation.inputs import Labels, check_lengths, label_codes, matrix
from unalike.search import top_k
from unalike.search.blocks import Vectors


def class_vectors(prompts: Vectors, classes: Labels) -> np.ndarray:
    """One vector for each class: the mean of its prompts' unit vectors, of unit length again.

    Radford et al., *Learning Transferable Visual Models From Natural Language Supervision* (2021), section 3.1.4.

    Args:
        prompts: ``(P, D)`` vectors of prompts or names.
        classes: ``(P,)`` the class of each, as integers from 0 on; every class up to the largest has one.

    Returns:
        ``(C, D)`` float32.

    Raises:
        DataError: lengths differ, vectors are not finite, or a class has no prompt.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import class_vectors
        >>> class_vectors(np.array([[1.0, 0], [0, 1], [0, 3]]), [0, 0, 1]).round(2).tolist()
        [[0.7099999785423279, 0.7099999785423279], [0.0, 1.0]]
    """
    unit = matrix(prompts, "prompts", unit=True).numpy()
    (codes,) = label_codes(classes)
    check_lengths(prompts=unit, prompt_classes=codes)
    missing = sorted(set(range(int(codes.max()) + 1)) - set(codes.tolist()))
    if codes.min() < 0 or missing:
        raise DataError(f"got prompts without a class, or none for the classes {missing}; expected one at least")
    sums = np.zeros((int(codes.max()) + 1, unit.shape[1]), dtype=np.float64)
    np.add.at(sums, codes, unit)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.maximum(lengths, 1e-12)).astype(np.float32)


def zero_shot_correct(vectors: Vectors, classes: Vectors, labels: Labels, *, top: int = 1) -> np.ndarray:
    """1 for each labelled row whose class is among the ``top`` most like it, else 0.

    Args:
        vectors: ``(N, D)``.
        classes: ``(C, D)``, a vector for each class, from `class_vectors`.
        labels: ``(N,)`` the class of each row as its place in ``classes``; rows with -1 or None are not scored.
        top: how many guesses a row has.

    Returns:
        A value for each row with a label.

    Raises:
        DataError: lengths differ, vectors are not finite, no row has a label, or a label has no class vector.
        SettingsError: ``top`` below one.
    """
    if top < 1:
        raise SettingsError(f"got top={top}; expected at least 1")
    (codes,) = label_codes(labels)
    rows = matrix(vectors, "vectors").numpy()
    check_lengths(vectors=rows, labels=codes)
    known = codes >= 0
    if not known.any():
        raise DataError("no row has a label; expected at least one to score")
    if codes.max() >= len(classes):
        raise DataError(f"got the label {codes.max()} and {len(classes)} class vectors; expected one for each label")
    guesses = top_k(rows[known], classes, top)[1]
    return (guesses == codes[known][:, None]).any(axis=1).astype(np.float64)


def zero_shot(vectors: Vectors, classes: Vectors, labels: Labels, *, top: int = 1) -> float:
    """Share of labelled rows whose class is among the ``top`` most like it; see `zero_shot_correct`.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import zero_shot
        >>> zero_shot(np.array([[0.9, 0.1], [0.2, 0.8]]), np.eye(2), [0, 0])
        0.5
    """
    return float(zero_shot_correct(vectors, classes, labels, top=top).mean())
