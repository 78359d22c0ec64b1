"""The page on one's own kind of data, followed to the letter in a copy of the source."""

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
PAGE = ROOT / "docs" / "own-modality.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLES = (("src/unalike/data/kinds.py", "_RECORDS = (\n"), ("src/unalike/encoders/kinds.py", "KIND_USES: Registry"))


def blocks(language: str) -> list[str]:
    return [text for name, text in FENCE.findall(PAGE.read_text(encoding="utf-8")) if name == language]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with the page's files and records in it, and its data."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    column, encoder, *records = blocks("py")
    (copy / "src/unalike/data/molecules.py").write_text(column)
    (copy / "src/unalike/encoders/molecules.py").write_text(encoder)
    for (file, table), record in zip(TABLES, records, strict=True):
        imported, _, entry = record.partition("\n\n")
        text = (copy / file).read_text()
        begin = text.index("\n", text.index(table)) + 1
        text = text[:begin] + entry + text[begin:]
        first = re.search(r"^from (unalike|\.)", text, re.MULTILINE)
        assert first is not None
        (copy / file).write_text(text[: first.start()] + imported + "\n" + text[first.start() :])
    (copy / "molecules.csv").write_text(blocks("csv")[0])
    return copy


def run(checkout: Path, command: str, code: int = 0) -> str:
    words = [sys.executable, "-m", *shlex.split(command)]
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*.py*") if "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_kind_of_data_is_four_files(checkout: Path) -> None:
    old, new = contents(ROOT / "src" / "unalike"), contents(checkout / "src" / "unalike")
    assert sorted(name for name in new if old.get(name) != new[name]) == [
        "data/kinds.py",
        "data/molecules.py",
        "encoders/kinds.py",
        "encoders/molecules.py",
    ]


def test_the_page_works_as_it_is_written(checkout: Path) -> None:
    fit, search, evaluate, report = blocks("text")[0].splitlines()
    assert "molecules" in run(checkout, fit)
    record = json.loads((checkout / "runs/molecules/run.json").read_text())
    assert record["spec"]["roles"] == {"molecule": ["molecule"], "text": ["text"]}
    assert record["spec"]["encoder"]["molecule"] == "smiles"
    hits = run(checkout, search)
    assert hits.count("alcohol") >= 3, hits  # of ten, where one row in five is one
    scores = json.loads((checkout / "runs/molecules/scores.json").read_text())
    floors = {name for score in scores for name in score["floors"]}
    assert "n-gram counts of SMILES" in floors and any("molecule" in score["name"] for score in scores)
    assert "molecule" in run(checkout, evaluate)
    run(checkout, report)
    page = (checkout / "runs/molecules/report.html").read_text()
    assert "molecules and texts" in page and "data:image/" in page


def test_what_is_no_molecule_is_said(checkout: Path) -> None:
    (checkout / "wrong.csv").write_text("smiles,name\nCCO,ethanol\nhello,greeting\n")
    words = "unalike fit wrong.csv --molecule smiles --text name --system symile"
    assert "row 1 holds 'hello'" in run(checkout, words, code=2)
    assert "no SMILES string" in run(checkout, "unalike search runs/molecules --molecule hello", code=2)
