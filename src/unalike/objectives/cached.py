"""Gradient caching: an encoder sees a batch larger than its activations would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from unalike.errors import DataError, SettingsError

Batch = TypeVar("Batch")


def cached(encode: Callable[[Any], Tensor], batch: Any, *, chunk: int) -> Tensor:
    """Embed a batch in chunks and keep no activations: the backward pass encodes each chunk again.

    The embeddings, and with them any loss, are those of the whole batch; so are the gradients, to rounding. With a loss
    whose memory grows with the batch only (all of this package's over `score_sums`), the batch may be as large as its
    embeddings fit. Dropout draws the same masks both times.

    Papers: Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", arXiv:2101.06983;
    done here by checkpointing each chunk, which needs no second loop over the loss.

    Args:
        encode: from a part of the batch to vectors ``(R, D)``; a module or a function.
        batch: a tensor ``(B, ...)``, or a mapping, sequence or dataclass of such.
        chunk: rows encoded at once.

    Returns:
        ``(B, D)``.

    Raises:
        DataError: the batch has no rows, or parts of different lengths. SettingsError: a chunk below one row.

    Data: any batch. Batch normalisation takes its statistics from each chunk, so it sees smaller batches than without
        chunks; its running averages are moved once and not again by the second pass.
    Cost: one more forward pass of the encoder; memory of activations for ``chunk`` rows instead of ``B``.

    Example:
        >>> import torch
        >>> from unalike.objectives import cached, nt_xent
        >>> encoder = torch.nn.Linear(4, 3)
        >>> cached(encoder, torch.ones(10, 4), chunk=4).shape
        torch.Size([10, 3])
    """
    if chunk < 1:
        raise SettingsError(f"chunk={chunk}; expected at least one row")
    length = _length(batch)
    if not torch.is_grad_enabled() or length <= chunk:
        return torch.cat([encode(part) for part in _parts(batch, length, chunk)])
    contexts = _contexts(encode)
    pieces = [
        checkpoint(encode, part, use_reentrant=False, context_fn=contexts) for part in _parts(batch, length, chunk)
    ]
    return torch.cat(pieces)


def _contexts(encode: Callable[[Any], Tensor]) -> Callable[[], tuple[AbstractContextManager, AbstractContextManager]]:
    """Contexts of the first and of the second pass."""
    normalisers = [m for m in encode.modules() if isinstance(m, _BatchNorm)] if isinstance(encode, nn.Module) else []

    @contextmanager
    def still() -> Iterator[None]:
        saved = [(m, m.momentum, m.num_batches_tracked) for m in normalisers]
        for m in normalisers:
            m.momentum = 0.0
            m.num_batches_tracked = None if m.num_batches_tracked is None else m.num_batches_tracked.clone()
        try:
            yield
        finally:
            for m, momentum, count in saved:
                m.momentum, m.num_batches_tracked = momentum, count

    return lambda: (nullcontext(), still())


def _leaves(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, Mapping):
        return [leaf for part in batch.values() for leaf in _leaves(part)]
    if is_dataclass(batch):
        return [leaf for f in fields(batch) for leaf in _leaves(getattr(batch, f.name))]
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return [leaf for part in batch for leaf in _leaves(part)]
    return []


def _length(batch: Any) -> int:
    lengths = {leaf.shape[0] for leaf in _leaves(batch) if leaf.ndim}
    if len(lengths) != 1 or 0 in lengths:
        raise DataError(f"the batch has parts of lengths {sorted(lengths)}; expected one length of at least 1")
    return lengths.pop()


def _parts(batch: Batch, length: int, chunk: int) -> Iterator[Batch]:
    for first in range(0, length, chunk):
        yield _take(batch, slice(first, first + chunk))


def _take(batch: Any, rows: slice) -> Any:
    if isinstance(batch, Tensor):
        return batch[rows] if batch.ndim else batch
    if isinstance(batch, Mapping):
        return {name: _take(part, rows) for name, part in batch.items()}
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{f.name: _take(getattr(batch, f.name), rows) for f in fields(batch)})
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_take(part, rows) for part in batch))
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        parts = [_take(part, rows) for part in batch]
        return tuple(parts) if isinstance(batch, tuple) else parts
    return batch
