"""The general form of pair losses, and Metrix."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import agree, batches, classes, few, seeds, vectors, widths
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives import (
    contrastive_form,
    generalised_pairs,
    metrix,
    multi_similarity,
    multi_similarity_form,
    pair_mixtures,
    pairs_to_mix,
    proxy_anchor,
    proxy_anchor_form,
)

FORMS = {
    "contrastive": contrastive_form(margin=0.2),
    "multi-similarity": multi_similarity_form(alpha=2, beta=6, base=0.4),
    "proxy-anchor": proxy_anchor_form(margin=0.1, scale=5),
}
forms = st.sampled_from(sorted(FORMS))


def cost(name: str, scores: list[Tensor], labels: list[Tensor | float], zero: Tensor) -> Tensor:
    if name == "contrastive":
        return zero + sum(-y * s + (1 - y) * (s - 0.2).relu() for s, y in zip(scores, labels, strict=True))
    a, b, low, high, over, under = (2, 6, 0.4, 0.4, 2, 6) if name == "multi-similarity" else (5, 5, 0.1, -0.1, 1, 1)
    pull = zero + sum(y * (-a * (s - low)).exp() for s, y in zip(scores, labels, strict=True))
    push = zero + sum((1 - y) * (b * (s - high)).exp() for s, y in zip(scores, labels, strict=True))
    return (1 + pull).log() / over + (1 + push).log() / under


@few
@given(seeds, batches, st.integers(1, 5), forms)
def test_the_form_equals_loops(seed: int, size: int, width: int, name: str) -> None:
    scores, labels = vectors(seed, size, width, unit=False), vectors(seed + 1, size, width).abs()
    known = vectors(seed + 2, size, width) > -0.4

    def loops(s: Tensor, y: Tensor) -> Tensor:
        total = s.sum() * 0
        for a in range(size):
            inside = [v for v in range(width) if known[a, v]]
            total = total + cost(name, [s[a, v] for v in inside], [y[a, v] for v in inside], s[a, 0] * 0)
        return total / size

    agree(lambda s, y: generalised_pairs(s, y, form=FORMS[name], known=known), loops, scores, labels, single=5e-3)


@few
@given(seeds, batches, widths)
def test_named_losses_are_cases_of_the_form(seed: int, size: int, width: int) -> None:
    rows, labels = vectors(seed, size, width), classes(seed, size, unknown=False)
    alike = labels[:, None] == labels
    known = ~torch.eye(size, dtype=torch.bool)
    found = generalised_pairs(rows @ rows.T, alike.double(), form=multi_similarity_form(), known=known)
    torch.testing.assert_close(found, multi_similarity(rows, labels, mining=None))
    labels, proxies = torch.arange(size) % 2, vectors(seed + 1, 2, width)
    alike = torch.arange(2)[:, None] == labels
    found = generalised_pairs(proxies @ rows.T, alike.double(), form=proxy_anchor_form())
    torch.testing.assert_close(found, proxy_anchor(rows, labels, proxies))


@pytest.mark.parametrize("name", sorted(FORMS))
def test_mixtures_that_are_all_of_one_kind_give_the_plain_loss(name: str) -> None:
    """Metrix at weights 1 and 0: a mixture that is wholly its positive, or its negative, costs what that one does."""
    rows, labels = vectors(1, 6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    alike = (labels[:, None] == labels).double()
    known = ~torch.eye(6, dtype=torch.bool)
    plain = generalised_pairs(rows @ rows.T, alike, form=FORMS[name], known=known)
    partner = rows.roll(1, 0)  # what the mixtures hold nothing of
    vectors_ = torch.stack([1.0 * rows + 0.0 * partner] * 6)
    mixed = torch.einsum("ad,amd->am", rows, vectors_)
    soft = 1.0 * alike + 0.0 * alike.roll(1, 1)
    torch.testing.assert_close(generalised_pairs(mixed, soft, form=FORMS[name], known=known), plain)


@few
@given(seeds, st.integers(4, 9), st.integers(2, 5), st.booleans())
def test_mixtures_lie_between_the_anchors_own_side_and_its_hardest_negatives(
    seed: int, size: int, width: int, proxies: bool
) -> None:
    rows, labels = vectors(seed, size, width), classes(seed, size, 3)
    anchors = (vectors(seed + 1, 3, width), torch.arange(3)) if proxies else None
    made = pair_mixtures(rows, labels, generator=torch.Generator().manual_seed(seed), anchors=anchors, hardest=2)
    centres, owners = anchors or (rows, labels)
    torch.testing.assert_close(made.vectors.norm(dim=2), torch.ones(made.labels.shape, dtype=torch.float64))
    for a in range(len(centres)):
        different = [j for j in range(size) if labels[j] >= 0 and owners[a] >= 0 and labels[j] != owners[a]]
        assert int(made.known[a].sum()) == min(2, len(different))
        hardest = sorted(different, key=lambda j: -float(centres[a] @ rows[j]))[:2]
        own = [rows[j] for j in range(size) if labels[j] == owners[a] >= 0 and (proxies or j != a)] + [centres[a]]
        for m, n in enumerate(hardest):
            w = made.labels[a, m]
            options = [torch.nn.functional.normalize(w * x + (1 - w) * rows[n], dim=0) for x in own]
            assert min(float((made.vectors[a, m] - option).norm()) for option in options) < 1e-6


@few
@given(seeds, st.integers(4, 9), st.booleans())
def test_what_is_chosen_is_what_is_mixed(seed: int, size: int, proxies: bool) -> None:
    rows, labels = vectors(seed, size, 3), classes(seed, size, 3)
    anchors = (vectors(seed + 1, 3, 3), torch.arange(3)) if proxies else None
    drawn = {"anchors": anchors, "hardest": 2}
    made = pair_mixtures(rows, labels, generator=torch.Generator().manual_seed(seed), **drawn)
    chosen = pairs_to_mix(rows, labels, generator=torch.Generator().manual_seed(seed), **drawn)
    centres, owners = anchors or (rows, labels)
    for a in range(len(centres)):
        partner = int(chosen.partners[a])
        assert (
            (partner == -1 or labels[partner] == owners[a])
            if proxies
            else (partner == a or labels[partner] == labels[a] >= 0)
        )
        first = centres[a] if partner < 0 else rows[partner]
        for m in range(chosen.shares.shape[1]):
            mixed = chosen.shares[a, m] * first + (1 - chosen.shares[a, m]) * rows[chosen.negatives[a, m]]
            torch.testing.assert_close(made.vectors[a, m], torch.nn.functional.normalize(mixed, dim=0))
    assert torch.equal(made.labels, chosen.shares) and torch.equal(made.known, chosen.known)


def test_half_of_the_mixtures_are_of_the_anchor_itself() -> None:
    rows, labels = vectors(1, 400, 3), torch.arange(400) % 2
    made = pair_mixtures(rows, labels, generator=torch.Generator().manual_seed(0), hardest=1)
    hardest = (rows @ rows.T).masked_fill(labels[:, None] == labels, -2).argmax(dim=1)
    w = made.labels
    itself = torch.nn.functional.normalize(w * rows + (1 - w) * rows[hardest], dim=1)
    share = float(((made.vectors[:, 0] - itself).norm(dim=1) < 1e-6).double().mean())
    assert 0.4 < share < 0.6


def test_metrix_adds_the_mixtures_loss_and_its_gradient() -> None:
    rows, labels = vectors(2, 8, 5).requires_grad_(), torch.arange(8) % 3
    form = FORMS["multi-similarity"]

    def value(weight: float) -> Tensor:
        return metrix(rows, labels, form=form, generator=torch.Generator().manual_seed(3), weight=weight)

    made = pair_mixtures(rows, labels, generator=torch.Generator().manual_seed(3))
    scores = torch.einsum("ad,amd->am", rows, made.vectors)
    extra = generalised_pairs(scores, made.labels, form=form, known=made.known)
    torch.testing.assert_close(value(0.4) - value(0.0), 0.4 * extra)
    torch.testing.assert_close(value(0.0), multi_similarity(rows, labels, alpha=2, beta=6, base=0.4, mining=None))
    assert torch.autograd.grad(extra, rows)[0].abs().sum() > 0


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"similarities \(2, 3\), labels \(2, 2\)"):
        generalised_pairs(torch.ones(2, 3), torch.ones(2, 2), form=contrastive_form())
    with pytest.raises(DataError, match="3 embeddings, 2 labels"):
        metrix(torch.eye(3), torch.zeros(2), form=contrastive_form(), generator=torch.Generator())
