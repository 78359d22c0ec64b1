"""Views of clips: one draw a clip, and two clips whose distance has the paper's law."""

from __future__ import annotations

import pytest
import torch

from unalike.errors import DataError, SettingsError
from unalike.views import ClipViews, ImageViews, sampled_clips


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def still(clips: int = 3, frames: int = 4) -> torch.Tensor:
    return torch.randint(0, 256, (clips, 1, 3, 24, 24), dtype=torch.uint8, generator=seed()).repeat(1, frames, 1, 1, 1)


def test_a_clip_that_stands_still_stays_still_and_clips_differ() -> None:
    view = ClipViews(ImageViews(size=16, solarize=0.5, erase=0.5))
    seen = view(still(), seed(1))
    assert torch.equal(seen, seen[:, :1].expand_as(seen))
    same = still(1).repeat(3, 1, 1, 1, 1)
    seen = view(same, seed(1))
    assert not torch.equal(seen[0], seen[1])
    # Frame by frame it is the view of pictures with the clip's parameters.
    frame = ImageViews(size=16)
    drawn = frame.parameters(3, seed(2), (24, 24))
    moving = torch.randint(0, 256, (3, 4, 3, 24, 24), dtype=torch.uint8, generator=seed(5))
    seen = ClipViews(frame)(moving, seed(2))
    for t in range(4):
        assert torch.allclose(seen[:, t], frame.apply(moving[:, t], drawn), atol=1e-5)


def test_the_control_draws_for_each_frame() -> None:
    seen = ClipViews(ImageViews(size=16), consistent=False)(still(), seed())
    assert not torch.equal(seen[0, 0], seen[0, 1])


def test_intervals_have_a_density_that_falls_linearly() -> None:
    clips = torch.arange(40).repeat(40000, 1)
    first, second = sampled_clips(clips, seed(), frames=4, stride=2)
    assert bool((first[:, 1:] - first[:, :-1] == 2).all())
    assert int(torch.maximum(first, second).max()) == 39
    longest = 40 - 3 * 2 - 1
    interval = (first[:, 0] - second[:, 0]).abs()
    counts = torch.bincount(interval, minlength=longest + 1).double() / len(clips)
    edges = torch.arange(longest + 2).double() / (longest + 1)
    expected = (2 * edges - edges**2).diff()
    assert torch.allclose(counts, expected, atol=0.006)
    assert abs(float((first[:, 0] > second[:, 0]).double().mean()) - 0.5) < 0.03
    even = (lambda a, b: (a[:, 0] - b[:, 0]).abs())(*sampled_clips(clips, seed(), frames=4, decreasing=False))
    assert float(even.double().mean()) == pytest.approx(36 / 2, abs=0.3)
    # The first start is uniform where there is room.
    near = torch.minimum(first, second)[interval == 10, 0].double()
    assert float(near.mean()) == pytest.approx((longest - 10) / 2, abs=0.8)


def test_a_clip_without_room_is_cut_at_one_place() -> None:
    first, second = sampled_clips(torch.arange(4).repeat(5, 1), seed(), frames=4)
    assert torch.equal(first, second)
    with pytest.raises(DataError, match="have no 4 frames at a stride of 2"):
        sampled_clips(torch.arange(4).repeat(5, 1), seed(), frames=4, stride=2)
    with pytest.raises(SettingsError, match="stride=0"):
        sampled_clips(torch.arange(4).repeat(5, 1), seed(), stride=0)
    with pytest.raises(DataError, match=r"\(batch, frames, 3, height, width\)"):
        ClipViews(ImageViews(size=8))(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), seed())
