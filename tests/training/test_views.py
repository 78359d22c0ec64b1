"""Several views of each row: as many as were asked for, each row with draws of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from towers import Plain

from unalike import views
from unalike.encoders import GridNet
from unalike.training import Inputs, Task

SIZE, ROWS = 16, 6


def batch():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (ROWS, 3, 20, 20), dtype=torch.uint8, generator=generator)
    return Inputs({"image": Plain(pictures)}).batch(np.arange(ROWS)), pictures


def task(**options) -> Task:
    return Task(encoders={"image": GridNet(size=SIZE)}, roles={"image": ("image",)}, rows=ROWS, steps=1, **options)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_k_views_are_k_different_looks_of_every_row(count: int) -> None:
    some, pictures = batch()
    view = views.simclr(SIZE)
    look = task().random_views("image", *[view] * count)
    seen = look(some, torch.Generator().manual_seed(1))
    assert [each.shape for each in seen] == [(ROWS, 3, SIZE, SIZE)] * count
    assert len({each.numpy().tobytes() for picture in zip(*seen, strict=True) for each in picture}) == count * ROWS
    again = look(some, torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) for a, b in zip(seen, again, strict=True))
    generator = torch.Generator().manual_seed(1)
    one_by_one = (
        view.views(pictures, generator, count=count) if count > 2 else [view(pictures, generator) for _ in seen]
    )
    assert all(torch.equal(a, b) for a, b in zip(seen, one_by_one, strict=True))


def test_views_stay_in_their_order_and_crops_have_their_sizes() -> None:
    some, pictures = batch()
    crops = views.multi_crop(sizes=(SIZE, 8), counts=(2, 4), scales=((0.3, 1.0), (0.1, 0.3)))
    seen = task().random_views("image", *crops)(some, torch.Generator().manual_seed(0))
    assert [each.shape[-1] for each in seen] == [SIZE] * 2 + [8] * 4
    strong, gentle = views.simclr(SIZE), lambda entries, generator: entries.float()
    mixed = task().random_views("image", gentle, strong, gentle)(some, torch.Generator().manual_seed(0))
    assert torch.equal(mixed[0], pictures.float())
    assert torch.equal(mixed[2], pictures.float())
    assert mixed[1].shape[-1] == SIZE


def test_the_users_view_replaces_every_one() -> None:
    some, pictures = batch()
    chosen = task(view={"image": lambda entries, generator: entries.float()})
    seen = chosen.random_views("image", *views.multi_crop(sizes=(SIZE, 8), counts=(2, 4)))(some, torch.Generator())
    assert len(seen) == 6
    assert all(torch.equal(each, pictures.float()) for each in seen)
