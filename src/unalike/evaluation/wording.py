"""How a text is worded: how much of it says again what it said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from unalike.errors import DataError, SettingsError


def repetition(texts: Iterable[Sequence[Any]], n: int) -> float:
    """Share of the n-grams of a text that stood in it before (rep-n), pooled over the texts.

    Welleck et al., *Neural Text Generation with Unlikelihood Training* (2020), as Su and Collier (2023) count it:
    ``1 - |different n-grams| / |n-grams|``.

    Args:
        texts: of each text its tokens or words, anything that can be compared.
        n: length of the n-grams.

    Returns:
        0 where no text repeats an n-gram; towards 1 where it says one thing only.

    Raises:
        DataError: no text is ``n`` tokens long.
        SettingsError: ``n`` below one.

    Example:
        >>> from unalike.evaluation import repetition
        >>> repetition(["the sea the sea the sea".split()], 2)
        0.6
    """
    if n < 1:
        raise SettingsError(f"got n={n}; expected 1 or more")
    grams = different = 0
    for text in texts:
        found = [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]
        grams += len(found)
        different += len(set(found))
    if not grams:
        raise DataError(f"no text is {n} tokens long; expected one at least")
    return 1 - different / grams


def diversity(texts: Iterable[Sequence[Any]], lengths: Sequence[int] = (2, 3, 4)) -> float:
    """Product of what does not repeat over several lengths of n-grams, 1 without any repetition.

    Su et al., *A Contrastive Framework for Neural Text Generation* (2022): ``(1 - rep-2)(1 - rep-3)(1 - rep-4)``.

    Args:
        texts: of each text its tokens or words.
        lengths: of the n-grams.

    Raises:
        DataError, SettingsError: as `repetition`.

    Example:
        >>> from unalike.evaluation import diversity
        >>> diversity(["the sea is not what the sea was".split()], (1, 2))
        0.6428571428571428
    """
    held = list(texts)
    return math.prod(1 - repetition(held, n) for n in lengths)
