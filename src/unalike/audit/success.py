"""How well an attack works: what triggered pictures are taken for, and how far a trigger moves them."""

from __future__ import annotations

import numpy as np

from unalike.errors import DataError


def attack_success(answers: np.ndarray, truth: np.ndarray, target: int) -> float:
    """Attack success rate: share of triggered pictures of *other* classes that are taken for the target.

    Args:
        answers: ``(N,)`` the class that a model gives each triggered picture.
        truth: ``(N,)`` its class; rows of the target class, and of -1 (unknown), do not count.
        target: the class that the trigger stands for.

    Raises:
        DataError: lengths differ, or no row is left.

    Example:
        >>> import numpy as np
        >>> from unalike.audit import attack_success
        >>> attack_success(np.array([2, 2, 0, 2]), np.array([0, 1, 1, 2]), target=2)  # the last is no success
        0.6666666666666666
    """
    answers, truth = np.asarray(answers), np.asarray(truth)
    if answers.shape != truth.shape or answers.ndim != 1:
        raise DataError(f"got answers {answers.shape} and classes {truth.shape}; expected one of each a row")
    others = (truth >= 0) & (truth != target)
    if not others.any():
        raise DataError(f"every row is of the target class {target} or of none; an attack is counted on other classes")
    return float((answers[others] == target).mean())


def changed_answers(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the rows whose answer is another after a change of the picture.

    Raises:
        DataError: lengths differ, or there are none.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape or not before.size:
        raise DataError(
            f"got {before.shape} answers before and {after.shape} after; expected as many, and one at least"
        )
    return float((before != after).mean())


def best_target(before: np.ndarray, after: np.ndarray) -> tuple[int, float]:
    """The answer that a trigger serves best, and its attack success: what an attacker could have meant by it.

    For every answer the share of rows that were not given it before and are after; the answer of the largest share. A
    trigger that a model has learned draws answers to one place; a change that merely disturbs scatters them. Where no
    answer changed it is -1, and the share 0.

    Args:
        before, after: int ``(N,)`` the answers to the rows without the trigger, and with it.

    Raises:
        DataError: lengths differ, or there are none.

    Example:
        >>> import numpy as np
        >>> from unalike.audit import best_target
        >>> best_target(np.array([0, 1, 2, 5]), np.array([5, 5, 2, 5]))
        (5, 0.6666666666666666)
    """
    before, after = np.asarray(before), np.asarray(after)
    moved = after[before != after] if changed_answers(before, after) else after[:0]
    found = -1, 0.0
    for answer in np.unique(moved).tolist():
        # Where every row had the answer before, none of them was moved to it.
        success = float((moved == answer).sum() / (before != answer).sum())
        found = max(found, (answer, success), key=lambda each: each[1])
    return found


def trigger_shift(clean: np.ndarray, triggered: np.ndarray) -> float:
    """Mean distance of a picture's unit vector from that of its triggered copy: 0 for a model that does not see it.

    Args:
        clean, triggered: ``(N, D)`` unit vectors, row by row of the same pictures.

    Raises:
        DataError: shapes differ.
    """
    clean, triggered = np.asarray(clean), np.asarray(triggered)
    if clean.shape != triggered.shape or clean.ndim != 2 or not len(clean):
        raise DataError(f"got vectors {clean.shape} and {triggered.shape}; expected two matrices of the same shape")
    return float(np.linalg.norm(clean - triggered, axis=1).mean())
