"""What was made of columns, kept as long as these live: the trials of a claim read the same ones."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from unalike.data import Column

Made = TypeVar("Made")


class ByColumn(Generic[Made]):
    """A memo that keeps no column alive.

    Example:
        >>> from unalike.data import TextColumn
        >>> from unalike.encoders.memo import ByColumn
        >>> column, memo = TextColumn(["a", "b"]), ByColumn()
        >>> memo.get(column, "size", lambda: len(column)), memo.get(column, "size", lambda: 0)
        (2, 2)
    """

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Column, dict[Hashable, Made]] = weakref.WeakKeyDictionary()

    def get(self, column: Column, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made of a column under a key; made now if nothing was."""
        known = self._known.setdefault(column, {})
        if key not in known:
            known[key] = make()
        return known[key]
