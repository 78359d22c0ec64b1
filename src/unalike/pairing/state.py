"""What pairings remember between batches, as modules whose buffers a checkpoint carries."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unalike.errors import DataError, SettingsError
from unalike.pairing.same import shares_a_code


class Queue(nn.Module):
    """The last vectors seen, first in first out: negatives from earlier batches (MoCo, arXiv:1911.05722).

    Args:
        size: how many vectors are kept.
        width: length of a vector.
        extra: names of further columns kept with each vector, such as ``("label",)``; int64, -1 until filled.
        codes: how many codes are kept with each vector, of what it holds (`unalike.pairing.Sparing`).

    Example:
        >>> import torch
        >>> from unalike.pairing import Queue
        >>> queue = Queue(3, 2)
        >>> queue.push(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> queue.vectors()
        tensor([[1., 0.],
                [0., 1.]])
    """

    stored: Tensor
    position: Tensor
    filled: Tensor
    codes: Tensor

    def __init__(self, size: int, width: int, *, extra: tuple[str, ...] = (), codes: int = 0) -> None:
        super().__init__()
        if size < 1 or width < 1:
            raise SettingsError(f"a queue of {size} vectors of length {width}; both must be at least 1")
        self.size, self.extra = size, extra
        self.register_buffer("stored", torch.zeros(size, width))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        for name in extra:
            self.register_buffer(f"column_{name}", torch.full((size,), -1, dtype=torch.int64))
        if codes:
            self.register_buffer("codes", torch.full((size, codes), -1, dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.filled)

    @torch.no_grad()
    def push(self, vectors: Tensor, same: Tensor | None = None, **extra: Tensor) -> None:
        """Put in ``(B, width)`` vectors, without gradient; the oldest leave. Of more than ``size`` the last stay.

        ``same`` are their codes ``(B, codes)``, where the queue keeps any; None for vectors of which nothing is known.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.stored.shape[1]:
            raise DataError(f"vectors of shape {tuple(vectors.shape)} into a queue of width {self.stored.shape[1]}")
        if set(extra) != set(self.extra):
            raise DataError(f"the queue keeps {sorted(self.extra)} with each vector, and was given {sorted(extra)}")
        count = vectors.shape[0]
        keep = min(count, self.size)
        slots = (int(self.position) + count - keep + torch.arange(keep, device=self.stored.device)) % self.size
        self.stored[slots] = vectors.detach()[count - keep :].to(self.stored)
        for name, column in extra.items():
            self.get_buffer(f"column_{name}")[slots] = column[count - keep :].to(self.stored.device, torch.int64)
        if hasattr(self, "codes"):
            self.codes[slots] = -1 if same is None else same[count - keep :].to(self.codes)
        self.position.fill_((int(self.position) + count) % self.size)
        self.filled.fill_(min(int(self.filled) + count, self.size))

    def vectors(self) -> Tensor:
        """``(filled, width)``: what the queue holds, in no particular order; a copy, safe from later pushes."""
        return self.stored[: len(self)].clone()

    def column(self, name: str) -> Tensor:
        """Int64 ``(filled,)``: a column kept with the vectors, in their order."""
        return self.get_buffer(f"column_{name}")[: len(self)].clone()

    def unlike(self, same: Tensor | None) -> Tensor:
        """Bool ``(filled,)``: which vectors hold nothing that a batch holds, whose codes are ``same`` ``(B, codes)``.

        A sample's own earlier keys, and those of what is the same, are no negatives. All where nothing is known.
        """
        if same is None or not hasattr(self, "codes"):
            return torch.ones(len(self), dtype=torch.bool, device=self.stored.device)
        return ~shares_a_code(self.codes[: len(self)], same.to(self.codes))


class PerSampleState(nn.Module):
    """One number for each sample of the training set, such as a moving average or a temperature of its own.

    Args:
        samples: size of the training set.
        initial: value at the start.

    Example:
        >>> import torch
        >>> from unalike.pairing import PerSampleState
        >>> state = PerSampleState(4, initial=0.5)
        >>> state.average(torch.tensor([1]), torch.tensor([1.5]), rate=0.1)
        tensor([0.6000])
    """

    values: Tensor
    seen: Tensor

    def __init__(self, samples: int, *, initial: float = 0.0) -> None:
        super().__init__()
        if samples < 1:
            raise SettingsError(f"a state for {samples} samples; at least 1 is needed")
        self.register_buffer("values", torch.full((samples,), float(initial)))
        self.register_buffer("seen", torch.zeros(samples, dtype=torch.bool))

    def get(self, index: Tensor) -> Tensor:
        """``(B,)``: values of the samples ``index`` (int64); a copy without gradient."""
        return self.values[index]

    @torch.no_grad()
    def set(self, index: Tensor, values: Tensor) -> None:
        """Replace the values of the samples ``index``."""
        self.values[index] = values.detach().to(self.values)
        self.seen[index] = True

    @torch.no_grad()
    def average(self, index: Tensor, values: Tensor, *, rate: float, start: bool = False) -> Tensor:
        """Move the values towards ``values`` by ``rate`` in (0, 1] and return them.

        With ``start`` a sample that is seen for the first time takes the value as it is.
        """
        if not 0 < rate <= 1:
            raise SettingsError(f"rate={rate} of a moving average; it must be above 0 and at most 1")
        values = values.detach().to(self.values)
        moved = torch.lerp(self.values[index], values, rate)
        if start:
            moved = torch.where(self.seen[index], moved, values)
        self.set(index, moved)
        return moved


class Clusters(nn.Module):
    """The cluster of each sample of the training set, kept where a checkpoint carries it.

    Args:
        samples: size of the training set.

    Example:
        >>> import torch
        >>> from unalike.pairing import Clusters
        >>> clusters = Clusters(4)
        >>> clusters.set(torch.tensor([0, 0, 1, 1]))
        >>> clusters.refine(torch.tensor([0, 1, 0, 0]))
        >>> clusters.codes
        tensor([0, 1, 2, 2])
    """

    codes: Tensor

    def __init__(self, samples: int) -> None:
        super().__init__()
        if samples < 1:
            raise SettingsError(f"clusters of {samples} samples; at least 1 is needed")
        self.register_buffer("codes", torch.full((samples,), -1, dtype=torch.int64))

    def get(self, index: Tensor) -> Tensor:
        """Int64 ``(B,)``: clusters of the samples ``index``, -1 where there is none; a copy."""
        return self.codes[index]

    @torch.no_grad()
    def set(self, codes: Tensor) -> None:
        """Replace the clusters of all samples, int64 ``(N,)``."""
        if codes.shape != self.codes.shape:
            raise DataError(f"codes of shape {tuple(codes.shape)} for {len(self.codes)} samples")
        self.codes.copy_(codes)

    @torch.no_grad()
    def refine(self, codes: Tensor) -> None:
        """Intersect the clusters with those of another partition; the parts are numbered from 0.

        Two samples are together afterwards if they were together before and are together in ``codes``.
        """
        pairs = torch.stack([self.codes, codes.to(self.codes)], dim=1)
        self.set(torch.unique(pairs, dim=0, return_inverse=True)[1])
