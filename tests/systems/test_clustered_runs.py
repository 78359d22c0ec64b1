"""Systems that learn by clusters, on a folder of pictures: what was fitted can be loaded, embeds and searches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unalike
from unalike import encoders
from unalike.data import Collection, ImageColumn


@pytest.mark.parametrize("slug", ["swav", "gsimclr", "mcl"])
def test_fit_load_embed_and_search(slug: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(np.array(colour) + rng.normal(0, 25, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    run = unalike.fit(tmp_path / "photos", system=slug, out=tmp_path / "run", size=16, steps=9, batch_size=8)
    loaded = unalike.load(tmp_path / "run")
    assert isinstance(loaded.learner.encoders["image"], encoders.Ensemble) == (slug == "mcl")
    column = ImageColumn([Image.open(path) for path in sorted((tmp_path / "photos" / "red").glob("*.png"))[:4]])
    ours, theirs = (each.embed_column(Collection({"image": column}, name="some"), "image") for each in (run, loaded))
    np.testing.assert_array_equal(ours, theirs)
    hits = loaded.search(tmp_path / "photos" / "red" / "3.png", k=5)
    assert len(hits) == 5
    assert hits[0].score == pytest.approx(1.0, abs=1e-4)
