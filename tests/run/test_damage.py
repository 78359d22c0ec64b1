"""Run directories that are not one, not finished, of a newer version, or changed: named, never misread."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike.cli import main
from unalike.errors import DataError, RunError
from unalike.files import read_sealed, write_sealed


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> unalike.Run:
    rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    return unalike.fit(rows, steps=4, batch_size=8, out=tmp_path_factory.mktemp("runs") / "rows")


def edit(folder: Path, **changes: object) -> None:
    """Change a run's record as the program itself would."""
    write_sealed(folder / "run.json", read_sealed(folder / "run.json") | changes)


def edited(run: unalike.Run, folder: Path, **changes: object) -> Path:
    """A copy of a run with another record."""
    copy = Path(shutil.copytree(run.folder, folder / "copy"))
    edit(copy, **changes)
    return copy


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run directory: it has no run.json"):
        unalike.load(tmp_path)


def test_newer_version(finished: unalike.Run, tmp_path: Path) -> None:
    copy = edited(finished, tmp_path, format=99)
    with pytest.raises(RunError, match="newer unalike"):
        unalike.load(copy)


def test_unfinished(finished: unalike.Run, tmp_path: Path) -> None:
    copy = edited(finished, tmp_path, state="training")
    with pytest.raises(RunError, match="unalike fit --resume"):
        unalike.load(copy)
    with pytest.raises(DataError, match="data from memory: give them again"):
        unalike.resume(copy)


def test_data_that_changed_are_not_resumed(finished: unalike.Run, tmp_path: Path) -> None:
    copy = edited(finished, tmp_path, state="training")
    with pytest.raises(DataError, match="has changed since"):
        unalike.resume(copy, np.zeros((40, 5), np.float32) + np.arange(40, dtype=np.float32)[:, None])


@pytest.mark.parametrize(
    "name",
    [
        "weights.safetensors",
        "vectors.safetensors",
        "items.parquet",
        "scores.json",
        "metrics.jsonl",
        "times.json",
        "report.html",
    ],
)
def test_every_changed_file_is_named(finished: unalike.Run, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=f"{name} was changed"):
        unalike.load(copy)
    path.unlink()
    with pytest.raises(RunError, match=f"{name} is missing"):
        unalike.load(copy)


def test_a_changed_byte_anywhere_is_noticed(finished: unalike.Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    generator = np.random.default_rng(0)
    files = [path for path in sorted(copy.rglob("*")) if path.is_file() and "checkpoints" not in path.parts]
    assert {path.name for path in files} >= {"run.json", "weights.safetensors", "times.json"}
    for path in files:
        content = path.read_bytes()
        places = range(len(content)) if path.name == "run.json" else generator.integers(0, len(content), 5)
        for place in list(places)[:: 23 if path.name == "run.json" else 1]:
            changed = bytearray(content)
            changed[place] ^= 1 << int(generator.integers(8))
            path.write_bytes(bytes(changed))
            with pytest.raises(RunError, match=f"{path.name}|newer unalike"):
                unalike.load(copy)
        path.write_bytes(content)
    unalike.load(copy)


def test_a_changed_byte_of_a_checkpoint_leads_to_the_one_before(finished: unalike.Run, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    options = {"steps": 4, "batch_size": 8, "checkpoint_minutes": 1e-9}
    whole = unalike.fit(rows, out=tmp_path / "whole", **options)
    newest = sorted((whole.folder / "checkpoints").iterdir())[-1]
    for path in sorted(newest.iterdir()):
        copy = Path(shutil.copytree(whole.folder, tmp_path / path.name))
        edit(copy, state="training")
        changed = copy / path.relative_to(whole.folder)
        content = bytearray(changed.read_bytes())
        content[len(content) // 2] ^= 1
        changed.write_bytes(bytes(content))
        again = unalike.resume(copy, rows)
        assert (again.folder / "weights.safetensors").read_bytes() == (
            whole.folder / "weights.safetensors"
        ).read_bytes()


def test_a_checkpoint_that_says_another_step(finished: unalike.Run, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    edit(copy, state="training")
    state = sorted((copy / "checkpoints").iterdir())[-1] / "state.json"
    state.write_text(state.read_text().replace('"step": 4', '"step": 2'))
    with pytest.raises(RunError, match=r"state.json was changed .* it says step 2. Remove"):
        unalike.resume(copy, rows)


def test_a_changed_byte_of_the_cache_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unalike import encoders, files
    from unalike.data import ImageColumn
    from unalike.encoders import packed
    from unalike.runs.build import prepared

    monkeypatch.setenv("UNALIKE_CACHE", str(tmp_path))
    monkeypatch.setattr(
        packed.PackedImages.from_column.__func__, "__kwdefaults__", {"fit": "crop", "cache": None, "in_memory": 0}
    )
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    column = ImageColumn(list(pictures))
    encoder = encoders.build_encoder("conv", [column], size=16, seed=0)
    right = prepared(encoder, column).take([0, 1, 2])
    (path,) = (files.cache_folder() / "prepared").glob("*.pixels")
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(bytes(content))
    assert (prepared(encoder, column).take([0, 1, 2]) == right).all()


def test_a_record_that_names_a_file_elsewhere(finished: unalike.Run, tmp_path: Path) -> None:
    copy = edited(finished, tmp_path, checksums={"../../secret": "0"})
    with pytest.raises(RunError, match="names a file outside"):
        unalike.load(copy)


def test_a_damaged_report_is_written_again(finished: unalike.Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    (copy / "report.html").write_text("gone")
    main(["report", str(copy)])
    assert "gone" not in (copy / "report.html").read_text()[:10]
    assert unalike.load(copy).scores == finished.scores


def test_run_json_that_is_none(finished: unalike.Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    for content in ("{", "[]", "{}", '{"format": "1"}', "\x00"):
        (copy / "run.json").write_text(content)
        with pytest.raises(RunError):
            unalike.load(copy)


def test_resume_of_a_run_that_stopped_after_training(finished: unalike.Run, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    edit(copy, state="training")
    for name in ("weights.safetensors", "vectors.safetensors", "report.html"):
        (copy / name).unlink()
    again = unalike.resume(copy, rows)
    for name in ("weights.safetensors", "vectors.safetensors", "scores.json", "metrics.jsonl"):
        assert (again.folder / name).read_bytes() == (finished.folder / name).read_bytes(), name
