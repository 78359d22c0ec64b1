"""Batches of texts that leave little to padding: equal texts once, and like lengths together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unalike.errors import SettingsError
from unalike.views import Tokens

from .packed import PackedTokens
from .text import Side, TextEncoder

BUDGET = 2048
"""Tokens of a batch with its padding: enough for matrix products to run at their full rate, and few enough that what
stands between two of them stays in cache."""
FULL = 10_000_000
"""Weights, embeddings aside, of a model that is busy with so many tokens (MiniLM); a smaller one is given more."""


def budget_for(encoder: nn.Module) -> int:
    """How many tokens a batch should have, so that a call's own cost is small beside the work.

    Args:
        encoder: of texts. The smaller it is, the more tokens, up to 16 times those of a large one; so many always where
            it does not stand on the CPU.

    Example:
        >>> from unalike.encoders import NgramEncoder, budget_for
        >>> budget_for(NgramEncoder(buckets=64, width=8))
        32768
    """
    embeddings = sum(m.weight.numel() for m in encoder.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag))
    weights = sum(p.numel() for p in encoder.parameters()) - embeddings
    on_cpu = all(p.device.type == "cpu" for p in encoder.parameters())
    return BUDGET * (min(16, max(1, FULL // max(1, weights))) if on_cpu else 16)


def even_batches(
    counts: Sequence[int] | np.ndarray, *, budget: int = BUDGET, idle: int | None = None
) -> Iterator[np.ndarray]:
    """Rows in batches of like length, the longest first.

    Sorted by their number of tokens, rows are taken together until the batch with its padding would be larger than
    the budget, or hold more padding than allowed. A row that is longer than the budget is a batch of its own.

    Args:
        counts: ``(N,)``, how many tokens each row has.
        budget: most tokens of a batch, padding included.
        idle: most tokens of padding in a batch; a thirty-second of the budget unless given, since a batch more costs
            about as much.

    Yields:
        int64 row numbers; each row is in one batch.

    Raises:
        SettingsError: the budget is below one, or the padding below zero.

    Example:
        >>> from unalike.encoders import even_batches
        >>> [batch.tolist() for batch in even_batches([3, 9, 3, 8, 3], budget=20, idle=2)]
        [[1, 3], [0, 2, 4]]
    """
    idle = budget // 32 if idle is None else idle
    if budget < 1 or idle < 0:
        raise SettingsError(f"got budget={budget}, idle={idle}; expected at least one token, and padding of 0 or more")
    lengths = np.asarray(counts, np.int64)
    order = np.argsort(-lengths, kind="stable")
    start = padding = 0
    for place, length in enumerate(lengths[order].tolist()):
        longest = int(lengths[order[start]])
        padding += longest - length
        if place > start and ((place + 1 - start) * longest > budget or padding > idle):
            yield order[start:place]
            start, padding = place, 0
    if len(order):
        yield order[start:]


def threads_for(encoder: nn.Module) -> int:
    """How many batches an encoder can compute at once: one for each thread of torch, where it stands on the CPU.

    A batch of texts is too small to be worth sharing: two threads that take turns at its matrices wait for one another
    at every layer. Processes of a group compute one batch together, so that they go through them one by one.
    """
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    on_cpu = all(parameter.device.type == "cpu" for parameter in encoder.parameters())
    return torch.get_num_threads() if on_cpu and not together else 1


@contextlib.contextmanager
def at_once(threads: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A ``map`` whose calls run at once, in so many threads that each compute on one core; results come in order."""
    if threads < 2:
        yield map
        return
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # part of what each thread set holds for all


def embed_tokens(
    packed: PackedTokens,
    embed: Callable[[Tokens], Tensor],
    rows: np.ndarray | None = None,
    *,
    budget: int = BUDGET,
    threads: int = 1,
) -> np.ndarray:
    """Vectors of prepared texts, in their order; equal texts are computed once, and padding is left out.

    Args:
        packed: the texts, as their encoder prepared them.
        embed: vectors ``(B, D)`` of a batch of tokens, without what is drawn at random; of several batches at once if
            there are several threads.
        rows: which rows, all unless given.
        budget: most tokens of a batch; see `even_batches`.
        threads: batches that are computed at once; see `threads_for`.

    Returns:
        float32 ``(N, D)``; of the shape (0, 0) where there is no row.
    """
    rows = np.arange(len(packed)) if rows is None else np.asarray(rows, np.int64)
    if not len(rows):
        return np.zeros((0, 0), np.float32)
    distinct: dict[bytes, int] = {}
    begins, counts = packed.offsets[:-1], packed.counts
    spans = zip(begins[rows].tolist(), (begins[rows] + counts[rows]).tolist(), strict=True)
    which = np.array([distinct.setdefault(packed.values[a:b].tobytes(), len(distinct)) for a, b in spans])
    firsts = rows[np.unique(which, return_index=True)[1]]

    @torch.no_grad()
    def embedded(batch: np.ndarray) -> np.ndarray:
        return embed(packed.take(firsts[batch], most=packed.reads)).float().cpu().numpy()

    batches = list(even_batches(counts[firsts], budget=budget))
    with at_once(min(threads, len(batches))) as mapped:
        found = list(mapped(embedded, batches))
    vectors = np.empty((len(firsts), found[0].shape[1]), np.float32)
    for batch, part in zip(batches, found, strict=True):
        vectors[batch] = part
    return vectors if len(firsts) == len(rows) else vectors[which]


def embed_texts(encoder: TextEncoder, texts: Sequence[str], *, side: Side | None = None) -> np.ndarray:
    """Vectors float32 ``(N, width)`` of texts, without dropout, at the least cost; see `embed_tokens`.

    Args:
        encoder: of texts.
        texts: what to embed, in any order and of any length.
        side: as in `TextEncoder.prepare`.

    Example:
        >>> from unalike.encoders import NgramEncoder, embed_texts
        >>> embed_texts(NgramEncoder(buckets=64, width=8), ["a red bicycle", "a car", "a car"]).shape
        (3, 8)
    """
    from unalike.data import TextColumn

    if not len(texts):
        return np.zeros((0, encoder.width), np.float32)
    device = next(encoder.parameters()).device
    training = encoder.training
    encoder.eval()
    try:
        packed = encoder.prepare(TextColumn(list(texts)), side=side)
        return embed_tokens(
            packed,
            lambda tokens: encoder(tokens.to(device)).vector,
            budget=budget_for(encoder),
            threads=threads_for(encoder),
        )
    finally:
        encoder.train(training)
