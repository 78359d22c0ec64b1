"""Views of rows of numbers: what is swapped, and how noise and factors are distributed."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from unalike.errors import DataError, SettingsError
from unalike.views import ArrayViews

LEAST_P = 1e-3


def table(rows: int, features: int) -> torch.Tensor:
    """Every value once; its column is its number modulo the number of columns."""
    return torch.arange(float(rows * features)).reshape(rows, features)


@pytest.mark.parametrize("share, count", [(0.6, 6), (0.25, 2), (1.0, 10), (0.05, 0)])
def test_exactly_the_share_of_features_is_swapped_within_its_column(share, count):
    rows = table(2000, 10)
    look = ArrayViews(corruption=share)(rows, torch.Generator().manual_seed(0))
    assert torch.equal(look % 10, rows % 10)
    changed = look != rows
    # a value may be swapped for itself, once in 2,000
    assert int(changed.sum(1).max()) <= count
    assert float(changed.float().sum(1).mean()) == pytest.approx(count * 1999 / 2000, abs=0.02)
    if 0 < count < 10:
        assert stats.chisquare(changed.sum(0).tolist()).pvalue > LEAST_P


def test_swapped_values_come_from_all_rows_alike_and_not_from_one_row_together():
    rows = table(20, 400)
    look = ArrayViews(corruption=1.0)(rows, torch.Generator().manual_seed(0))
    donors = (look // 400).long()
    assert stats.chisquare(torch.bincount(donors.flatten(), minlength=20).tolist()).pvalue > LEAST_P
    assert all(len(set(row.tolist())) > 10 for row in donors)


def test_noise_is_gaussian_in_units_of_each_feature():
    rows = torch.randn(4000, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 10.0, 0.0]) + 5
    noise = ArrayViews(noise=0.5)(rows, torch.Generator().manual_seed(0)) - rows
    for column in (0, 1):
        spread = float(rows[:, column].std(correction=0))
        assert stats.kstest(noise[:, column].numpy() / (0.5 * spread), "norm").pvalue > LEAST_P
    assert not bool(noise[:, 2].any()), "a constant feature stays constant"


def test_one_factor_a_row():
    rows = torch.rand(3000, 4, generator=torch.Generator().manual_seed(1)) + 1
    factors = ArrayViews(scale=0.3)(rows, torch.Generator().manual_seed(0)) / rows
    assert float(factors.std(1).max()) < 1e-6
    assert stats.kstest(factors[:, 0].numpy(), "uniform", args=(0.7, 0.6)).pvalue > LEAST_P


def test_series_keep_their_shape_and_the_seed_decides():
    series = torch.randn(6, 2, 30, generator=torch.Generator().manual_seed(0))
    before, state = series.clone(), torch.get_rng_state()
    view = ArrayViews(corruption=0.3, noise=0.1, scale=0.1)
    first, again, other = (view(series, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.shape == series.shape and first.dtype == series.dtype
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(series, before) and torch.equal(torch.get_rng_state(), state)
    assert ArrayViews(corruption=0.3, noise=0.1)(series[:0], torch.Generator()).shape == (0, 2, 30)


def test_bad_settings_and_inputs_are_refused():
    for wrong in ({"corruption": 1.1}, {"noise": -1.0}, {"scale": 1.5}):
        with pytest.raises(SettingsError):
            ArrayViews(**wrong)
    for inputs in (torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3)):
        with pytest.raises(DataError, match="floats"):
            ArrayViews()(inputs, torch.Generator())


def test_features_are_drawn_anew_over_their_own_range() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4000, 3, generator=generator) * torch.tensor([1.0, 5.0, 0.0]) + torch.tensor([0.0, 100.0, 7.0])
    seen = ArrayViews(resample=0.25)(rows, generator)
    changed = seen != rows
    assert abs(float(changed[:, :2].float().mean()) - 0.25) < 0.02
    assert seen.dtype == rows.dtype
    assert torch.equal(seen[:, 2], rows[:, 2]), "a feature that does not vary has no range"
    for feature in (0, 1):
        mean, deviation = rows[:, feature].mean(), rows[:, feature].std(correction=0)
        drawn = (seen[changed[:, feature], feature] - mean) / deviation
        assert float(drawn.abs().max()) <= 1.7 + 1e-4
        assert abs(float(drawn.std()) - 1.7 / 3**0.5) < 0.05
