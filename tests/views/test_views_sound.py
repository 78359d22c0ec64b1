"""Views of spectrograms and spans of what is hidden."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike.errors import DataError, SettingsError
from unalike.views import SoundViews, spans


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sounds() -> torch.Tensor:
    values = torch.randn(6, 8, 40, generator=generator(9)) + 3
    values[1, :, 25:] = torch.nan
    return values


def test_a_crop_is_one_piece_of_the_recording() -> None:
    inputs = torch.arange(40.0).expand(50, 8, 40)
    seen = SoundViews(crop=(0.25, 0.75))(inputs, generator())
    lengths = (~seen.isnan()).all(1).sum(1)
    assert lengths.min() >= 10
    assert lengths.max() <= 30
    assert len(set(lengths.tolist())) > 5
    for row, length in zip(seen, lengths.tolist(), strict=True):
        steps = row[0, :length].numpy()
        np.testing.assert_array_equal(np.diff(steps), 1)


def test_a_gain_moves_all_bands_alike_and_each_recording_on_its_own() -> None:
    inputs = sounds()
    moved = SoundViews(gain=0.5)(inputs, generator()) - inputs
    for row in moved:
        known = row[~row.isnan()]
        torch.testing.assert_close(known, known[:1].expand_as(known), atol=1e-5, rtol=0)
    assert len({round(float(row[0, 0]), 4) for row in moved}) == 6


def test_hidden_is_zero_and_in_one_piece() -> None:
    inputs = sounds()
    seen = SoundViews(bands=0.5, times=0.4)(inputs, generator(1))
    assert torch.equal(seen.isnan(), inputs.isnan())
    changed = (seen != inputs) & ~inputs.isnan()
    assert bool((seen[changed] == 0).all())
    for row, known in zip(changed, ~inputs.isnan(), strict=True):
        length = int(known.all(0).sum())
        bands, times = row[:, :length].all(1), row[:, :length].all(0)
        assert bands.sum() <= 4
        assert times.sum() <= 0.4 * length
        for line in (bands, times):
            assert (np.diff(np.flatnonzero(line.numpy())) == 1).all()
        assert bool((row[:, :length] == (bands[:, None] | times)).all())


def test_same_generator_same_look_and_settings() -> None:
    look = SoundViews(crop=(0.5, 1), gain=0.1, noise=0.1, bands=0.2, times=0.2)
    assert torch.equal(look(sounds(), generator()).nan_to_num(), look(sounds(), generator()).nan_to_num())
    for wrong in ({"crop": (0, 1)}, {"gain": -1}, {"bands": 1.0}, {"times": -0.1}):
        with pytest.raises(SettingsError):
            SoundViews(**wrong)
    with pytest.raises(DataError, match="batch"):
        look(torch.zeros(3, 4), generator())


def test_spans_hide_what_the_paper_says() -> None:
    present = torch.ones(400, 200, dtype=torch.bool)
    share = float(spans(present, generator()).float().mean())
    # Each token is hidden if any of the ten places that reach it begins a span.
    assert share == pytest.approx(1 - (1 - 0.065) ** 10, abs=0.02)


def test_spans_are_runs_of_their_length_and_stay_inside() -> None:
    present = torch.arange(60) < torch.tensor([60, 25, 12, 3, 1, 0])[:, None]
    for seed in range(20):
        hidden = spans(present, generator(seed), start=0.02, length=10)
        assert not bool((hidden & ~present).any())
        assert bool(hidden[:4].any(1).all())  # something, but never all of it
        assert not bool(hidden[4:].any())
        assert bool((hidden[:4].sum(1) < present[:4].sum(1)).all())
        first = hidden[0].int()
        begins = torch.cat([first[:1], (first.diff() == 1).int()]).nonzero()[:, 0]
        for begin in begins.tolist():
            run = first[begin:].cumprod(0).sum()
            assert run >= min(10, 60 - begin)


@pytest.mark.parametrize("wrong", [{"start": 0.0}, {"start": 1.0}, {"length": 0}])
def test_spans_refuse_settings(wrong: dict) -> None:
    with pytest.raises(SettingsError):
        spans(torch.ones(1, 5, dtype=torch.bool), generator(), **wrong)
