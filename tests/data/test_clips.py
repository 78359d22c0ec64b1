"""Films and animated pictures: what is read, and what is refused before and while it is decoded."""

from __future__ import annotations

import io
import runpy
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unalike.data import ClipColumn, open_collection
from unalike.data.clips import iter_frames
from unalike.errors import DataError, MissingExtra

FILMS = runpy.run_path(str(Path(__file__).with_name("clip_files.py")))
moving_square, write_film = FILMS["moving_square"], FILMS["write_film"]


def test_a_film_gives_its_frames_in_order(tmp_path: Path) -> None:
    frames = moving_square("right", 1)
    found = [np.asarray(frame) for frame in iter_frames(write_film(tmp_path / "a.mp4", frames))]
    assert len(found) == 12
    for ours, theirs in zip(found, frames, strict=True):
        assert ours.shape == (32, 32, 3)
        assert np.abs(ours.astype(int) - theirs).mean() < 12, "but for the losses of compression"


@pytest.mark.parametrize("ending", ["gif", "webp", "apng"])
def test_an_animated_picture_gives_its_frames(tmp_path: Path, ending: str) -> None:
    pictures = [Image.new("RGB", (20, 10), (80 * n, 10, 10)) for n in range(3)]
    options = {"lossless": True} if ending == "webp" else {}
    pictures[0].save(
        tmp_path / f"a.{ending}",
        format="PNG" if ending == "apng" else None,
        save_all=True,
        append_images=pictures[1:],
        **options,
    )
    found = list(iter_frames(tmp_path / f"a.{ending}"))
    assert [frame.getpixel((3, 3))[0] for frame in found] == [0, 80, 160]
    assert found[0].mode == "RGB"


def test_a_folder_of_clips(tmp_path: Path) -> None:
    for kind in ("right", "down"):
        write_film(tmp_path / kind / "a.mp4", moving_square(kind, 0))
    (tmp_path / "notes.txt").write_text("no film")
    found = open_collection(tmp_path)
    assert found.ids == ["down/a.mp4", "right/a.mp4"]
    assert [found["label"][row] for row in range(2)] == ["down", "right"]
    assert isinstance(found["video"], ClipColumn)
    assert found.notes == ("1 file is no film and is ignored",)
    (tmp_path / "list.csv").write_text("clip,what\nright/a.mp4,r\ndown/a.mp4,d\n")
    named = open_collection(tmp_path / "list.csv", roles={"video": "clip"}, label="what")
    assert named["video"][0] == tmp_path / "right" / "a.mp4"
    assert named["video"].select([1]).fingerprint() == found["video"].select([0]).fingerprint()


def test_what_is_no_film(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(picture, "PNG")
    (tmp_path / "picture.mp4").write_bytes(picture.getvalue())
    (tmp_path / "text.mp4").write_text("no film at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with wave.open(str(tmp_path / "sound.mp4"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    Image.new("RGB", (16, 16)).save(tmp_path / "still.gif")
    write_film(tmp_path / "one.mp4", moving_square("right", 0, frames=1))
    for name, expected in {
        "picture.mp4": "one frame and is a still picture",
        "text.mp4": "cannot be read as a film",
        "empty.mp4": "cannot be read as a film",
        "sound.mp4": "no moving pictures",
        "still.gif": "one frame and is a still picture",
        "one.mp4": "one frame and is a still picture",
        "absent.mp4": "cannot be read",
        "absent.gif": "cannot be read",
    }.items():
        with pytest.raises(DataError, match=expected):
            list(iter_frames(tmp_path / name))


def test_limits_hold_before_anything_is_decoded(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.avi", moving_square("right", 0))
    with pytest.raises(DataError, match=r"frames have 1,024 pixels; at most 500"):
        next(iter_frames(path, max_pixels=500))
    with pytest.raises(DataError, match=r"has 12 frames; at most 5 are read"):
        next(iter_frames(path, most=5))
    frames = [Image.new("RGB", (30, 30), (n, n, n)) for n in range(0, 250, 50)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="at most 3"):
        next(iter_frames(tmp_path / "a.gif", most=3))


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"unalike\[video\]"):
        list(iter_frames(tmp_path / "a.mp4"))
