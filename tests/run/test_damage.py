"""Run directories that are not one, not finished, of a newer version, or changed: named, never misread."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike.cli import main
from unalike.errors import DataError, RunError


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> unalike.Run:
    rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    return unalike.fit(rows, steps=4, batch_size=8, out=tmp_path_factory.mktemp("runs") / "rows")


def edit(folder: Path, **changes: object) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run directory: it has no run.json"):
        unalike.load(tmp_path)


def test_newer_version(finished: unalike.Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    edit(copy, format=99)
    with pytest.raises(RunError, match="newer unalike"):
        unalike.load(copy)


def test_unfinished(finished: unalike.Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    edit(copy, state="training")
    with pytest.raises(RunError, match="unalike fit --resume"):
        unalike.load(copy)
    with pytest.raises(DataError, match="data from memory: give them again"):
        unalike.resume(copy)


def test_data_that_changed_are_not_resumed(finished: unalike.Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    edit(copy, state="training")
    with pytest.raises(DataError, match="has changed since"):
        unalike.resume(copy, np.zeros((40, 5), np.float32) + np.arange(40, dtype=np.float32)[:, None])


@pytest.mark.parametrize(
    "name",
    ["weights.safetensors", "vectors.safetensors", "items.parquet", "scores.json", "metrics.jsonl", "report.html"],
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
