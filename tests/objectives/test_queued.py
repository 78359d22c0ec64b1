"""MoCo and MoCHi against plain loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, norm, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import mochi, moco, uniform_weights


@few
@given(seeds, batches, widths, st.integers(1, 6), st.sampled_from([0.05, 0.5]))
def test_moco_equals_loops(seed: int, size: int, width: int, length: int, temperature: float) -> None:
    queries, keys, queue = vectors(seed, size, width), vectors(seed + 1, size, width), vectors(seed + 2, length, width)

    def loops(q: Tensor, k: Tensor, n: Tensor) -> Tensor:
        total = q.sum() * 0
        for i in range(size):
            scores = [q[i] @ k[i] / temperature] + [q[i] @ row / temperature for row in n]
            total = total + torch.stack(scores).logsumexp(0) - scores[0]
        return total / size

    agree(lambda q, k, n: moco(q, k, n, temperature=temperature), loops, queries, keys, queue, single=1e-3)


def test_moco_takes_a_temperature_for_each_row() -> None:
    queries, keys, queue = vectors(1, 3, 4), vectors(2, 3, 4), vectors(3, 5, 4)
    heat = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    rows = [moco(queries[i : i + 1], keys[i : i + 1], queue, temperature=float(heat[i])) for i in range(3)]
    torch.testing.assert_close(moco(queries, keys, queue, temperature=heat), torch.stack(rows).mean())


def drawn(seed: int, size: int, hardest: int, mixtures: int, own: int) -> tuple[Tensor, Tensor, Tensor]:
    """The draws of `mochi`, in its order."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(hardest, (size, 2 * mixtures + own), generator=generator)
    between = uniform_weights((size, mixtures), 0, 1, generator=generator).double()
    return places, between, uniform_weights((size, own), 0, 0.5, generator=generator).double()


@few
@given(seeds, batches, st.integers(2, 5), st.integers(2, 7), st.integers(0, 3), st.integers(0, 3))
def test_mochi_equals_loops(seed: int, size: int, width: int, length: int, mixtures: int, own: int) -> None:
    queries, keys, queue = vectors(seed, size, width), vectors(seed + 1, size, width), vectors(seed + 2, length, width)
    hardest = 1 + seed % length
    places, between, towards = drawn(seed, size, hardest, mixtures, own)

    def loops(q: Tensor, k: Tensor, n: Tensor) -> Tensor:
        n, total = n.detach(), q.sum() * 0
        for i in range(size):
            top = sorted(range(length), key=lambda j: -float(q[i].detach() @ n[j]))
            made = []
            for m in range(mixtures):
                first, second = n[top[places[i, m]]], n[top[places[i, mixtures + m]]]
                made.append(between[i, m] * first + (1 - between[i, m]) * second)
            for m in range(own):
                other = n[top[places[i, 2 * mixtures + m]]]
                made.append(towards[i, m] * q[i].detach() + (1 - towards[i, m]) * other)
            negatives = [*n, *(vector / norm(vector) for vector in made)]
            scores = torch.stack([q[i] @ k[i], *(q[i] @ vector for vector in negatives)]) / 0.3
            total = total + scores.logsumexp(0) - scores[0]
        return total / size

    def ours(q: Tensor, k: Tensor, n: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        settings = {"hardest": hardest, "mixtures": mixtures, "query_mixtures": own}
        return mochi(q, k, n, temperature=0.3, generator=generator, **settings)

    agree(ours, loops, queries, keys, queue, single=1e-3)


def test_without_mixtures_mochi_is_moco() -> None:
    queries, keys, queue = vectors(1, 4, 6), vectors(2, 4, 6), vectors(3, 9, 6)
    settings = {"hardest": 3, "mixtures": 0, "query_mixtures": 0}
    found = mochi(queries, keys, queue, temperature=0.2, generator=torch.Generator(), **settings)
    torch.testing.assert_close(found, moco(queries, keys, queue, temperature=0.2))


def test_what_is_refused() -> None:
    rows = torch.eye(3)
    with pytest.raises(DataError, match=r"queries \(3, 3\), keys \(2, 3\)"):
        moco(rows, rows[:2], rows, temperature=0.1)
    with pytest.raises(DataError, match="0 keys"):
        moco(rows, rows, rows[:0], temperature=0.1)
    with pytest.raises(SettingsError, match=r"hardest=4 of a queue of 3"):
        mochi(rows, rows, rows, temperature=0.1, generator=torch.Generator(), hardest=4)
