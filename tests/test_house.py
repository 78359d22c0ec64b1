"""The plan of the house holds: imports run one way, names are exported, nothing executes a stranger's file."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "unalike"
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS = [
    {"errors", "printing", "records", "registry", "settings"},
    {"files"},
    {"data"},
    {"views"},
    {"encoders"},
    {"pairing"},
    {"objectives"},
    {"search", "decoding"},
    {"evaluation"},
    {"training", "report", "claims", "adapting", "audit"},
    {"systems"},
    {
        "runs",
        "progress",
        "scoring",
        "pages",
        "run",
        "fitting",
        "checks",
        "adaptation",
        "auditing",
        "clustering",
        "exporting",
        "recommendation",
        "labelling",
    },
    {"cli", "__init__", "__main__"},
]
"""From the ground up; a file imports from its own floor and from those below."""

LEVEL = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms of the package that a file imports, at the top or inside a function."""
    package = ["unalike", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            names = [f"{module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("unalike.")}
    return found & set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    room = room_of(path)
    assert room in LEVEL, f"{room} has no floor: say where it stands"
    upwards = {other for other in imported_rooms(path) if LEVEL[other] > LEVEL[room]}
    assert not upwards, f"{path.relative_to(PACKAGE)} imports upwards: {', '.join(sorted(upwards))}"


@pytest.mark.parametrize(
    "room", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.pyi")), ids=lambda room: room
)
def test_every_public_name_is_there_and_has_a_docstring(room: str) -> None:
    module = importlib.import_module(f"unalike.{room}")
    for name in module.__all__:
        public = getattr(module, name)
        if isinstance(public, type) or inspect.isfunction(public):
            assert (public.__doc__ or "").strip(), f"unalike.{room}.{name} has no docstring"


def test_nothing_reads_what_could_execute() -> None:
    """No pickle on any reading path, but for the restricted reader that converts two fetched archives."""
    risky = re.compile(
        r"\bpickle\.loads?\(|torch\.load\((?!.*weights_only=True)|allow_pickle=True|yaml\.load\(|(?<![`.\w])eval\((?!\))"
    )
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in FILES
        for line in path.read_text(encoding="utf-8").splitlines()
        if risky.search(line)
    ]
    assert found == []


def test_no_error_is_swallowed() -> None:
    silent = re.compile(r"except[^\n]*:\s*\n\s*(pass|\.\.\.)\s*\n")
    found = [str(path.relative_to(PACKAGE)) for path in FILES if silent.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_extras_bring_what_the_messages_promise() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for path in FILES:
        for extra in re.findall(r"MissingExtra\([^,]+,\s*\"(\w+)\"\)", path.read_text(encoding="utf-8")):
            assert extra in extras, f"{path.relative_to(PACKAGE)} names the extra {extra!r}"


def test_the_package_is_typed_and_licensed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for name in ("Noto", "Twemoji", "Fluent", "emojibase", "WordNet"):
        assert name in notice, f"NOTICE does not speak of {name}"
