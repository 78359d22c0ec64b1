"""1-to-K, CUA and CUAXU against plain loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, pairs, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives import clip, cua, cuaxu, one_to_k


@few
@given(seeds, batches, widths, st.integers(1, 4))
def test_one_to_k_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    def loops(x: Tensor, y: Tensor) -> Tensor:
        total = x.sum() * 0
        for i in range(size):
            row = torch.stack([x[i] @ y[j, k] / 0.3 for j in range(size) for k in range(number)])
            for k in range(number):
                column = torch.stack([x[j] @ y[i, k] / 0.3 for j in range(size)])
                total = total + row.logsumexp(0) + column.logsumexp(0) - 2 * (x[i] @ y[i, k]) / 0.3
        return total / (2 * size * number)

    images, texts = vectors(seed, size, width), vectors(seed + 1, size, number, width)
    agree(lambda x, y: one_to_k(x, y, temperature=0.3), loops, images, texts, single=1e-3)


def test_one_text_an_image_is_clip() -> None:
    images, texts = vectors(1, 2, 6, 4)
    torch.testing.assert_close(one_to_k(images, texts[:, None], temperature=0.2), clip(images, texts, logit_scale=5.0))


def test_the_temperature_gets_its_gradient() -> None:
    heat = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    images, texts = vectors(1, 4, 3), vectors(2, 4, 2, 3)
    assert torch.autograd.gradcheck(lambda t: one_to_k(images, texts, temperature=t), heat)


@few
@given(seeds, batches, widths)
def test_cua_and_cuaxu_equal_loops(seed: int, size: int, width: int) -> None:
    def even(a: Tensor, b: Tensor) -> Tensor:
        terms = [(-2 * ((a[i] - b[j]) ** 2).sum()).exp() for i, j in pairs(size)]
        return (sum(terms) / len(terms)).log()

    def loops(x: Tensor, y: Tensor) -> Tensor:
        total = x.sum() * 0
        for i in range(size):
            row, column = (torch.stack([4 * (a[i] @ b[j]) for j in range(size)]) for a, b in ((x, y), (y, x)))
            total = total + (row.logsumexp(0) + column.logsumexp(0)) / 2 - row[i] + ((x[i] - y[i]) ** 2).sum()
        return total / size + (even(x, x) + even(y, y)) / 2

    rows = vectors(seed, 2, size, width)
    agree(lambda x, y: cua(x, y, logit_scale=4.0), loops, *rows, single=1e-3)
    agree(lambda x, y: cuaxu(x, y, logit_scale=4.0), lambda x, y: loops(x, y) + even(x, y), *rows, single=1e-3)


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"images \(3, 3\), texts \(2, 4, 3\)"):
        one_to_k(torch.eye(3), torch.ones(2, 4, 3), temperature=0.1)
    with pytest.raises(DataError, match=r"\(3, 3\).*\(2, 3\)"):
        cua(torch.eye(3), torch.eye(3)[:2], logit_scale=1.0)
