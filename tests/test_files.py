"""Files on other systems, whose answers are put in the place of this one's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import unalike
from unalike import files
from unalike.data import ImageColumn
from unalike.encoders import PackedImages
from unalike.errors import RunError


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders cannot be opened, and a file that is open can be neither renamed nor removed."""
    real_open, real_replace, real_unlink = os.open, Path.replace, Path.unlink

    def opened(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real_open(path, flags, *rest, **more)

    def closed(real: Callable[..., Any]) -> Callable[..., Any]:
        def checked(path: Path, *rest: Any, **more: Any) -> Any:
            held = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
            if os.path.realpath(path) in held:
                raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
            return real(path, *rest, **more)

        return checked

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(Path, "replace", closed(real_replace))
    monkeypatch.setattr(Path, "unlink", closed(real_unlink))


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")


def test_a_folder_that_cannot_be_opened_is_passed_over(windows: None, tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a", b"held")
    assert (tmp_path / "a").read_bytes() == b"held" and [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_that_cannot_be_written_is_still_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(RunError, match=r"cannot write .*a \(4 bytes.*Permission denied"):
        files.write_bytes(tmp_path / "a", b"held")


@needs_proc
def test_a_run_where_windows_answers(windows: None, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    run = unalike.fit(rows, steps=2, batch_size=16, out=tmp_path / "run")
    assert (tmp_path / "run" / "run.json").is_file() and len(run.embed(rows[:2]).vectors) == 2


@needs_proc
def test_pixels_are_kept_where_an_open_file_has_no_other_name(windows: None, tmp_path: Path) -> None:
    column = ImageColumn([Image.new("RGB", (8, 8), (value, 0, 0)) for value in range(4)])
    for _ in range(2):
        packed = PackedImages.from_column(column, 4, cache=tmp_path, in_memory=0)
        assert packed.take([3])[0, 0, 0, 0] == 3
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".pixels"]
