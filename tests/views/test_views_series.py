"""Random views of series: what they change, and what they leave alone."""

from __future__ import annotations

import pytest
import torch

from unalike.errors import DataError, SettingsError
from unalike.views import SeriesViews, overlapping_windows


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def ramp(rows: int = 400, channels: int = 2, steps: int = 10) -> torch.Tensor:
    return torch.arange(1.0, steps + 1).repeat(rows, channels, 1)


def test_each_change_has_its_deviation_and_probability() -> None:
    series = ramp(4000)
    factors = SeriesViews(scale=0.5)(series, seed()) / series
    assert torch.allclose(factors.amax(2), factors.amin(2), atol=1e-5), "one factor a channel"
    assert float(factors[..., 0].mean()) == pytest.approx(1, abs=0.02)
    assert float(factors[..., 0].std()) == pytest.approx(0.5, abs=0.02)
    moved = SeriesViews(shift=2.0, p=0.25)(series, seed()) - series
    assert float((moved[:, 0, 0] != 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(moved[moved != 0].std()) == pytest.approx(2, abs=0.1)
    noise = SeriesViews(jitter=0.3)(series, seed()) - series
    assert float(noise.std()) == pytest.approx(0.3, abs=0.01)


def test_a_crop_keeps_one_piece_of_the_measured_steps() -> None:
    series = ramp()
    series[:200, :, 6:] = float("nan")
    found = SeriesViews(crop=(0.5, 0.5))(series, seed())
    kept = (~found.isnan()).all(1).sum(1)
    assert kept[:200].tolist() == [3] * 200
    assert kept[200:].tolist() == [5] * 200
    starts = found[:, 0, 0]
    assert set(starts[:200].tolist()) == {1, 2, 3, 4}
    assert set(starts[200:].tolist()) == {1, 2, 3, 4, 5, 6}
    steps = found[200:, 0, 1:5] - found[200:, 0, :4]
    assert bool((steps == 1).all())


def test_a_mask_hides_all_channels_of_a_step() -> None:
    hidden = SeriesViews(mask=0.3)(ramp(4000), seed()).isnan()
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    assert float(hidden.float().mean()) == pytest.approx(0.3, abs=0.01)


def test_same_generator_same_look_and_missing_stays_missing() -> None:
    view, series = SeriesViews(scale=0.1, shift=0.1, jitter=0.1, p=0.5, crop=(0.3, 0.9), mask=0.2), ramp(20)
    assert torch.equal(view(series, seed(3)).nan_to_num(-9), view(series, seed(3)).nan_to_num(-9))
    series[0, 1, 4] = float("nan")
    assert bool(SeriesViews(scale=1.0, jitter=1.0)(series, seed())[0, 1, 4].isnan())


def test_windows_overlap_where_they_say() -> None:
    series = ramp(50, 1, 30)
    lengths, firsts = set(), set()
    for number in range(60):
        found = overlapping_windows(series, seed(number))
        assert torch.equal(found.first[..., -found.length :], found.second[..., : found.length])
        assert not found.first.isnan().any() and not found.second.isnan().any()
        assert 2 <= found.length <= 30
        lengths.add(found.length)
        firsts |= set(found.first[:, 0, 0].tolist())
        assert bool((found.first[..., 1:] - found.first[..., :-1] == 1).all())
    assert len(lengths) > 15
    assert len(firsts) > 15


def test_windows_of_shorter_series_are_filled_up() -> None:
    series = ramp(8, 1, 12)
    series[0, :, 5:] = float("nan")
    for number in range(30):
        found = overlapping_windows(series, seed(number))
        assert not found.first[1:].isnan().any()
        assert float(found.first[0].nan_to_num(0).max()) <= 5
    assert overlapping_windows(ramp(3, 1, 1), seed()).length == 1


def test_refusals() -> None:
    for wrong in ({"scale": -1}, {"crop": (0.0, 1.0)}, {"crop": (0.9, 0.5)}, {"mask": 1.0}, {"p": 2.0}):
        with pytest.raises(SettingsError):
            SeriesViews(**wrong)
    for view in (SeriesViews(jitter=1.0), overlapping_windows):
        with pytest.raises(DataError, match=r"\(batch, channels, steps\)"):
            view(torch.zeros(3, 4), seed())
