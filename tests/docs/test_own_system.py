"""The page on one's own system, followed to the letter in a copy of the source."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "own-system.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the source with the page's files and lines in it."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "src", copy / "src")
    for room in ("suite", "systems"):
        shutil.copytree(ROOT / "tests" / room, copy / "tests" / room)
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, copy / name)
    file, line, study = (text for language, text in FENCE.findall(PAGE.read_text()) if language == "py")
    (copy / "src/unalike/systems/image/spectral.py").write_text(file)
    (copy / "src/unalike/systems/image/layers.py").write_text(study)
    listing = copy / "src/unalike/systems/__init__.py"
    text = listing.read_text()
    listing.write_text(text.replace("FILES = (\n", "FILES = (\n" + line + '    "image.layers",\n', 1))
    return copy


def run(checkout: Path, command: str) -> str:
    words = shlex.split(command)
    words = [sys.executable, "-m", "unalike", *words[1:]] if words[0] == "unalike" else [sys.executable, *words[1:]]
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.in_turn("docs/own-system.md", "src/unalike/records.py", "src/unalike/training/learner.py")
def test_the_page_works_as_it_is_written(checkout):
    file = (checkout / "src/unalike/systems/image/spectral.py").read_text()
    code = [line for line in file.splitlines() if line.strip()]
    assert len(code) <= 70
    commands = [
        line for language, text in FENCE.findall(PAGE.read_text()) if language == "text" for line in text.splitlines()
    ]
    assert [command.split()[:2] for command in commands] == [
        ["unalike", "systems"],
        ["unalike", "fit"],
        ["python", "-m"],
        ["unalike", "check"],
        ["python", "-m"],
        ["unalike", "check"],
    ]
    assert "Spectral Contrastive Loss" in run(checkout, commands[0])
    run(checkout, commands[1])
    assert (checkout / "runs/spectral/report.html").exists()
    assert re.search(r"[6-9] passed", run(checkout, commands[2]))
    # Two seeds in one process: the same command in a test's time.
    run(checkout, commands[3] + " --seeds 2 --jobs 1")
    row = json.loads((checkout / "results/spectral.json").read_text())
    assert {measure["name"] for measure in row["measures"]} == {
        "kNN accuracy, no more than 0.01 lower",
        "effective rank",
    }


@pytest.mark.slow
def test_the_study_is_one_file_and_is_checked_like_any_system(checkout):
    commands = re.findall(r"^(?:unalike|python) .*layers.*$", PAGE.read_text(), re.MULTILINE)
    assert re.search(r"[3-9] passed", run(checkout, commands[0]))
    assert "used by unalike check layers" in run(checkout, "unalike systems layers")
    printed = run(checkout, commands[1] + " --seeds 3 --jobs 1")
    assert re.search(r"projector +system +0\.\d+ \[0\.\d+, 0\.\d+\]", printed), printed
    row = json.loads((checkout / "results/layers.json").read_text())
    table = row["tables"]["system"]
    assert {name: len(values) for name, values in table.items()} == {"encoder": 3, "projector": 3}
    gain, encoder = row["measures"]
    differences = [one - other for one, other in zip(table["encoder"], table["projector"], strict=True)]
    assert gain["values"]["system"] == pytest.approx(differences)
    assert encoder["values"]["system"] == table["encoder"]
    assert set(encoder["floors"]) == {"untrained"}
    assert min(table["encoder"]) > 0.5
    assert row["reads"] == [1]
    assert "layers: current" in run(checkout, "unalike check layers --status --again --jobs 1")
    edited = checkout / "src/unalike/systems/image/layers.py"
    text = edited.read_text()
    edited.write_text(text.replace('"encoder"] - table', '"encoder"] - 0.5 * table'))
    done = subprocess.run(
        [sys.executable, "-m", "unalike", "check", "layers", "--status", "--jobs", "1"],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    edited.write_text(text)
    assert done.returncode == 1
    assert "layers: stale" in done.stdout
