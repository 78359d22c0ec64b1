"""Orders whose batches follow clusters or classes. Each keeps the number of batches of a shuffled epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.training.order import stream_seed

Codes = Tensor | np.ndarray | Callable[[], Tensor | np.ndarray]
"""One code a row, int64 ``(N,)``, -1 for none: a tensor (a buffer), or what gives it. Read at each epoch's start."""


class _Coded:
    """What the orders by codes share: rows, length, and the codes of an epoch."""

    def __init__(self, codes: Codes, batch_size: int, seed: int) -> None:
        self._codes, self.batch_size, self.seed = codes, batch_size, seed
        self.rows = len(self.codes())

    def __len__(self) -> int:
        return max(1, self.rows // self.batch_size)

    def codes(self) -> np.ndarray:
        """The codes as they are now."""
        found = self._codes() if callable(self._codes) else self._codes
        return np.asarray(found.detach().cpu() if isinstance(found, Tensor) else found)

    def generator(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng(stream_seed(self.seed, "order", epoch))


def _members(codes: np.ndarray) -> list[np.ndarray]:
    """The rows of each code, without the rows that have none."""
    return [np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])]


def _deal(cards: np.ndarray, batches: int) -> np.ndarray:
    """Deal ``batches * B`` cards round: ``(batches, B)``. Up to ``batches`` neighbours land in different batches."""
    return cards.reshape(-1, batches).T


