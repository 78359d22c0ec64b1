"""From a folder of films to a run that can be searched, embedded and scored."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def test_search_by_a_clip_that_no_run_has_seen(tmp_path: Path) -> None:
    for kind in ("right", "down"):
        for number in range(6):
            FILMS["write_film"](tmp_path / "clips" / kind / f"{number}.mp4", FILMS["moving_square"](kind, number))
    run = unalike.fit(tmp_path / "clips", system="cvrl", size=16, steps=2, out=tmp_path / "run")
    shown = [Image.fromarray(frame) for frame in FILMS["moving_square"]("down", 40)]
    for name in ("new.gif", "new.webp"):
        shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:])
    film = FILMS["write_film"](tmp_path / "new.mp4", FILMS["moving_square"]("down", 40))
    found = {path.name: run.search(str(path), k=12) for path in (film, tmp_path / "new.gif", tmp_path / "new.webp")}
    assert all(len(hits) == 12 and hits[0].score >= hits[-1].score for hits in found.values())
    # The file that a row was made from asks for that row; by its id the row itself is left out.
    best = run.search(tmp_path / "clips" / "right" / "3.mp4", k=1)[0]
    assert best.id == "right/3.mp4" and best.score == pytest.approx(1, abs=1e-5)
    assert "right/3.mp4" not in {hit.id for hit in run.search("right/3.mp4", k=12)}
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.mp4").write_bytes(b"")
    shown[0].save(tmp_path / "still.gif")
    for name, reason in {
        "text.mp4": "cannot be read as a clip: it cannot be read as a film",
        "empty.mp4": "cannot be read as a clip: it cannot be read as a film",
        "still.gif": "cannot be read as a clip: it has one frame and is a still picture",
    }.items():
        with pytest.raises(DataError, match=reason):
            run.search(tmp_path / name)
    with pytest.raises(DataError, match="there is no file"):
        run.search(tmp_path / "absent.mp4")
    with pytest.raises(DataError, match=r"taken for words, .* Search by a row's id, such as '.*', or by a clip"):
        run.search("a square that moves")


def test_clips_of_any_length_and_size_and_those_too_short(tmp_path: Path) -> None:
    lengths = {"two": 2, "three": 3, "long": 70}
    for number, (name, frames) in enumerate(lengths.items()):
        for copy in range(4):
            film = FILMS["moving_square"]("right", 10 * number + copy, frames=frames, side=24 + 8 * copy)
            FILMS["write_film"](tmp_path / "clips" / f"{name}{copy}.mp4", film)
    run = unalike.fit(tmp_path / "clips", system="cvrl", size=16, steps=2, out=tmp_path / "run")
    assert run.vectors["video"].shape[0] == 12 and np.isfinite(run.vectors["video"]).all()
    FILMS["write_film"](tmp_path / "clips" / "one.mp4", FILMS["moving_square"]("right", 0, frames=1))
    with pytest.raises(DataError, match=r"one.mp4: it has one frame and is a still picture; a clip has several"):
        unalike.fit(tmp_path / "clips", system="cvrl", size=16, steps=2, out=tmp_path / "none")
