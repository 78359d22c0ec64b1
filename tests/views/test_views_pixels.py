"""With given parameters, every operation makes the pixels that torchvision makes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torchvision.transforms.v2.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.views import ImageParameters, ImageViews, byol, gentle, moco_v2, multi_crop, plain, render, simclr

NEAR = 3e-6
"""Greatest difference of a value between 0 and 1: float32 arithmetic in another order."""

RAW = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def pictures(n: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Noise, all corners of the colour cube, and as the second picture a grey ramp."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator)
    corners = torch.tensor([[r, g, b] for r in (0, 128, 255) for g in (0, 128, 255) for b in (0, 128, 255)])
    flat = corners.repeat(height * width // 27 + 1, 1)[: height * width].T.reshape(3, height, width)
    images[::3] = flat.to(torch.uint8)
    if n > 1:
        images[1] = torch.linspace(0, 255, width).to(torch.uint8)
    return images


def nothing(n: int, height: int, width: int) -> ImageParameters:
    """Parameters that change nothing."""
    no = torch.zeros(n, dtype=torch.bool)
    return ImageParameters(
        crop=torch.tensor([0, 0, height, width]).repeat(n, 1),
        flip=no,
        jitter=torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(n, 1),
        order=torch.arange(4).repeat(n, 1),
        gray=no,
        sigma=torch.zeros(n),
        solarize=no,
        erase=torch.zeros(n, 4, dtype=torch.int64),
    )


def reference(picture: Tensor, row: ImageParameters, size: tuple[int, int]) -> Tensor:
    """One picture of floats from 0 to 1 through torchvision, operation by operation."""
    picture = F.resized_crop(picture, *row.crop[0].tolist(), list(size), antialias=True)
    if row.flip:
        picture = F.horizontal_flip(picture)
    operations = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for at in row.order[0].tolist():
        picture = operations[at](picture, float(row.jitter[0, at]))
    if row.gray:
        picture = F.rgb_to_grayscale(picture, 3)
    if row.sigma > 0:
        kernel = 2 * max(1, min(size) // 20) + 1
        picture = F.gaussian_blur(picture, [kernel, kernel], [float(row.sigma)] * 2)
    if row.solarize:
        picture = F.solarize(picture, 0.5)
    return picture


def expected(images: Tensor, parameters: ImageParameters, size: tuple[int, int]) -> Tensor:
    rows = [slice(i, i + 1) for i in range(len(parameters))]
    return torch.stack([reference(images[row][0] / 255, parameters[row], size) for row in rows])


def assert_near(got: Tensor, wanted: Tensor, near: float = NEAR) -> None:
    assert got.shape == wanted.shape
    assert float((got - wanted).abs().max()) < near


def test_nothing_changes_nothing():
    images = pictures(3, 20, 30)
    view = ImageViews(size=(20, 30), **RAW)
    assert_near(view.apply(images, nothing(3, 20, 30)), images / 255)


BOXES = [(0, 0, 40, 60), (3, 5, 20, 11), (39, 59, 1, 1), (10, 0, 30, 60), (0, 20, 40, 17), (7, 8, 2, 50)]


@pytest.mark.parametrize("size", [(16, 16), (40, 60), (64, 48), (5, 90), (13, 7)])
@pytest.mark.parametrize("flipped", [False, True])
def test_crop_resize_and_flip(size, flipped):
    """Larger and smaller, one axis up and the other down, single pixels: to float32 rounding, antialias included."""
    images = pictures(len(BOXES), 40, 60)
    parameters = replace(nothing(len(BOXES), 40, 60), crop=torch.tensor(BOXES), flip=torch.full((len(BOXES),), flipped))
    got = ImageViews(size=size, **RAW).apply(images, parameters)
    assert_near(got, expected(images, parameters, size))


def test_crop_and_resize_are_within_one_step_of_bytes_of_torchvision_on_bytes():
    """On uint8 tensors torchvision rounds to whole steps in each of its two passes; here nothing is rounded."""
    images = pictures(len(BOXES), 40, 60)
    parameters = replace(nothing(len(BOXES), 40, 60), crop=torch.tensor(BOXES))
    got = ImageViews(size=24, **RAW).apply(images, parameters)
    for picture, box, look in zip(images, BOXES, got, strict=True):
        rounded = F.resized_crop(picture, *box, [24, 24], antialias=True) / 255
        assert_near(look, rounded, near=1.01 / 255)


@pytest.mark.parametrize("column", range(4), ids=["brightness", "contrast", "saturation", "hue"])
def test_each_jitter(column):
    values = [-0.5, -0.3, -0.01, 0.2, 0.5] if column == 3 else [0.0, 0.4, 0.99, 1.3, 1.8]
    images = pictures(len(values), 24, 24)
    parameters = nothing(len(values), 24, 24)
    parameters.jitter[:, column] = torch.tensor(values)
    got = ImageViews(size=24, **RAW).apply(images, parameters)
    assert_near(got, expected(images, parameters, (24, 24)))
    coloured = torch.arange(len(values)) != 1
    assert float((got - images / 255).abs().amax((1, 2, 3))[coloured].min()) > 1e-3


@pytest.mark.parametrize("name", ["gray", "solarize"])
def test_gray_and_solarize_of_some_pictures(name):
    images = pictures(5, 24, 24)
    flags = torch.tensor([True, False, True, True, False])
    parameters = replace(nothing(5, 24, 24), **{name: flags})
    got = ImageViews(size=24, **RAW).apply(images, parameters)
    assert_near(got, expected(images, parameters, (24, 24)))
    assert_near(got[~flags], images[~flags] / 255)


@pytest.mark.parametrize("size", [(8, 8), (40, 40), (70, 64), (224, 60)])
def test_blur(size):
    sigma = torch.tensor([0.0, 0.1, 0.3, 0.7, 1.4, 2.0, 9.0])
    images = pictures(len(sigma), *size)
    parameters = replace(nothing(len(sigma), *size), sigma=sigma)
    got = ImageViews(size=size, **RAW).apply(images, parameters)
    assert_near(got, expected(images, parameters, size))


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.3, 2.0])
def test_a_wide_kernel_is_cut_only_where_it_weighs_nothing(sigma):
    images = pictures(2, 224, 240)
    parameters = replace(nothing(2, 224, 240), sigma=torch.full((2,), sigma))
    got = ImageViews(size=(224, 240), **RAW).apply(images, parameters)
    assert_near(got, expected(images, parameters, (224, 240)))


def test_an_erased_box_has_the_mean_colour():
    images = pictures(3, 24, 24)
    parameters = replace(nothing(3, 24, 24), erase=torch.tensor([[2, 3, 10, 5], [0, 0, 0, 0], [20, 23, 4, 1]]))
    view = ImageViews(size=24)
    got = view.apply(images, parameters)
    wanted = F.normalize(images / 255, view.mean, view.std)
    wanted[0] = F.erase(wanted[0], 2, 3, 10, 5, torch.zeros(3, 1, 1))
    wanted[2] = F.erase(wanted[2], 20, 23, 4, 1, torch.zeros(3, 1, 1))
    assert_near(got, wanted, near=2e-5)


@settings(max_examples=15, deadline=None)
@given(
    size=st.tuples(st.integers(2, 48), st.integers(2, 48)),
    source=st.tuples(st.integers(2, 70), st.integers(2, 70)),
    n=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_whole_views_of_any_size(size, source, n, seed):
    images = pictures(n, *source, seed=seed)
    view = ImageViews(size=size, crop_scale=(0.05, 1.0), solarize=0.3, gray=0.3, **RAW)
    drawn = view.parameters(n, torch.Generator().manual_seed(seed), source)
    # Contrast and saturation stretch differences by up to 1.8 each; at half grey, solarize turns them around.
    assert_near(view.apply(images, drawn), expected(images, drawn, size), near=2e-5)


def test_a_view_is_standardised():
    images = pictures(6, 40, 40)
    view = simclr(size=32)
    drawn = view.parameters(6, torch.Generator().manual_seed(0), (40, 40))
    wanted = F.normalize(expected(images, drawn, (32, 32)), view.mean, view.std)
    assert_near(view.apply(images, drawn), wanted, near=2e-5)


# One batch is as good as many


def test_pictures_of_one_batch_get_draws_of_their_own():
    images = pictures(1, 40, 40).repeat(16, 1, 1, 1)
    looks = simclr(size=32)(images, torch.Generator().manual_seed(0))
    distance = (looks[:, None] - looks[None]).abs().amax((2, 3, 4))
    assert float(distance.fill_diagonal_(1).min()) > 1e-2


def test_the_seed_decides():
    images = pictures(8, 40, 40)
    view = simclr(size=40)
    first, again, other = (view(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_batch_equals_its_pictures_one_by_one():
    images = pictures(20, 50, 44)
    view = ImageViews(size=48, crop_scale=(0.08, 1.0), solarize=0.3, erase=0.5)
    drawn = view.parameters(20, torch.Generator().manual_seed(0), (50, 44))
    together = view.apply(images, drawn)
    alone = torch.cat([view.apply(images[i : i + 1], drawn[i : i + 1]) for i in range(20)])
    assert_near(together, alone, near=2e-5)


def test_neither_blocks_nor_memory_format_matter(monkeypatch):
    images = pictures(20, 50, 44)
    view = simclr(size=48)
    drawn = view.parameters(20, torch.Generator().manual_seed(0), (50, 44))
    wanted = view.apply(images, drawn)
    assert torch.equal(view.apply(images.contiguous(memory_format=torch.channels_last), drawn), wanted)
    wider = torch.zeros(20, 3, 50, 50, dtype=torch.uint8)
    wider[..., 3:47] = images
    assert torch.equal(view.apply(wider[..., 3:47], drawn), wanted)
    monkeypatch.setattr(render, "CPU_BLOCK", 1)
    assert_near(view.apply(images, drawn), wanted, near=2e-5)


def test_several_looks_are_made_at_once_and_differ():
    images = pictures(7, 40, 40)
    view = simclr(size=32)
    looks = view.views(images, torch.Generator().manual_seed(0), count=3)
    assert [tuple(look.shape) for look in looks] == [(7, 3, 32, 32)] * 3
    drawn = view.parameters(21, torch.Generator().manual_seed(0), (40, 40))
    for i, look in enumerate(looks):
        assert_near(look, view.apply(images, drawn[slice(7 * i, 7 * i + 7)]), near=2e-5)
    assert float((looks[0] - looks[1]).abs().amax((1, 2, 3)).min()) > 1e-2


def test_no_pictures_give_no_views():
    assert simclr(size=32)(torch.empty(0, 3, 40, 40, dtype=torch.uint8), torch.Generator()).shape == (0, 3, 32, 32)


# Presets


@pytest.mark.parametrize("make", [simclr, moco_v2, gentle])
def test_presets_make_views_of_the_size_that_was_asked_for(make):
    images = pictures(4, 40, 40)
    for size, shape in ((24, (24, 24)), ((24, 40), (24, 40))):
        look = make(size)(images, torch.Generator().manual_seed(0))
        assert look.shape == (4, 3, *shape) and bool(look.isfinite().all())


def test_byol_blurs_one_view_always_and_solarizes_only_the_other():
    first, second = byol(size=64)
    drawn = [view.parameters(2000, torch.Generator().manual_seed(0)) for view in (first, second)]
    assert bool((drawn[0].sigma > 0).all()) and not bool(drawn[0].solarize.any())
    assert 0.07 < float((drawn[1].sigma > 0).float().mean()) < 0.13
    assert 0.17 < float(drawn[1].solarize.float().mean()) < 0.23


def test_multi_crop_makes_few_large_and_many_small_crops():
    images = pictures(3, 80, 80)
    generator = torch.Generator().manual_seed(0)
    looks = [view(images, generator) for view in multi_crop((64, 32), (2, 4), ((0.2, 1.0), (0.05, 0.2)))]
    assert [look.shape[-1] for look in looks] == [64, 64, 32, 32, 32, 32]
    small = multi_crop((64, 32), (2, 4), ((0.2, 1.0), (0.05, 0.2)))[-1].parameters(500, generator, (80, 80))
    share = small.crop[:, 2] * small.crop[:, 3] / 6400
    assert float(share.min()) > 0.04 and float(share.max()) < 0.22
    with pytest.raises(ValueError):
        multi_crop((64, 32), (2,), ((0.2, 1.0), (0.05, 0.2)))


@pytest.mark.parametrize("source", [(40, 60), (61, 40), (32, 32), (20, 30)])
def test_plain_is_resize_centre_crop_and_normalise(source):
    images = pictures(3, *source)
    view = plain(size=32)
    wanted = F.center_crop(F.resize(images / 255, [32], antialias=True), [32, 32])
    assert_near(view(images), F.normalize(wanted, view.mean, view.std), near=2e-5)
    stretched = F.normalize(F.resize(images / 255, [32, 32], antialias=True), view.mean, view.std)
    assert_near(plain(size=32, crop=False)(images), stretched, near=2e-5)


def test_plain_draws_nothing_and_changes_no_input():
    images = pictures(3, 32, 32)
    before = images.clone()
    first, second = plain(size=32).views(images, torch.Generator())
    assert torch.equal(first, second) and torch.equal(images, before)


# What goes wrong


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(SettingsError) as error:
        ImageViews(size=32, flip=1.5, crop_scale=(0.9, 0.1), jitter=(0.8, 0.8, 0.8, 0.4), strength=2.0, std=(0, 1, 1))
    for name in ("flip=1.5", "crop_scale=(0.9, 0.1)", "0.8 turns of hue", "std=(0, 1, 1)"):
        assert name in str(error.value)
    for wrong in ({"size": 1}, {"size": 32, "jitter": (-1, 0, 0, 0)}, {"size": 32, "blur_sigma": (0.0, 1.0)}):
        with pytest.raises(SettingsError):
            ImageViews(**wrong)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)],
)
@pytest.mark.parametrize("view", [simclr(size=8), plain(size=8)])
def test_what_is_no_batch_of_pictures_is_refused(view, images):
    with pytest.raises(DataError, match="uint8"):
        view(images, torch.Generator())


def test_parameters_for_another_number_of_pictures_are_refused():
    view = simclr(size=8)
    with pytest.raises(DataError, match="multiple"):
        view.apply(pictures(3, 8, 8), view.parameters(4, torch.Generator()))
