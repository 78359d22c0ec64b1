"""Sums across modalities: a picture, less one word and plus another, asks for the picture that was changed so."""

from __future__ import annotations

import numpy as np
import torch

from unalike.errors import DataError
from unalike.evaluation.inputs import check_lengths, matrix
from unalike.search.blocks import Vectors


def changed_by_words(
    pictures: Vectors,
    sources: np.ndarray,
    targets: np.ndarray,
    removed: Vectors,
    added: Vectors,
    *,
    strength: float = 1.0,
) -> np.ndarray:
    """For each change whether ``picture + strength * (added - removed)`` finds the picture of the target first.

    The picture that was changed is no answer: an equation that changes nothing would find it.

    Couairon et al., *Embedding Arithmetic of Multimodal Queries for Image Retrieval* (2022).

    Args:
        pictures: ``(N, D)``, all that can be found.
        sources: int ``(Q,)``, the pictures that are changed.
        targets: int ``(Q,)``, the pictures that should be found.
        removed: ``(Q, D)`` or ``(1, D)``, texts of what is taken away.
        added: ``(Q, D)`` or ``(1, D)``, texts of what comes instead.
        strength: of the change; 1 in the plain equation.

    Returns:
        Bool ``(Q,)``; of a tie the lower row counts as found.

    Raises:
        DataError: lengths or widths do not fit, rows are out of range, or a source is its own target.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import changed_by_words
        >>> queen, king, cook = [1.0, 1, 0], [1.0, -1, 0], [0.0, 0, 1]
        >>> words = np.array([[0.0, 1, 0], [0, -1, 0]])
        >>> changed_by_words(np.array([queen, king, cook]), np.array([0]), np.array([1]), words[:1], words[1:])
        array([ True])
    """
    held = matrix(pictures, "pictures", unit=True)
    less, more = matrix(removed, "removed", unit=True), matrix(added, "added", unit=True)
    start, goal = (np.asarray(rows, np.int64) for rows in (sources, targets))
    check_lengths(sources=start, targets=goal)
    widths = {held.shape[1], less.shape[1], more.shape[1]}
    if len(widths) > 1 or not {len(less), len(more)} <= {1, len(start)}:
        raise DataError(
            f"got pictures {tuple(held.shape)}, removed {tuple(less.shape)}, added {tuple(more.shape)} for "
            f"{len(start)} changes; expected one width, and one text for all changes or one for each"
        )
    both = np.concatenate([start, goal])
    if not len(start) or both.min() < 0 or both.max() >= len(held) or (start == goal).any():
        given = list(zip(start.tolist(), goal.tolist(), strict=True))[:5]
        raise DataError(f"got changes {given}; expected from one of {len(held)} pictures to another")
    scores = (held[start] + strength * (more - less)) @ held.T
    scores[torch.arange(len(start)), torch.from_numpy(start)] = -torch.inf
    return scores.argmax(dim=1).numpy() == goal