def _repeated(rows: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` of the rows, each in turn in a new random order."""
    rounds = max(1, -(-count // len(rows)))
    return np.concatenate([generator.permutation(rows) for _ in range(rounds)])[:count]


class SameCluster(_Coded):
    """Each batch comes from one cluster: an anchor's negatives share what the clusters already tell apart.

    Clusters are visited in turn, reshuffled each epoch; what is left of a cluster below a whole batch waits for the
    next epoch. Where the clusters have fewer whole batches than an epoch has, they are shuffled again and visited
    on. A cluster with fewer rows than a batch gives one smaller batch of all its rows, in so many rounds that its rows
    come as often as others; one with fewer than ``least`` rows is left out, as are rows with the code -1.

    Paper: Zhang et al., Learning the Unlearned, 2024 (the released sampler; it has ``least=batch_size``).

    Args:
        codes: cluster of each row.
        batch_size: rows a batch.
        seed: the run's seed.
        least: rows of the smallest cluster that is visited, at least 2.

    Raises:
        SettingsError: ``least`` is below 2 or above the batch size.
        DataError: at the start of an epoch, no cluster has ``least`` rows.

    Example:
        >>> import numpy as np
        >>> from unalike.training import SameCluster
        >>> codes = np.array([0, 0, 0, 0, 1, 1, 1, 1])
        >>> order = SameCluster(codes, batch_size=2, seed=0)
        >>> [len(set(codes[rows].tolist())) for rows in order.epoch(0)]
        [1, 1, 1, 1]
    """

    def __init__(self, codes: Codes, batch_size: int, seed: int, *, least: int = 2) -> None:
        super().__init__(codes, batch_size, seed)
        if not 2 <= least <= batch_size:
            raise SettingsError(
                f"least={least} rows of a cluster; it must lie between 2 and the batch size {batch_size}"
            )
        self.least = least

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The batches of one epoch: at most ``batch_size`` rows of one cluster each."""
        members = [rows for rows in _members(self.codes()) if len(rows) >= self.least]
        if not members:
            raise DataError(f"no cluster has {self.least} rows: take fewer clusters")
        generator = self.generator(number)
        given = 0
        while given < len(self):
            shuffled = [generator.permutation(rows) for rows in members]
            visits = [len(r) // self.batch_size or int(len(r) > generator.random() * self.batch_size) for r in members]
            for turn in range(max(visits)):
                for cluster in generator.permutation(len(members)):
                    if turn < visits[cluster] and given < len(self):
                        given += 1
                        yield shuffled[cluster][turn * self.batch_size : (turn + 1) * self.batch_size]


class DistinctClusters(_Coded):
    """No two rows of a batch share a cluster, so that no negative is a false one as far as the clusters know.

    Each epoch's batches are dealt like cards: every row once, as far as that is possible. Of a cluster with more rows
    than an epoch has batches the epoch shows some at random; where rows are missing, rows of the smaller clusters
    come again, in another batch. A row with the code -1 is a cluster of its own.

    Paper: Chakraborty et al., G-SimCLR, 2020, arXiv 2009.12007.

    Args:
        codes: cluster of each row.
        batch_size: rows a batch.
        seed: the run's seed.

    Raises:
        SettingsError: at the start of an epoch, there are fewer clusters than rows in a batch.

    Example:
        >>> import numpy as np
        >>> from unalike.training import DistinctClusters
        >>> codes = np.array([0, 0, 0, 1, 1, 2])
        >>> order = DistinctClusters(codes, batch_size=2, seed=0)
        >>> [len(set(codes[rows].tolist())) for rows in order.epoch(0)]
        [2, 2, 2]
    """

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The batches of one epoch: ``batch_size`` rows of different clusters each."""
        codes, generator = self.codes(), self.generator(number)
        members = [*_members(codes), *np.flatnonzero(codes < 0)[:, None]]
        batches, wanted = len(self), len(self) * self.batch_size
        if len(members) < self.batch_size:
            raise SettingsError(
                f"{len(members)} clusters for batches of {self.batch_size} rows of different clusters: "
                f"take more clusters, or batches of at most {len(members)}"
            )
        counts = np.minimum([len(rows) for rows in members], batches)
        if (excess := int(counts.sum()) - wanted) > 0:  # rows that fill no whole batch, at random
            cards = np.repeat(np.arange(len(members)), counts)
            counts = counts - np.bincount(generator.choice(cards, excess, replace=False), minlength=len(members))
        while (missing := wanted - int(counts.sum())) > 0:
            room = generator.permutation(np.flatnonzero(counts < batches))
            counts[room[:missing]] += 1
        chosen = [_repeated(members[c], counts[c], generator) for c in generator.permutation(len(members))]
        yield from generator.permuted(generator.permutation(_deal(np.concatenate(chosen), batches)), axis=1)


class ClassBalanced(_Coded):
    """Each batch has P classes with K rows each, the rows of a class side by side: ``rows.reshape(P, K)``.

    P is ``batch_size // each``, or the number of classes if there are fewer; K is ``batch_size // P``, so at least
    ``each``. A batch has P K rows, which may be fewer than ``batch_size``. All classes come equally often; a class
    with fewer than K rows repeats some in a batch. Rows with the code -1 never come. A batch is an episode of few-shot
    learning too: P ways, K = shots + queries.

    Paper: Hermans et al., In Defense of the Triplet Loss, 2017, arXiv 1703.07737, section 2.

    Args:
        codes: class of each row.
        batch_size: the most rows a batch.
        seed: the run's seed.
        each: the fewest rows a class.

    Raises:
        SettingsError: ``each`` is below 1 or above the batch size.
        DataError: at the start of an epoch, no row has a class.

    Example:
        >>> import numpy as np
        >>> from unalike.training import ClassBalanced
        >>> labels = np.arange(20) % 5
        >>> order = ClassBalanced(labels, batch_size=6, seed=0, each=2)
        >>> all(len(set(labels[rows].tolist())) == 3 for rows in order.epoch(0))
        True
    """

    def __init__(self, codes: Codes, batch_size: int, seed: int, *, each: int = 4) -> None:
        super().__init__(codes, batch_size, seed)
        if not 1 <= each <= batch_size:
            raise SettingsError(f"each={each} rows a class; it must lie between 1 and the batch size {batch_size}")
        self.each = each

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """The batches of one epoch: P K rows each."""
        members, generator, batches = _members(self.codes()), self.generator(number), len(self)
        if not members:
            raise DataError("no row has a class")
        ways = min(self.batch_size // self.each, len(members))
        shots = self.batch_size // ways
        visits = np.bincount(_repeated(np.arange(len(members)), ways * batches, generator), minlength=len(members))
        order = generator.permutation(len(members))
        classes = generator.permutation(_deal(np.repeat(order, visits[order]), batches))
        waiting = [_hands(rows, shots, int(visits[c]), generator) for c, rows in enumerate(members)]
        for batch in classes:
            yield np.concatenate([next(waiting[c]) for c in generator.permutation(batch)])


def _hands(rows: np.ndarray, size: int, count: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """``count`` times ``size`` rows: different ones as long as there are enough, each row in turn."""
    whole = max(1, len(rows) // size)
    shuffled = np.array([], rows.dtype)
    for turn in range(count):
        if turn % whole == 0:
            shuffled = generator.permutation(rows) if len(rows) >= size else _repeated(rows, size, generator)
        yield shuffled[turn % whole * size : (turn % whole + 1) * size]
