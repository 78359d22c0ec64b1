"""Every code block of the README and the docs runs, in a folder that holds what the pages speak of."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import unalike

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OF_SYSTEMS = sorted((ROOT / "docs" / "systems").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def commands(page: Path) -> list[list[str]]:
    """The commands on a page, in words."""
    lines = [shlex.split(line, comments=True) for block in blocks(page, "bash") for line in block.splitlines()]
    return [words for words in lines if words]


def follow(page: Path, place: Path, work: Path, shorter: Callable[[list[str]], list[str]]) -> None:
    """Type a page's commands one after the other, each with what makes it short."""
    work.mkdir()
    for entry in place.iterdir():
        (work / entry.name).symlink_to(entry)
    for words in commands(page):
        assert words[0] == "unalike", f"{page.name}: {shlex.join(words)}"
        unalike(*words[1:], *shorter(words), cwd=work)


def two_epochs(words: list[str]) -> list[str]:
    """For a training whose length its page leaves open."""
    return ["--epochs", "2"] if words[1] == "fit" and not {"--epochs", "--steps"} & {*words} else []


def four_steps(words: list[str]) -> list[str]:
    """For the page of a system: there it only matters that its commands fit the system."""
    small = ["--size", "16", "--steps", "4", "--batch-size", "8"]
    if words[1] == "audit":
        return ["--epochs", "1"] if "--repair" in words else []
    return {
        "fit": small,
        "compare": [*small, "--seeds", "2", "--no-tuning", "--jobs", "0"],
        "generate": ["--max-new-tokens", "4"],
    }.get(words[1], [])


@pytest.mark.slow
@pytest.mark.in_turn("src/unalike/cli/")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_run(page: Path, place: Path, tmp_path: Path) -> None:
    follow(page, place, tmp_path / "work", two_epochs)


@pytest.mark.in_turn("scripts/usage.py")
@pytest.mark.parametrize("page", OF_SYSTEMS, ids=lambda page: page.stem)
def test_commands_of_a_system_run(page: Path, place: Path, tmp_path: Path) -> None:
    assert commands(page), f"{page.name} has no commands"
    follow(page, place, tmp_path / "work", four_steps)


@pytest.mark.in_turn("src/unalike/__init__.pyi", "src/unalike/runs/run.py")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_runs(page: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in place.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", [*PAGES, *OF_SYSTEMS], ids=lambda page: page.stem)
def test_links_between_files_hold(page: Path) -> None:
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+)\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_made_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "build_docs.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
