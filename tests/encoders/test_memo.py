"""What was made of a column is made once, for as long as the column lives."""

from __future__ import annotations

import gc
import weakref

from unalike.data import TextColumn
from unalike.encoders.memo import ByColumn


def test_each_column_and_key_is_made_once_and_kept_no_longer_than_its_column() -> None:
    memo: ByColumn[list[str]] = ByColumn()
    made: list[object] = []

    def make(name: str) -> list[str]:
        made.append(name)
        return [name]

    one, other = TextColumn(["a"]), TextColumn(["a"])
    first = memo.get(one, 1, lambda: make("one"))
    assert memo.get(one, 1, lambda: make("again")) is first
    assert memo.get(one, 2, lambda: make("two")) == ["two"]
    assert memo.get(other, 1, lambda: make("other")) == ["other"], "equal columns are two"
    assert made == ["one", "two", "other"]
    gone = weakref.ref(one)
    del one, first
    gc.collect()
    assert gone() is None
