"""Views of texts against what each of them must keep, lose and leave alone, row by row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unalike.errors import SettingsError
from unalike.views import TextViews, Tokens

MASK = 9999
LEAST_P = 1e-3


def texts(lengths: list[int], width: int | None = None) -> Tokens:
    """Each token's number tells its place: 1, 2, 3, ...; padding is 0."""
    place = torch.arange(width or max(lengths, default=0))
    mask = place < torch.tensor(lengths, dtype=torch.int64)[:, None]
    return Tokens(torch.where(mask, place + 1, 0), mask)


def rows(tokens: Tokens) -> list[list[int]]:
    return [ids[mask].tolist() for ids, mask in zip(tokens.ids, tokens.mask, strict=True)]


def look(view: TextViews, tokens: Tokens, seed: int = 0) -> list[list[int]]:
    return rows(view(tokens, torch.Generator().manual_seed(seed)))


def contiguous(row: list[int]) -> bool:
    return row == list(range(row[0], row[0] + len(row)))


views = st.builds(
    TextViews,
    crop=st.sampled_from([None, (0.05, 0.5), (0.0, 0.0), (1.0, 1.0)]),
    cut=st.sampled_from([None, (0.1, 0.4), (1.0, 1.0)]),
    delete=st.sampled_from([0.0, 0.3, 1.0]),
    mask=st.sampled_from([0.0, 0.5]),
    mask_id=st.just(MASK),
    first=st.integers(0, 2),
    last=st.integers(0, 2),
)


@settings(max_examples=100, deadline=None)
@given(view=views, lengths=st.lists(st.integers(0, 20), max_size=8), seed=st.integers(0, 100))
def test_what_holds_for_every_view(view, lengths, seed):
    tokens = texts(lengths, width=23)
    result = view(tokens, torch.Generator().manual_seed(seed))
    assert result.ids.dtype == tokens.ids.dtype and result.mask.dtype == torch.bool
    assert bool((result.ids[~result.mask] == view.pad_id).all())
    assert result.mask.shape[1] == max((len(row) for row in rows(result)), default=0)
    for row, kept in zip(rows(tokens), rows(result), strict=True):
        # padded on the right only, in the old order, nothing twice
        places = [token for token in kept if token != MASK]
        assert places == sorted(set(places)) and set(places) <= set(row)
        assert kept[: view.first] == row[: view.first]
        if len(row) >= view.first + view.last:
            assert kept[len(kept) - view.last :] == row[len(row) - view.last :]
        if len(row) > view.first + view.last:
            assert len(kept) > view.first + view.last, "a token that may be changed is left"
        else:
            assert kept == row


def test_nothing_changes_nothing():
    tokens = texts([3, 0, 5])
    assert look(TextViews(), tokens) == rows(tokens)


def test_a_crop_is_one_span_of_uniform_length_at_a_uniform_place():
    n, length = 3000, 40
    kept = look(TextViews(crop=(0.25, 0.75)), texts([length] * n))
    assert all(contiguous(row) for row in kept)
    sizes = [len(row) for row in kept]
    assert min(sizes) == 10 and max(sizes) == 30
    # rounding gives both ends half of what the lengths between them get
    counts = [sizes.count(size) * (2 if size in (10, 30) else 1) for size in range(10, 31)]
    assert stats.chisquare(counts, [sum(counts) / 21] * 21).pvalue > LEAST_P
    relative = [(row[0] - 1 + 0.5) / (length - len(row) + 1) for row in kept]
    assert stats.kstest(relative, "uniform").pvalue > 1e-4


def test_contriever_keeps_five_to_fifty_percent():
    for length in (20, 60, 100):
        sizes = [len(row) for row in look(TextViews(crop=(0.05, 0.5)), texts([length] * 500))]
        assert min(sizes) >= 0.05 * length and max(sizes) <= 0.5 * length


def test_a_cut_takes_one_span_out():
    kept = look(TextViews(cut=(0.2, 0.2)), texts([20] * 1000))
    starts = []
    for row in kept:
        gone = sorted(set(range(1, 21)) - set(row))
        assert len(gone) == 4 and contiguous(gone)
        starts.append(gone[0])
    assert stats.chisquare([starts.count(place) for place in range(1, 18)]).pvalue > LEAST_P


def test_a_cut_of_a_crop_falls_inside_the_crop():
    for row in look(TextViews(crop=(0.5, 0.5), cut=(0.5, 0.5), first=1), texts([21] * 300)):
        assert row[0] == 1 and len(row) == 6
        assert row[-1] - row[1] < 10


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_tokens_are_deleted_and_masked_as_often_as_they_should_each_on_its_own(p):
    n, length = 500, 40
    tokens = texts([length] * n)
    for view in (TextViews(delete=p), TextViews(mask=p, mask_id=MASK)):
        gone = torch.tensor([[place + 1 not in row for place in range(length)] for row in look(view, tokens)])
        assert stats.binomtest(int(gone.sum()), n * length, p).pvalue > LEAST_P
        by_row = gone.sum(1).double()
        # The number that is gone varies from row to row as draws of single tokens do.
        assert 0.8 < float(by_row.var()) / (length * p * (1 - p)) < 1.2
        assert stats.chisquare(gone.sum(0).tolist()).pvalue > LEAST_P


def test_masked_tokens_stay_in_place():
    for row in look(TextViews(mask=0.5, mask_id=MASK, first=1, last=1), texts([12] * 50)):
        assert len(row) == 12 and row[0] == 1 and row[-1] == 12
        assert all(token in (place + 1, MASK) for place, token in enumerate(row))


def test_the_token_that_is_spared_is_any():
    kept = look(TextViews(delete=1.0, first=1), texts([5] * 1000))
    assert all(row[0] == 1 and len(row) == 2 for row in kept)
    assert stats.chisquare([[row[1] for row in kept].count(token) for token in range(2, 6)]).pvalue > LEAST_P


def test_rows_differ_and_the_seed_decides():
    view = TextViews(crop=(0.3, 0.6), delete=0.2)
    tokens = texts([30] * 20)
    assert len({tuple(row) for row in look(view, tokens)}) > 15
    assert look(view, tokens, seed=1) == look(view, tokens, seed=1) != look(view, tokens, seed=2)
    first, second = view.views(tokens, torch.Generator().manual_seed(0), count=2)
    assert rows(first) != rows(second)


def test_the_global_generator_and_the_input_are_left_alone():
    before = torch.get_rng_state()
    tokens = texts([9, 4])
    ids = tokens.ids.clone()
    look(TextViews(crop=(0.3, 0.6), cut=(0.1, 0.5), delete=0.5, mask=0.5, mask_id=MASK), tokens)
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(tokens.ids, ids)


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(SettingsError) as error:
        TextViews(crop=(0.5, 0.2), delete=1.2, mask=0.1, first=-1)
    for name in ("crop=(0.5, 0.2)", "delete=1.2", "mask_id", "first=-1"):
        assert name in str(error.value)


def test_joined_tokens_are_all_rows_in_order_padded_to_the_longest() -> None:
    joined = Tokens.join([texts([2, 0]), texts([5]), texts([1, 3], width=4)])
    assert rows(joined) == [[1, 2], [], [1, 2, 3, 4, 5], [1], [1, 2, 3]]
    assert joined.ids.shape == (5, 5)
    assert not joined.ids[~joined.mask].any()
