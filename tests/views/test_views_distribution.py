"""The parameters of every operation are distributed as torchvision's, and drawn for each picture on its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from unalike.views import ImageViews
from unalike.views.draws import crops

N = 4000
SOURCE = (60, 80)
LEAST_P = 1e-3
"""Seeds are fixed: a test that passes once passes always, and a wrong distribution is far below this."""


@pytest.fixture(autouse=True)
def torchvision_seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        yield


def ours(source: tuple[int, int] = SOURCE, **settings):
    return ImageViews(size=48, **settings).parameters(N, torch.Generator().manual_seed(3), source)


def theirs(transform: v2.Transform, shape: tuple[int, int], n: int = N) -> list[dict]:
    picture = torch.empty(3, *shape, dtype=torch.uint8)
    return [transform.make_params([picture]) for _ in range(n)]


def same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return stats.ks_2samp(ours, theirs).pvalue > LEAST_P


SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "area": lambda box: box[:, 2] * box[:, 3],
    "ratio": lambda box: box[:, 3] / box[:, 2],
    "top": lambda box: box[:, 0],
    "left": lambda box: box[:, 1],
    "height": lambda box: box[:, 2],
    "right": lambda box: box[:, 1] + box[:, 3],
}


def crop_boxes(**settings) -> tuple[np.ndarray, np.ndarray]:
    transform = v2.RandomResizedCrop(48, settings["crop_scale"], settings["crop_ratio"])
    expected = [[d["top"], d["left"], d["height"], d["width"]] for d in theirs(transform, SOURCE)]
    return ours(**settings).crop.numpy(), np.array(expected)


@pytest.mark.parametrize(
    "scale, ratio", [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.2, 0.5), (0.5, 3.0)), ((0.9, 1.0), (1, 1))]
)
def test_crops_are_distributed_as_torchvisions(scale, ratio):
    got, expected = crop_boxes(crop_scale=scale, crop_ratio=ratio)
    for name, shape in SHAPES.items():
        assert same(shape(got), shape(expected)), name


def test_another_scale_of_crops_is_told_apart():
    """The test above has power: the area of crops from 0.2 on is not that of crops from 0.08 on."""
    got = ours(crop_scale=(0.2, 1.0)).crop.numpy()
    _, expected = crop_boxes(crop_scale=(0.08, 1.0), crop_ratio=(3 / 4, 4 / 3))
    assert not same(SHAPES["area"](got), SHAPES["area"](expected))


@pytest.mark.parametrize("source", [(20, 300), (300, 20)])
def test_where_no_crop_fits_the_centre_is_taken_as_often_as_by_torchvision(source):
    settings = {"scale": (0.5, 1.0), "ratio": (3 / 4, 4 / 3)}
    boxes = crops(N, source, generator=torch.Generator().manual_seed(0), **settings)
    drawn = theirs(v2.RandomResizedCrop(48, **settings), source, 200)
    expected = {tuple(int(d[key]) for key in ("top", "left", "height", "width")) for d in drawn}
    assert {tuple(box) for box in boxes.tolist()} == expected
    assert len(expected) == 1


def test_every_crop_lies_inside_the_picture():
    for source in [(5, 7), (64, 64), (33, 200)]:
        top, left, height, width = ours(source, crop_scale=(0.01, 1.0)).crop.unbind(1)
        assert int(height.min()) >= 1 and int(width.min()) >= 1
        assert int(top.min()) >= 0 and int((top + height).max()) <= source[0]
        assert int(left.min()) >= 0 and int((left + width).max()) <= source[1]


def test_a_crop_may_lie_at_any_place_up_to_the_last():
    boxes = crops(N, (6, 6), (0.25, 0.25), (1.0, 1.0), torch.Generator().manual_seed(0))
    assert set(map(tuple, boxes[:, 2:].tolist())) == {(3, 3)}
    places = boxes[:, 0] * 4 + boxes[:, 1]
    assert stats.chisquare(torch.bincount(places, minlength=16).tolist()).pvalue > LEAST_P


@pytest.mark.parametrize("strength", [1.0, 0.5, 1.5])
def test_jitter_is_distributed_as_torchvisions(strength):
    reach = (0.8, 0.7, 0.6, 0.2)
    drawn = ours(jitter=reach, jitter_p=1.0, strength=strength)
    expected = theirs(v2.ColorJitter(*(strength * x for x in reach)), SOURCE)
    for column, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        assert same(drawn.jitter[:, column].numpy(), np.array([d[f"{name}_factor"] for d in expected])), name
    assert float(drawn.jitter[:, :3].min()) >= 0


def test_the_four_jitters_come_in_any_order_alike_often():
    found = [tuple(order) for order in ours().order.tolist()]
    counts = [found.count(order) for order in itertools.permutations(range(4))]
    assert sum(counts) == N
    assert stats.chisquare(counts).pvalue > LEAST_P


def test_the_width_of_the_blur_is_distributed_as_torchvisions():
    drawn = ours(blur=1.0, blur_sigma=(0.1, 2.0)).sigma
    expected = [d["sigma"][0] for d in theirs(v2.GaussianBlur(7, (0.1, 2.0)), SOURCE)]
    assert same(drawn.numpy(), np.array(expected))


@pytest.mark.parametrize("scale, ratio", [((0.02, 0.33), (0.3, 3.3)), ((0.3, 0.9), (0.2, 0.8))])
def test_erased_boxes_are_distributed_as_torchvisions(scale, ratio):
    drawn = ours(erase=1.0, erase_scale=scale, erase_ratio=ratio).erase.numpy()
    params = theirs(v2.RandomErasing(1.0, scale, ratio), (48, 48))
    expected = np.array([[d["i"], d["j"], d["h"], d["w"]] if d["v"] is not None else [0] * 4 for d in params])
    there, here = expected[:, 2] > 0, drawn[:, 2] > 0
    assert stats.fisher_exact([[here.sum(), N - here.sum()], [there.sum(), N - there.sum()]]).pvalue > LEAST_P
    for name, shape in SHAPES.items():
        assert same(shape(drawn[here]), shape(expected[there])), name


@pytest.mark.parametrize("p", [0.0, 0.2, 0.8, 1.0])
def test_every_operation_happens_as_often_as_it_should(p):
    drawn = ours(flip=p, jitter_p=p, gray=p, blur=p, solarize=p, erase=p)
    happened = {
        "flip": drawn.flip,
        "jitter": (drawn.jitter != torch.tensor([1.0, 1.0, 1.0, 0.0])).any(1),
        "gray": drawn.gray,
        "blur": drawn.sigma > 0,
        "solarize": drawn.solarize,
        "erase": drawn.erase[:, 2] > 0,
    }
    for name, flags in happened.items():
        assert stats.binomtest(int(flags.sum()), N, p).pvalue > LEAST_P, name


def test_the_draws_of_one_picture_say_nothing_about_each_other_nor_about_the_next():
    drawn = ours(jitter_p=1.0, blur=1.0, solarize=0.5, gray=0.5)
    columns = [drawn.crop[:, 0], drawn.crop[:, 1], drawn.crop[:, 2] * drawn.crop[:, 3], drawn.flip, *drawn.jitter.T]
    columns = [c.double().numpy() for c in [*columns, drawn.gray, drawn.sigma, drawn.solarize]]
    # A corner and an area depend on each other: the larger the crop, the fewer places.
    dependent = {(0, 2), (1, 2), (0, 1)}
    for (i, a), (j, b) in itertools.combinations(enumerate(columns), 2):
        if (i, j) not in dependent:
            assert stats.spearmanr(a, b).pvalue > 1e-4, (i, j)
    for i, column in enumerate(columns):
        assert stats.spearmanr(column[1:], column[:-1]).pvalue > 1e-4, i


def test_the_generator_decides_and_the_global_one_is_left_alone():
    before = torch.get_rng_state()
    view = ImageViews(size=48)
    first, again, other = (view.parameters(50, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    for name in ("crop", "flip", "jitter", "order", "gray", "sigma", "solarize", "erase"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.jitter, other.jitter)
    assert torch.equal(torch.get_rng_state(), before)
