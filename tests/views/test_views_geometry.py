"""Boxes and masks follow the pixels of a view: against pictures whose pixels say where they lie, and by plain loops."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from unalike.encoders.packed import square, squared
from unalike.errors import DataError, SettingsError
from unalike.views import Geometry, ImageViews, PlainViews, gentle, simclr

BARE = {"jitter_p": 0.0, "gray": 0.0, "blur": 0.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
"""Pixels as they are, so that a view shows nothing but where they went."""

SIDES = st.integers(2, 24)


def places(n: int, height: int, width: int) -> Tensor:
    """Pictures whose red says the column of a pixel and whose green the row, ``(n, 3, H, W)``."""
    across, down = torch.arange(width).expand(height, width), torch.arange(height)[:, None].expand(height, width)
    return torch.stack((across, down, torch.zeros_like(across))).to(torch.uint8).repeat(n, 1, 1, 1)


def told(pixels: Tensor) -> Tensor:
    """The source's x and y at the centre of each pixel of a bare view, ``(h, w, 2)``."""
    return (pixels[:2] * 255 + 0.5).permute(1, 2, 0).double()


def assert_same(point: Tensor, seen: Tensor, well: Tensor, geometry: Geometry) -> None:
    """Places as the map and as the pixels tell them: exact where pixels are only stretched; where several become one
    the weights of a resize lie on whole pixels, and so does their centre, to a sixth of a pixel."""
    for axis in (0, 1):
        stretched = bool((geometry.matrix[:, axis, :2].abs().sum(1) >= 1).all())
        near = 2e-3 if stretched else 1 / 6
        torch.testing.assert_close(point[well][:, axis], seen[well][:, axis], atol=near, rtol=0)


def inner(geometry: Geometry, row: int, source: tuple[float, float, float, float]) -> tuple[Tensor, Tensor]:
    """By the map alone: the source's x and y at each pixel's centre, and which centres lie well inside of the crop."""
    height, width = geometry.size
    down, across = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    whole = torch.cat((geometry.matrix[row], torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)))
    point = torch.stack((across, down, torch.ones_like(across)), 2).double() @ torch.linalg.inv(whole).T
    reach = torch.tensor([1.0, 1.0]) / geometry.matrix[row].abs().sum(0)[:2].clamp(max=1)
    top, left, high, wide = source
    first, last = torch.tensor([left, top]) + reach, torch.tensor([left + wide, top + high]) - reach
    return point[..., :2], ((point[..., :2] >= first) & (point[..., :2] <= last)).all(2)


@settings(max_examples=60, deadline=None)
@given(
    height=SIDES, width=SIDES, high=SIDES, wide=SIDES, flip=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 999)
)
def test_the_map_is_where_the_pixels_went(height, width, high, wide, flip, seed):
    view = ImageViews(size=(high, wide), crop_scale=(0.2, 1.0), flip=flip, **BARE)
    pictures = places(4, height, width)
    drawn = view.parameters(8, torch.Generator().manual_seed(seed), (height, width))
    seen = view.views_and_geometry(pictures, torch.Generator().manual_seed(seed), count=2)
    assert torch.equal(torch.cat([pixels for pixels, _ in seen]), view.apply(pictures, drawn))
    for k, (pixels, geometry) in enumerate(seen):
        for row in range(4):
            point, well = inner(geometry, row, drawn.crop[4 * k + row].tolist())
            assert_same(point, told(pixels[row]), well, geometry)


def test_something_is_compared():
    """The property above looks at most of a view, and not at nothing."""
    view = ImageViews(size=20, crop_scale=(0.5, 1.0), **BARE)
    [(_, geometry)] = view.views_and_geometry(places(4, 24, 24), torch.Generator().manual_seed(0), count=1)
    crop = view.parameters(4, torch.Generator().manual_seed(0), (24, 24)).crop
    assert all(inner(geometry, row, crop[row].tolist())[1].float().mean() > 0.6 for row in range(4))


def by_hand(mask: Tensor, crop: list[int], flip: bool, size: tuple[int, int]) -> Tensor:
    """A mask's view pixel by pixel, in exact fractions."""
    top, left, high, wide = crop
    found = torch.zeros(size, dtype=mask.dtype)
    for i in range(size[0]):
        for j in range(size[1]):
            across = size[1] - (j + Fraction(1, 2)) if flip else j + Fraction(1, 2)
            y, x = top + (i + Fraction(1, 2)) * high / size[0], left + across * wide / size[1]
            found[i, j] = mask[floor(y), floor(x)]
    return found


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, high=SIDES, wide=SIDES, seed=st.integers(0, 999))
def test_masks_are_cut_and_turned_as_by_hand(height, width, high, wide, seed):
    view = ImageViews(size=(high, wide), crop_scale=(0.1, 1.0))
    drawn = view.parameters(3, torch.Generator().manual_seed(seed), (height, width))
    mask = torch.arange(height * width).view(height, width)
    seen = drawn.geometry(view.shape).mask([mask] * 3)
    for row in range(3):
        assert torch.equal(seen[row], by_hand(mask, drawn.crop[row].tolist(), bool(drawn.flip[row]), view.shape))


