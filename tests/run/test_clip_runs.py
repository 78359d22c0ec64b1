"""From a folder of films to a run that can be searched, embedded and scored."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike.errors import DataError

FILMS = runpy.run_path(str(Path(__file__).parents[1] / "data" / "clip_files.py"))


def test_a_folder_of_clips(tmp_path: Path) -> None:
    for kind in ("right", "down"):
        for number in range(12):
            FILMS["write_film"](tmp_path / "clips" / kind / f"{number}.mp4", FILMS["moving_square"](kind, number))
    (tmp_path / "clips" / "down" / "bad.mp4").write_text("no film")
    with pytest.raises(DataError, match=r"1 of 25 items of clips cannot be read.*\n  down/bad.mp4: it cannot be read"):
        unalike.fit(tmp_path / "clips", system="cvrl", size=16, steps=2, out=tmp_path / "none")
    run = unalike.fit(
        tmp_path / "clips", system="cvrl", size=16, steps=4, holdout=0.3, tolerance=0.1, out=tmp_path / "run"
    )
    assert [each["id"] for each in run.record["skipped"]] == ["down/bad.mp4"]
    assert {"mean frame", "untrained encoder"} <= set(run.scores[0].floors)
    again = unalike.load(tmp_path / "run").embed(tmp_path / "clips" / "right")
    rows = [run.items.ids.index(f"right/{id}") for id in again.ids]
    np.testing.assert_allclose(again.vectors, run.vectors["video"][rows], atol=1e-5)
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
