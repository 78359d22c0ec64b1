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
from unalike.pairing import SeveralTexts, SharedText


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


@few
@given(seeds, batches, widths, st.integers(1, 12))
def test_one_to_k_with_gaps_and_repeated_texts_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    owners = torch.randint(size, (number,), generator=draw)
    codes = torch.randint(4, (number,), generator=draw)
    images, texts = vectors(seed, size, width), vectors(seed + 1, number, width)
    worded = {(int(o), int(c)) for o, c in zip(owners, codes, strict=True)}

    def against(i: int, m: int) -> bool:
        return int(owners[m]) == i or (i, int(codes[m])) not in worded

    def loops(x: Tensor, y: Tensor) -> Tensor:
        rows, columns = [], []
        for i in range(size):
            own = [m for m in range(number) if owners[m] == i]
            if own:
                everything = torch.stack([x[i] @ y[m] / 0.3 for m in range(number) if against(i, m)]).logsumexp(0)
                rows.append(everything - torch.stack([x[i] @ y[m] / 0.3 for m in own]).mean())
        for m in range(number):
            everything = torch.stack([x[i] @ y[m] / 0.3 for i in range(size) if against(i, m)]).logsumexp(0)
            columns.append(everything - x[int(owners[m])] @ y[m] / 0.3)
        return (torch.stack(rows).mean() + torch.stack(columns).mean()) / 2

    pairing = SeveralTexts(owners, codes)
    agree(lambda x, y: one_to_k(x, y, temperature=0.3, pairing=pairing), loops, images, texts, single=1e-3)


def test_the_other_positives_stay_in_the_denominator() -> None:
    images = torch.eye(2, dtype=torch.float64)
    near = images[:, None].expand(2, 3, 2)
    separate = torch.stack([clip(images, near[:, k], logit_scale=1.0) for k in range(3)]).mean()
    # Of six texts an image has three equally near positives: none can get more than a third of the softmax.
    assert one_to_k(images, near, temperature=0.01) == pytest.approx(float(torch.tensor(3.0).log()) / 2, abs=1e-6)
    assert one_to_k(images, near, temperature=1.0) > separate + 0.4


@few
@given(seeds, batches, widths)
def test_cuaxu_spreads_no_image_away_from_its_own_wording(seed: int, size: int, width: int) -> None:
    codes = torch.randint(3, (size,), generator=torch.Generator().manual_seed(seed))
    apart = [(i, j) for i, j in pairs(size) if codes[i] != codes[j]]

    def loops(x: Tensor, y: Tensor) -> Tensor:
        if not apart:
            return x.sum() * 0 + y.sum() * 0
        # On the sphere, -2 |x - y|^2 is 4 x.y - 4; off it, slopes along a vector's own length would differ.
        return torch.stack([(4 * (x[i] @ y[j]) - 4).exp() for i, j in apart]).mean().log()

    pairing = SharedText(codes)

    def cross(x: Tensor, y: Tensor) -> Tensor:
        return cuaxu(x, y, logit_scale=4.0, pairing=pairing) - cua(x, y, logit_scale=4.0, pairing=pairing)

    images, texts = vectors(seed, 2, size, width)
    agree(cross, loops, images, texts, single=1e-3)


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match="owners reach from 0 to 5"):
        one_to_k(torch.eye(3), torch.eye(3)[:2], temperature=0.1, pairing=SeveralTexts(torch.tensor([0, 5])))
    with pytest.raises(DataError, match=r"images \(3, 3\), texts \(2, 4, 3\)"):
        one_to_k(torch.eye(3), torch.ones(2, 4, 3), temperature=0.1)
    with pytest.raises(DataError, match=r"\(3, 3\).*\(2, 3\)"):
        cua(torch.eye(3), torch.eye(3)[:2], logit_scale=1.0)
