"""The page for those who work on Unalike names what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_room_is_named() -> None:
    rooms = {path.parent.name for path in (ROOT / "src" / "unalike").glob("*/__init__.py")}
    assert rooms - set(re.findall(r"`(\w+)/`", TEXT)) == set()


def test_what_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:docs|scripts|src|tests|results)/[\w/.-]+)`", TEXT))
    assert len(named) > 10
    real = {each for each in named if not re.search(r"SLUG|FOLDER|ROOM", each)}
    assert [each for each in sorted(real) if not (ROOT / each).exists()] == []
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make ([\w-]+)`", TEXT)) <= set(targets)


def test_agents_are_sent_there() -> None:
    assert "(CONTRIBUTING.md)" in (ROOT / "AGENTS.md").read_text(encoding="utf-8")
