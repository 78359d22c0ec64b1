"""Views of clicks against what they say of themselves, sequence by sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike.errors import SettingsError
from unalike.views import ClickViews, Tokens

MASK = 99


def sequences(count: int = 300, length: int = 12, seed: int = 0) -> Tokens:
    """Sequences of 1 to ``length`` items, all different within one."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, length + 1, (count, 1), generator=generator)
    mask = torch.arange(length) < lengths
    ids = (torch.rand(count, 50, generator=generator).argsort(1)[:, :length] + 1).masked_fill(~mask, 0)
    return Tokens(ids, mask)


def kind_of(before: list[int], after: list[int], view: ClickViews) -> str:
    """Which change made one list out of the other; fails if none of them can have."""
    length = len(before)
    if MASK in after:
        assert len(after) == length
        assert sum(token == MASK for token in after) == int(view.mask * length)
        assert all(token in (MASK, own) for token, own in zip(after, before, strict=True))
        return "mask"
    if len(after) < length:
        assert len(after) == max(1, int(view.crop * length))
        start = before.index(after[0])
        assert after == before[start : start + len(after)]
        return "crop"
    assert sorted(after) == sorted(before)
    moved = [place for place in range(length) if after[place] != before[place]]
    if not moved:
        return "same"
    assert moved[-1] - moved[0] < int(view.reorder * length)
    return "reorder"


@pytest.mark.parametrize("shares", [(0.6, 0.3, 0.6), (0.5, 0.5, 0.8), (0.1, 0.9, 0.3)])
def test_each_look_is_one_of_three_changes_and_two_looks_differ_in_theirs(shares: tuple[float, float, float]) -> None:
    view = ClickViews(mask_id=MASK, crop=shares[0], mask=shares[1], reorder=shares[2])
    given = sequences()
    looks = view.views(given, torch.Generator().manual_seed(1), count=2)
    seen = [[], []]
    for row in range(len(given)):
        before = given.ids[row][given.mask[row]].tolist()
        kinds = []
        for look, found in zip(looks, seen, strict=True):
            assert (look.ids[row][~look.mask[row]] == 0).all()
            kinds.append(kind_of(before, look.ids[row][look.mask[row]].tolist(), view))
            if len(before) >= 10:
                found.append(kinds[-1])
        assert kinds[0] != kinds[1] or kinds[0] == "same"
    for found in seen:
        shares_of = {kind: found.count(kind) / len(found) for kind in ("crop", "mask", "reorder")}
        assert all(0.15 < share < 0.5 for share in shares_of.values()), shares_of


def test_spans_reach_everywhere_and_shuffles_are_even() -> None:
    ids = torch.arange(1, 5).repeat(6000, 1)
    view = ClickViews(mask_id=MASK, crop=0.5, mask=0.0, reorder=0.75)
    look = view(Tokens(ids, torch.ones_like(ids).bool()), torch.Generator().manual_seed(0))
    short = look.ids[~look.mask[:, 3]]
    assert np.bincount(short[:, 0])[1:] == pytest.approx(len(short) / 3, rel=0.1)
    orders, counts = np.unique(look.ids[look.mask[:, 3]].numpy(), axis=0, return_counts=True)
    moved = {tuple(order): count for order, count in zip(orders.tolist(), counts, strict=True)}
    # Of a span of three at one of two places there are six orders each; the plain one belongs to both.
    assert len(moved) == 10
    assert moved[(3, 2, 1, 4)] == pytest.approx(moved[(1, 4, 3, 2)], rel=0.25)


def test_same_generator_same_looks() -> None:
    view = ClickViews(mask_id=MASK)
    first, again = (view(sequences(), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.ids, again.ids)


def test_wrong_shares_are_listed_together() -> None:
    with pytest.raises(SettingsError, match=r"crop=0.*mask=1.*reorder=2.*mask_id=0"):
        ClickViews(mask_id=0, crop=0, mask=1, reorder=2)
