"""A disk that is really full: a small tmpfs as the place of the run."""

from __future__ import annotations

import shutil
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


def remount(place: Path, size: int) -> None:
    """Give the small disk another size in bytes."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def test_wherever_the_disk_is_full_the_run_goes_on(small_disk: Path, tmp_path: Path) -> None:
    options = {"steps": 6, "batch_size": 16, "checkpoint_minutes": 1e-9, "device": "cpu"}
    whole = unalike.fit(ROWS, out=tmp_path / "whole", **options)
    total = sum(path.stat().st_size for path in whole.folder.rglob("*") if path.is_file())
    stopped = set()
    for share in (0.02, 0.3, 0.5, 0.7, 0.85, 0.95):
        remount(small_disk, max(8192, int(share * total)))
        with pytest.raises(RunError, match="No space left") as caught:
            unalike.fit(ROWS, out=small_disk / "run", **options)
        stopped.add(str(caught.value).split("cannot write ")[1].split(" ")[0].removeprefix(f"{small_disk}/run/"))
        remount(small_disk, 4 * total)
        again = (
            unalike.resume(small_disk / "run", ROWS)
            if (small_disk / "run" / "run.json").exists()
            else unalike.fit(ROWS, out=small_disk / "run", **options)
        )
        for name in ("weights.safetensors", "vectors.safetensors", "metrics.jsonl", "scores.json"):
            assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes(), (share, name)
        shutil.rmtree(small_disk / "run")
    assert len(stopped) >= 3, stopped


def test_a_full_disk_under_the_cache_and_under_vectors(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unalike import encoders
    from unalike.data import ImageColumn
    from unalike.encoders import packed
    from unalike.runs.build import prepared

    monkeypatch.setenv("UNALIKE_CACHE", str(small_disk / "cache"))
    kept = {"fit": "crop", "cache": None, "in_memory": 0}
    monkeypatch.setattr(packed.PackedImages.from_column.__func__, "__kwdefaults__", kept)
    pictures = ImageColumn([np.zeros((64, 64, 3), np.uint8)] * 100)
    with pytest.raises(RunError, match=r"cannot write .*disk/cache.*No space left"):
        prepared(encoders.build_encoder("conv", [pictures], size=64, seed=0), pictures)
    vectors = unalike.Embedded(["a"] * 4000, {"array": np.random.default_rng(0).random((4000, 100), np.float32)})
    with pytest.raises(RunError, match=r"cannot write .*vectors.parquet.*No space left"):
        vectors.save(small_disk / "vectors.parquet")
    assert not [path for path in small_disk.rglob("*") if path.is_file() and path.stat().st_size]
