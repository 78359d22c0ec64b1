"""Exact top-k: matrix products in tiles that stay in cache, and a threshold that lets nearly every score go by."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.search.blocks import GRAIN, Vectors, block, check_matrix, padded

Metric = Literal["cosine", "dot"]

# Scores of one tile, and the most queries that share it. A tile that stays in a core's cache is multiplied and
# scanned without a trip to memory, and with a thousand queries the maxima of its groups are fewer than the 32,768
# numbers from which torch divides the work among threads and waits for them. A device with its own memory wants work
# enough to fill it.
_TILE_ON_CPU, _QUERIES_ON_CPU = 1 << 20, 1000
_TILE_ELSEWHERE, _QUERIES_ELSEWHERE = 1 << 26, 4096

# A lone query is multiplied in the company of zeros, for its scores to be those that it has among others.
_QUERY_GRAIN = 8

# Queries whose best scores are kept while the corpus is read once.
_QUERIES_A_PASS = 65_536


@overload
def top_k(
    queries: np.ndarray,
    corpus: Vectors,
    k: int,
    *,
    metric: Metric = ...,
    exclude_self: bool = ...,
    block_rows: int = ...,
) -> tuple[np.ndarray, np.ndarray]: ...
@overload
def top_k(
    queries: Tensor,
    corpus: Vectors,
    k: int,
    *,
    metric: Metric = ...,
    exclude_self: bool = ...,
    block_rows: int = ...,
) -> tuple[Tensor, Tensor]: ...
def top_k(
    queries: Vectors,
    corpus: Vectors,
    k: int,
    *,
    metric: Metric = "cosine",
    exclude_self: bool = False,
    block_rows: int = 16_384,
) -> tuple[Vectors, Vectors]:
    """The k best rows of a corpus for each query, exactly; equal scores go to the lower index.

    No score matrix is stored. Once a query has k scores, only what exceeds the worst of them is looked at, which
    in a corpus without order is about ``k * log(N / k)`` of N scores.

    Args:
        queries: ``(Q, D)``; computed in float32.
        corpus: ``(N, D)``; may be a memory map, of which ``block_rows`` rows are in memory at a time.
        k: how many; where the corpus has fewer rows, all of them come back, sorted.
        metric: ``"cosine"`` brings both sides to length one (a row of zeros scores 0), ``"dot"`` takes them as
            they are.
        exclude_self: the queries are the corpus, and row i is no answer to query i.
        block_rows: rows of the corpus that are read, checked and normalised together.

    Returns:
        Scores ``(Q, min(k, N))`` float32, falling, and indices of the same shape, int64: tensors where the queries
        are a tensor, arrays otherwise.

    Raises:
        DataError: shapes that do not fit, numbers that are not finite, an ``exclude_self`` of two different sizes.
        SettingsError: a ``k`` or ``block_rows`` below one, an unknown metric.

    Example:
        >>> import numpy as np
        >>> from unalike.search import top_k
        >>> corpus = np.array([[1, 0], [0, 1], [1, 1], [1, 0]], dtype=np.float32)
        >>> scores, indices = top_k(corpus[:1], corpus, 3)
        >>> indices
        array([[0, 3, 2]])
        >>> scores.round(3)
        array([[1.   , 1.   , 0.707]], dtype=float32)
    """
    _check(queries, corpus, k, metric, exclude_self, block_rows)
    device = queries.device if isinstance(queries, Tensor) else torch.device("cpu")
    k = min(k, len(corpus) - exclude_self)
    unit = metric == "cosine"
    parts = []
    with torch.no_grad():
        for first in range(0, len(queries), _QUERIES_A_PASS):
            some = block(queries, first, first + _QUERIES_A_PASS, "queries", unit=unit)
            best = _Best(len(some), k, device)
            for start in range(0, len(corpus), block_rows):
                rows = block(corpus, start, start + block_rows, "corpus", unit=unit).to(device)
                _scan(some, rows, best, first, start, exclude_self)
            parts.append((best.scores, best.indices))
    scores, indices = (torch.cat(part) for part in zip(*parts, strict=True))
    return (scores, indices) if isinstance(queries, Tensor) else (scores.numpy(), indices.numpy())


def _check(queries: Vectors, corpus: Vectors, k: int, metric: str, exclude_self: bool, block_rows: int) -> None:
    check_matrix(queries, "queries")
    check_matrix(corpus, "corpus")
    if queries.shape[1] != corpus.shape[1]:
        raise DataError(
            f"queries have {queries.shape[1]} dimensions and the corpus {corpus.shape[1]}; "
            "expected vectors of one and the same space"
        )
    if exclude_self and len(queries) != len(corpus):
        raise DataError(
            f"exclude_self was asked for {len(queries)} queries and a corpus of {len(corpus)}; "
            "expected the corpus as its own queries"
        )
    if exclude_self and len(corpus) < 2:
        raise DataError("exclude_self was asked for a corpus of one row; expected at least two")
    problems = [f"{name}={value}" for name, value in (("k", k), ("block_rows", block_rows)) if value < 1]
    if metric not in ("cosine", "dot"):
        problems.append(f"metric={metric!r}")
    if problems:
        raise SettingsError(
            f"got {', '.join(problems)}; expected numbers of at least 1 and the metric 'cosine' or 'dot'"
        )


class _Best:
    """The best scores so far, falling, and where they stand: ``(Q, k)`` each."""

    def __init__(self, queries: int, k: int, device: torch.device) -> None:
        self.k = k
        self.scores = torch.full((queries, k), -torch.inf, device=device)
        self.indices = torch.zeros((queries, k), dtype=torch.int64, device=device)

    def offer(self, tile: Tensor, query: int, index: int) -> None:
        """Take in a tile of scores whose corner is this query and this index.

        The tile, ``(rows, columns)`` with columns a multiple of `GRAIN`, is read once, for the best of each group of
        columns. Everything after looks at the few groups that hold something better than what is held: small
        tensors, which torch does not hand to other threads and wait for.
        """
        scores, indices = self.scores[query : query + len(tile)], self.indices[query : query + len(tile)]
        # Group g has the columns g, g + G, g + 2G, ...: maxima of whole rows of G, several at a time.
        groups = tile.view(len(tile), GRAIN, -1)
        tops = groups.amax(dim=1)
        worst = scores[:, -1:]
        hot = tops > worst
        if int(hot.sum()) > self.k * len(tile):
            # The first tile, or a corpus sorted against us. At least k scores reach the k-th best top, so that
            # whatever is below it is out; of few groups, the k-th best score itself must say so.
            known = tops if self.k < tops.shape[1] else tile
            floor = known.topk(min(self.k, known.shape[1]), dim=1).values[:, -1:]
            worst = worst.maximum(floor.nextafter(floor.new_tensor(-torch.inf)))
            hot = tops > worst
        rows, group = hot.nonzero(as_tuple=True)
        if not len(rows):
            return
        found = groups[rows, :, group]
        hit, turn = (found > worst[rows]).nonzero(as_tuple=True)
        columns = turn * tops.shape[1] + group[hit]
        # Back in the order of the columns.
        ordered = (rows[hit] * tile.shape[1] + columns).argsort()
        touched, slot, counts = torch.unique_consecutive(rows[hit[ordered]], return_inverse=True, return_counts=True)
        place = torch.arange(len(slot), device=slot.device) - (counts.cumsum(0) - counts)[slot]
        held, origins = scores[touched], indices[touched]
        shape = (len(touched), int(counts.max()))
        new, places = held.new_full(shape, -torch.inf), origins.new_zeros(shape)
        new[slot, place] = found[hit, turn][ordered]
        places[slot, place] = columns[ordered] + index
        # All that is held came before all that is new, and the new stand in their order: a stable sort leaves the
        # lower index in front.
        held, order = torch.cat([held, new], dim=1).sort(dim=1, descending=True, stable=True)
        scores[touched] = held[:, : self.k]
        indices[touched] = torch.cat([origins, places], dim=1).gather(1, order[:, : self.k])


def _scan(queries: Tensor, rows: Tensor, best: _Best, first: int, start: int, exclude_self: bool) -> None:
    """Offer the scores of all queries with one block of the corpus, tile by tile."""
    on_cpu = queries.device.type == "cpu"
    size, most = (_TILE_ON_CPU, _QUERIES_ON_CPU) if on_cpu else (_TILE_ELSEWHERE, _QUERIES_ELSEWHERE)
    asked, held = padded(queries, _QUERY_GRAIN), padded(rows)
    height = min(most, len(asked))
    width = min(max(size // height // GRAIN * GRAIN, GRAIN), len(held))
    room = queries.new_empty(height * width)
    for left in range(0, len(rows), width):
        columns = held[left : left + width].t()
        for top in range(0, len(queries), height):
            some = asked[top : top + height]
            tile = room[: len(some) * columns.shape[1]].view(len(some), -1)
            torch.mm(some, columns, out=tile)
            tile[:, len(rows) - left :] = -torch.inf
            tile = tile[: len(queries) - top]
            # The diagonal of the whole matrix, where it crosses this tile.
            offset = first + top - start - left
            if exclude_self and -len(tile) < offset < tile.shape[1]:
                tile.diagonal(offset).fill_(-torch.inf)
            best.offer(tile, top, start + left)
