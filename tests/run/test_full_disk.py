"""A disk that is really full: a small tmpfs as the place of the run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike.errors import RunError
from unalike.training import Checkpoints


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


ROWS = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)


def test_the_message_names_the_path_and_the_bytes(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"\0" * 900_000)
    with pytest.raises(RunError, match=r"cannot write .*disk/run.*bytes were to be written.*No space left") as caught:
        unalike.fit(ROWS, steps=3, batch_size=16, out=small_disk / "run")
    assert "resume" in str(caught.value)


def test_the_checkpoint_before_still_loads(small_disk: Path) -> None:
    checkpoints = Checkpoints(small_disk / "checkpoints")
    import torch

    checkpoints.save(1, {"weights": {"w": torch.ones(50_000)}})
    (small_disk / "ballast").write_bytes(b"\0" * 700_000)
    with pytest.raises(RunError, match="No space left"):
        checkpoints.save(2, {"weights": {"w": torch.ones(50_000)}})
    found = checkpoints.load()
    assert found is not None
    assert found.step == 1
    assert not list((small_disk / "checkpoints").glob(".*"))


def test_a_run_goes_on_when_there_is_room_again(small_disk: Path, tmp_path: Path) -> None:
    whole = unalike.fit(ROWS, steps=3, batch_size=16, out=tmp_path / "whole")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 900_000)
    with pytest.raises(RunError):
        unalike.fit(ROWS, steps=3, batch_size=16, out=small_disk / "run")
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = unalike.resume(small_disk / "run", ROWS)
    assert (again.folder / "weights.safetensors").read_bytes() == (whole.folder / "weights.safetensors").read_bytes()