@settings(max_examples=60, deadline=None)
@given(
    box=st.tuples(st.integers(0, 19), st.integers(0, 15), st.integers(1, 20), st.integers(1, 16)),
    high=SIDES,
    wide=SIDES,
    seed=st.integers(0, 999),
)
def test_a_box_holds_the_pixels_of_its_mask(box, high, wide, seed):
    left, top, right, bottom = box[0], box[1], min(20, box[0] + box[2]), min(16, box[1] + box[3])
    view = ImageViews(size=(high, wide), crop_scale=(0.05, 0.6))
    geometry = view.parameters(4, torch.Generator().manual_seed(seed), (16, 20)).geometry(view.shape)
    mask = torch.zeros(16, 20, dtype=torch.int64)
    mask[top:bottom, left:right] = 7
    masks = geometry.mask([mask] * 4)
    corners = torch.tensor([[left, top, right, bottom]], dtype=torch.float32)
    down, across = torch.meshgrid(torch.arange(high) + 0.5, torch.arange(wide) + 0.5, indexing="ij")
    for seen, found in zip(masks, geometry.boxes([corners] * 4), strict=True):
        x1, y1, x2, y2 = found.corners[0].double().tolist()
        assert 0 <= x1 <= x2 <= wide and 0 <= y1 <= y2 <= high
        sure = (across > x1 + 1e-4) & (across < x2 - 1e-4) & (down > y1 + 1e-4) & (down < y2 - 1e-4)
        maybe = (across >= x1 - 1e-4) & (across <= x2 + 1e-4) & (down >= y1 - 1e-4) & (down <= y2 + 1e-4)
        assert bool((seen[sure] == 7).all()) and not bool((seen[~maybe] == 7).any())
        area = (x2 - x1) * (y2 - y1)
        assert bool(found.gone[0]) == (area < 1e-4) == (float(found.share[0]) == 0)
        whole = geometry.matrix[:, :, :2].diagonal(dim1=1, dim2=2).abs().prod(1)
        full = (right - left) * (bottom - top) * float(whole[0 if seen is masks[0] else -1])
        assert float(found.share[0]) <= 1.0001 and (seen is not masks[0] or abs(area / full - found.share[0]) < 1e-3)


def test_boxes_that_leave_the_crop_are_flagged_and_kept():
    geometry = Geometry.of_crops(torch.tensor([[4, 4, 8, 8]]), (16, 16), torch.tensor([True]))
    given = torch.tensor([[4.0, 4, 8, 12], [0, 0, 4, 4], [0, 0, 8, 8], [6, 6, 6, 6], [2, 2, 2, 2]])
    (found,) = geometry.boxes([given])
    assert found.corners.tolist()[:3] == [[8, 0, 16, 16], [16, 0, 16, 0], [8, 0, 16, 8]]
    assert found.gone.tolist() == [False, True, False, False, True]
    assert found.share.tolist() == [1.0, 0.0, 0.25, 1.0, 0.0]


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("source", [(30, 20), (20, 30), (16, 16), (9, 21)])
def test_plain_views_tell_where_pixels_went(source, crop):
    view = PlainViews((16, 12), crop, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    geometry = view.geometry(1, source)
    point, well = inner(geometry, 0, (0, 0, *source))
    seen = told(view(places(1, *source))[0])
    assert float(well.float().mean()) > 0.4
    assert_same(point, seen, well, geometry)


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("source", [(30, 20), (20, 31), (16, 16), (50, 20)])
def test_squares_tell_where_pixels_of_the_file_went(source, fit):
    # Steps of eight, so that a value of 255 pixels is never rounded away.
    pixels = (places(1, *source)[0] * 4).permute(1, 2, 0).numpy()
    made = np.asarray(square(Image.fromarray(pixels), 14, fit), np.float64)[..., :2] / 4 + 0.5
    point, well = inner(squared([source], 14, fit), 0, (1, 1, source[0] - 2, source[1] - 2))
    assert well.any()
    assert np.abs(point[well].numpy() - made[well.numpy()]).max() < 0.2


def test_geometries_follow_each_other():
    first = Geometry.of_crops(torch.tensor([[2.0, 0, 10, 10], [0, 4, 20, 10]]), (8, 8), torch.tensor([True, False]))
    second = Geometry.of_crops(torch.tensor([[1.0, 1, 6, 4], [0, 0, 8, 8]]), (5, 7), torch.tensor([False, True]))
    points = [torch.rand(6, 2) * 10 for _ in range(2)]
    torch.testing.assert_close(second.after(first).points(points), second.points(first.points(points)))
    assert second.after(first).size == (5, 7)


@pytest.mark.parametrize("view", [gentle(24), simclr(24, strength=0.5)])
def test_views_draw_and_render_as_without_a_geometry(view):
    pictures = torch.randint(0, 256, (5, 3, 30, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    plainly = view.views(pictures, one := torch.Generator().manual_seed(0), count=3)
    told = view.views_and_geometry(pictures, other := torch.Generator().manual_seed(0), count=3)
    assert all(torch.equal(a, b) for a, (b, _) in zip(plainly, told, strict=True))
    assert torch.equal(one.get_state(), other.get_state())


def test_what_does_not_fit_is_said():
    geometry = Geometry.of_crops(torch.tensor([[0, 0, 8, 8]]), (4, 4))
    with pytest.raises(DataError, match="2 masks for 1 views"):
        geometry.mask([torch.zeros(8, 8)] * 2)
    with pytest.raises(DataError, match="left before right"):
        geometry.boxes([torch.tensor([[5.0, 0, 1, 2]])])
    with pytest.raises(DataError, match=r"\(n, 2, 3\)"):
        Geometry(torch.zeros(2, 3), (4, 4))
    with pytest.raises(SettingsError, match="trim"):
        squared([(8, 8)], 4, "trim")
