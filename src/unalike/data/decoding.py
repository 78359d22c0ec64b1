"""Whole columns of pictures decoded by threads, in order and with a bounded number in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from PIL import Image

from unalike.data.columns import ImageColumn
from unalike.data.images import Failure, Header, decode
from unalike.errors import DataError


def iter_decoded(
    column: ImageColumn,
    *,
    shortest: int | None = None,
    then: Callable[[Image.Image], Any] | None = None,
    workers: int = 2,
) -> Iterator[tuple[int, Any]]:
    """Decode every picture of a column once, in order, with threads and a bounded number in memory.

    This is the pass that finds pictures whose header is sound and whose body is not. Whoever packs a column for an
    encoder runs through it, keeps what came, and hands the failures to `skip_unreadable`.

    Args:
        column: the pictures; its ``max_pixels`` holds.
        shortest: as in `decode`.
        then: applied to each picture in the thread that decoded it, such as a resize.
        workers: threads. At most twice as many whole pictures are held at a time, and of what ``then`` made of
            pictures 32 times as many.

    Yields:
        ``(index, picture)``, where picture is an RGB PIL picture or what ``then`` made of it, a `Failure` where it
        cannot be read, None where the column has no entry.

    Example:
        >>> import numpy as np
        >>> from unalike.data import ImageColumn
        >>> column = ImageColumn([np.zeros((4, 6), np.uint8), b"no picture", None])
        >>> [type(picture).__name__ for _, picture in iter_decoded(column)]
        ['Image', 'Failure', 'NoneType']
    """

    def one(index: int) -> Any:
        source = column.source(index)
        if source is None:
            return None
        try:
            picture = decode(source, max_pixels=column.max_pixels, shortest=shortest)
        except DataError as error:
            return Failure(str(error))
        return picture if then is None else then(picture)

    yield from _in_order(one, len(column), workers, 1 if then is None else _CHUNK)


def iter_headers(column: ImageColumn, *, workers: int = 2) -> Iterator[tuple[int, Header | Failure | None]]:
    """The headers of a column's pictures, in order: blind to damage behind them. Their digests are kept on the way."""

    def one(index: int) -> Header | Failure | None:
        try:
            return column.header(index)
        except DataError as error:
            return Failure(str(error))

    yield from _in_order(one, len(column), workers, _CHUNK)


def _in_order(one: Callable[[int], Any], count: int, workers: int, chunk: int) -> Iterator[tuple[int, Any]]:
    """``(index, one(index))`` for each index in order, computed by threads, ``2 * workers`` chunks at a time."""

    def several(start: int) -> list[tuple[int, Any]]:
        return [(index, one(index)) for index in range(start, min(start + chunk, count))]

    waiting: deque[Future[list[tuple[int, Any]]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for start in range(0, count, chunk):
                waiting.append(pool.submit(several, start))
                if len(waiting) >= 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


_CHUNK = 16  # pictures for one task of a thread: handing over a single small one costs a third of decoding it
