"""From series files to a run that can be searched, embedded and scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike.errors import DataError


def write(folder: Path, rows: int = 10) -> Path:
    rng = np.random.default_rng(0)
    for kind, pace in (("slow", 9), ("fast", 3)):
        (folder / kind).mkdir(parents=True)
        for number in range(rows):
            steps = 20 + 3 * (number % 4)
            wave = np.sin((np.arange(steps) + number) * 2 * np.pi / pace) + 0.1 * rng.normal(size=steps)
            lines = ["time,heat", *(f"{t},{value:.4f}" for t, value in enumerate(wave))]
            (folder / kind / f"{number}.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("system", ["ts2vec", "autotcl"])
def test_a_folder_of_series(tmp_path: Path, system: str) -> None:
    run = unalike.fit(write(tmp_path / "series"), system=system, steps=60, holdout=0.3, seed=1, out=tmp_path / "run")
    assert any("differ in length" in note for note in run.record["notes"])
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    scores = {score.name: score for score in run.scores}
    assert scores["knn_accuracy/series"].value > 0.8, "waves of different pace are told apart"
    assert {"raw values", "untrained encoder"} <= set(scores["knn_accuracy/series"].floors)
    again = unalike.load(tmp_path / "run").embed(tmp_path / "series")
    np.testing.assert_allclose(again.vectors, run.vectors["series"], atol=1e-5)
    hit = run.search("slow/3.csv")[0]
    assert hit.label == "slow"
    (tmp_path / "other").mkdir()
    for number in range(2):
        (tmp_path / "other" / f"{number}.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="series of 2 channels were given; this encoder reads 1"):
        run.embed(tmp_path / "other")


def test_series_are_the_default_reading_of_such_data() -> None:
    from unalike.data import open_collection
    from unalike.preparing import default_system

    assert default_system(open_collection({"series": [np.arange(5.0), np.arange(7.0)]})) == "ts2vec"


def test_a_part_of_a_set_is_named_with_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    from unalike import fitting
    from unalike.data import opening

    asked = {}
    monkeypatch.setattr(opening, "open_set", lambda name, **options: asked.update(name=name, **options))
    fitting.gather("aeon:GunPoint")
    assert asked == {"name": "aeon", "dataset": "GunPoint"}
    assert not fitting.known_set("nothing:GunPoint")
