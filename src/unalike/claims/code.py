"""A hash of the code that a result depends on: the system's file and what it reaches, and nothing else."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def code_hash(files: Iterable[Path]) -> str:
    """16 hex digits over some files of the package and every file of the package that they reach.

    A room is reached through the names that are used of it (``objectives.nt_xent`` reaches ``contrastive.py`` and
    what that imports), so that work on one objective leaves the results of the others current. Comments, docstrings
    and layout do not count.

    Example:
        >>> from unalike import systems
        >>> from unalike.claims import code_hash
        >>> file = Path(systems.find("simclr").module.__file__)
        >>> code_hash([file]) == code_hash([file]) != code_hash([file.with_name("byol.py")])
        True
    """
    reached: set[Path] = set()
    waiting = [path.resolve() for path in files]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting.extend(imports(path))
    digest = hashlib.sha256()
    for path in sorted(reached):
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + meaning(path).encode() + b"\0")
    return digest.hexdigest()[:16]


@cache
def meaning(path: Path) -> str:
    """A file's syntax tree without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@cache
def imports(path: Path) -> frozenset[Path]:
    """The files of the package that a file uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["unalike", *path.relative_to(PACKAGE).parts[:-1]]
    rooms: dict[str, str] = {}
    found: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(each for alias in node.names for each in resolve(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                if is_room(whole):
                    rooms[alias.asname or alias.name] = whole
                else:
                    found.update(resolve(whole))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms:
            found.update(resolve(f"{rooms[node.value.id]}.{node.attr}"))
    return frozenset(found - {path})


def is_room(module: str) -> bool:
    return module.startswith("unalike.") and (folder(module) / "__init__.pyi").exists()


def folder(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")[1:])


def resolve(name: str) -> Iterator[Path]:
    """The file that a dotted name of the package comes from; nothing for other packages."""
    if not name.startswith("unalike."):
        return
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        module = ".".join(parts[:length])
        path = folder(module).with_suffix(".py")
        if path.exists():
            yield path.resolve()
            return
        if is_room(module):
            origin = stub(folder(module) / "__init__.pyi").get(parts[length]) if length < len(parts) else None
            if origin is not None:
                yield from resolve(f"{module}.{origin}.{parts[length]}")
            return
        if (folder(module) / "__init__.py").exists():
            yield (folder(module) / "__init__.py").resolve()
            return


@cache
def stub(path: Path) -> dict[str, str]:
    """The names that a room exports, each with the module that it comes from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
