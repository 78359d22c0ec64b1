"""Losses of several views: against plain loops, and their two-view identities."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.objectives import clip, mv_dhel, mv_info_nce, nt_xent, pairwise_nt_xent, symile

views = st.integers(2, 4)


@few
@given(seeds, batches, widths, views)
def test_pairwise_nt_xent_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    def loops(u: Tensor) -> Tensor:
        terms = []
        for v in range(number):
            for w in range(v + 1, number):
                looks = [(x, i) for x in (v, w) for i in range(size)]
                for x, i in looks:
                    below = [u[x, i] @ u[y, j] / 0.4 for y, j in looks if (y, j) != (x, i)]
                    terms.append(torch.stack(below).logsumexp(0) - u[x, i] @ u[v + w - x, i] / 0.4)
        return torch.stack(terms).mean()

    agree(lambda u: pairwise_nt_xent(list(u), temperature=0.4), loops, vectors(seed, number, size, width))


def test_pairwise_nt_xent_of_two_views_is_nt_xent() -> None:
    first, second = vectors(5, 2, 6, 4)
    pair = nt_xent(first, second, temperature=0.3)
    torch.testing.assert_close(pairwise_nt_xent([first, second], temperature=0.3), pair)
    with pytest.raises(DataError):
        pairwise_nt_xent([first], temperature=0.3)


@few
@given(seeds, batches, widths, views)
def test_mv_info_nce_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    def loops(u: Tensor) -> Tensor:
        total = u.sum() * 0
        for i in range(size):
            above = [u[v, i] @ u[w, i] / 0.4 for v in range(number) for w in range(v + 1, number)]
            below = [
                u[v, i] @ u[w, j] / 0.4
                for v, w, j in product(range(number), range(number), range(size))
                if (j, w) != (i, v)
            ]
            total = total - (2 * sum(s.exp() for s in above) / sum(s.exp() for s in below)).log()
        return total / size

    agree(lambda u: mv_info_nce(list(u), temperature=0.4), loops, vectors(seed, number, size, width))


@few
@given(seeds, batches, widths, views)
def test_mv_dhel_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    def loops(u: Tensor) -> Tensor:
        total = u.sum() * 0
        for i in range(size):
            above = sum((u[v, i] @ u[w, i] / 0.4).exp() for v in range(number) for w in range(v + 1, number))
            below = [sum((u[v, i] @ u[v, j] / 0.4).exp() for j in range(size) if j != i) for v in range(number)]
            total = total - above.log() + sum(part.log() for part in below)
        return total / size

    agree(lambda u: mv_dhel(list(u), temperature=0.4), loops, vectors(seed, number, size, width))


def test_at_two_views_mv_dhel_is_dhel_and_alignment_parts_from_uniformity() -> None:
    first, second = (view.requires_grad_() for view in vectors(3, 2, 6, 4))
    mine = ~torch.eye(6, dtype=torch.bool)
    spread = sum(
        torch.stack([(view[i] @ view.T / 0.3)[mine[i]].logsumexp(0) for i in range(6)]) for view in (first, second)
    )
    alignment = (first * second).sum(dim=1) / 0.3
    torch.testing.assert_close(mv_dhel([first, second], temperature=0.3), (spread - alignment).mean())
    # the positives' gradient is the other view, unweighted: no negative scales it
    slope = torch.autograd.grad(mv_dhel([first, second], temperature=0.3) - spread.mean(), first)[0]
    torch.testing.assert_close(slope, -second.detach() / (0.3 * 6))


def test_large_scores_do_not_overflow() -> None:
    rows = [row.float() for row in vectors(1, 5, 8, 4)]
    assert mv_dhel(rows, temperature=0.005).isfinite() and mv_info_nce(rows, temperature=0.005).isfinite()


def tuple_score(parts: list[Tensor]) -> Tensor:
    value = parts[0]
    for part in parts[1:]:
        value = value * part
    return value.sum()


@few
@given(seeds, st.integers(2, 4), widths, st.integers(2, 3))
def test_symile_with_all_negatives_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    def loops(z: Tensor, scale: Tensor) -> Tensor:
        total = z.sum() * 0
        for anchor in range(number):
            others = [m for m in range(number) if m != anchor]
            for i in range(size):
                scores = [
                    scale * tuple_score([z[anchor, i], *(z[m, j] for m, j in zip(others, rows, strict=True))])
                    for rows in product(range(size), repeat=number - 1)
                ]
                true = scale * tuple_score([z[m, i] for m in range(number)])
                total = total + torch.stack(scores).logsumexp(0) - true
        return total / (number * size)

    rows, scale = vectors(seed, number, size, width), torch.tensor(3.0, dtype=torch.float64)
    agree(lambda z, s: symile(list(z), logit_scale=s, negatives="all"), loops, rows, scale)


@few
@given(seeds, batches, widths, st.integers(2, 4))
def test_symile_with_shuffled_negatives_equals_loops(seed: int, size: int, width: int, number: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    orders = [[torch.randperm(size, generator=generator) for _ in range(number - 1)] for _ in range(number)]

    def loops(z: Tensor) -> Tensor:
        total = z.sum() * 0
        for anchor in range(number):
            others = [m for m in range(number) if m != anchor]
            for i in range(size):
                scores = [2 * tuple_score([z[m, i] for m in range(number)])]
                for j in range(size):
                    if j != i:
                        shuffled = (z[m, order[j]] for m, order in zip(others, orders[anchor], strict=True))
                        scores.append(2 * tuple_score([z[anchor, i], *shuffled]))
                total = total + torch.stack(scores).logsumexp(0) - scores[0]
        return total / (number * size)

    def ours(z: Tensor) -> Tensor:
        return symile(list(z), logit_scale=2.0, generator=torch.Generator().manual_seed(seed))

    agree(ours, loops, vectors(seed, number, size, width))


def test_symile_of_two_modalities_is_clip() -> None:
    images, texts = vectors(5, 2, 7, 4)
    torch.testing.assert_close(
        symile([images, texts], logit_scale=5.0, negatives="all"), clip(images, texts, logit_scale=5.0)
    )


def test_what_is_refused() -> None:
    rows = [torch.eye(3)] * 3
    with pytest.raises(SettingsError, match="need a generator"):
        symile(rows, logit_scale=1.0)
    with pytest.raises(SettingsError, match="logit_scale=-1"):
        symile(rows, logit_scale=-1.0, negatives="all")
    for objective in (mv_info_nce, mv_dhel):
        with pytest.raises(DataError, match="1 view"):
            objective(rows[:1], temperature=1.0)
        with pytest.raises(SettingsError, match="temperature=0"):
            objective(rows, temperature=0)
