"""A hash of the code that a result depends on: the system's file and the definitions that it reaches, nothing else.

It tells cheaply that nothing can have changed. That something has, only a probe can tell (`unalike.claims.probe`).
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

Part = tuple[Path, str]
"""A file of the package and the name of a definition at its top level; ``""`` is what runs when it is imported."""


def code_hash(files: Iterable[Path], parts: Iterable[Part] = ()) -> str:
    """16 hex digits over some files of the package and every definition of the package that they reach.

    A definition reaches what it names: functions, classes and constants of its own file, what the file imports, and
    of a room what is used of it (``objectives.nt_xent``). So work on one objective leaves the results of the others
    current, even in the same file. Comments, docstrings, annotations, the texts of errors, layout and the files that
    definitions stand in do not count. Through a table of choices
    (`unalike.registry.Registry`) nothing is reached: what was chosen there is given as ``parts``.

    Example:
        >>> from unalike import systems
        >>> from unalike.claims import code_hash
        >>> file = Path(systems.find("simclr").module.__file__)
        >>> code_hash([file]) == code_hash([file]) != code_hash([file.with_name("byol.py")])
        True
    """
    digest = hashlib.sha256()
    for name, content in sorted((name, outline(path).content[name]) for path, name in reached(files, parts)):
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()[:16]


def reached(files: Iterable[Path], parts: Iterable[Part] = ()) -> set[Part]:
    """Every definition that some files and definitions reach; of the files themselves all of them."""
    found: set[Part] = set()
    waiting = [(path.resolve(), name) for path in files for name in outline(path.resolve()).content]
    waiting.extend((path.resolve(), name) for path, name in parts)
    while waiting:
        part = waiting.pop()
        if part in found:
            continue
        found.add(part)
        path, name = part
        waiting.append((path, ""))
        waiting.extend(outline(path).needs(name))
    return found


@dataclass
class Outline:
    """A file by its top-level names.

    content: what each name means, as a syntax tree without docstrings; mentions: the names that each mentions, with
    what is taken of them (``("objectives", "nt_xent")``); imported: dotted names of the package by local name.
    """

    path: Path
    content: dict[str, str] = field(default_factory=dict)
    mentions: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)

    def needs(self, name: str) -> Iterator[Part]:
        """The definitions that one of this file names."""
        for mentioned, attribute in self.mentions[name]:
            if mentioned in self.content:
                yield self.path, mentioned
            whole = self.imported.get(mentioned)
            if whole is not None:
                yield from resolve(f"{whole}.{attribute}" if attribute and is_module(whole) else whole)


@cache
def outline(path: Path) -> Outline:
    """Read a file."""
    return outlined(path, path.read_text(encoding="utf-8"))


def outlined(path: Path, text: str) -> Outline:
    """A file of the package as it would be with this text."""
    tree = ast.parse(text)
    package = ["unalike", *path.relative_to(PACKAGE).parts[:-1]]
    found = Outline(path, content={"": ""}, mentions={"": set()})
    strip(tree)
    for node in ast.walk(tree):
        for local, whole in imports(node, package):
            found.imported[local] = whole
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if is_registry(node):
            continue
        for name in defined(node) or [""]:
            # Several definitions of one name (overloads, branches) count together.
            found.content[name] = found.content.get(name, "") + ast.dump(node)
            found.mentions.setdefault(name, set()).update(mentioned(node))
    return found


def strip(tree: ast.AST) -> None:
    """Leave out of a syntax tree what no number can depend on: docstrings, annotations, the texts of errors.

    So is what a metric declares that it needs (`unalike.records.needs`): it decides on floors, which a probe has.
    """
    for node in ast.walk(tree):
        drop_docstring(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
            node.decorator_list = [each for each in node.decorator_list if not declares(each)]
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign) and not is_registry(node):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.Raise):
            for each in ast.walk(node):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    each.value = ""


def declares(decorator: ast.expr) -> bool:
    """Whether a decorator says what a metric needs."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id == "needs"


def normalized(source: str) -> str:
    """16 hex digits over a definition's source without what no number can depend on.

    Example:
        >>> from unalike.claims.code import normalized
        >>> normalized("def one(a): return a") == normalized("def one(a: int) -> int:\\n 'One.'\\n return a")
        True
    """
    tree = ast.parse(textwrap.dedent(source))
    strip(tree)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def drop_docstring(node: ast.AST) -> None:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]


def imports(node: ast.AST, package: list[str]) -> Iterator[tuple[str, str]]:
    """Local names and dotted names of what a statement imports from the package."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == "unalike":
                yield (alias.asname, alias.name) if alias.asname else ("unalike", "unalike")
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
        module = ".".join(part for part in (base, node.module) if part)
        if module.split(".")[0] == "unalike":
            for alias in node.names:
                yield alias.asname or alias.name, f"{module}.{alias.name}"


def defined(node: ast.stmt) -> list[str]:
    """The names that a top-level statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]


def is_registry(node: ast.stmt) -> bool:
    """Whether a statement makes a table of choices."""
    return isinstance(node, ast.AnnAssign) and any(
        isinstance(each, ast.Name) and each.id == "Registry" for each in ast.walk(node.annotation)
    )


def part_of(function: Callable | type) -> Part:
    """The definition of a function or class of the package.

    Example:
        >>> from unalike import objectives
        >>> from unalike.claims.code import part_of
        >>> part_of(objectives.nt_xent)[1]
        'nt_xent'
    """
    return Path(inspect.getfile(function)), function.__qualname__.partition(".")[0]


def mentioned(node: ast.AST) -> set[tuple[str, str]]:
    """The names in a statement, each with the attribute that is taken of it."""
    found = {(each.id, "") for each in ast.walk(node) if isinstance(each, ast.Name)}
    found |= {
        (each.value.id, each.attr)
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name)
    }
    return found


def is_module(name: str) -> bool:
    """Whether a dotted name is a file or a room of the package, and not a definition in one."""
    path = folder(name)
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def folder(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")[1:])


def resolve(name: str) -> Iterator[Part]:
    """The definition that a dotted name of the package stands for; nothing for a room of which nothing is taken."""
    module, _, last = name.rpartition(".")
    if is_module(name) or not module.startswith("unalike"):
        return
    path = folder(module).with_suffix(".py")
    if path.exists():
        content = outline(path.resolve())
        if last in content.content:
            yield path.resolve(), last
        elif last in content.imported:
            yield from resolve(content.imported[last])
    elif (folder(module) / "__init__.pyi").exists():
        origin = stub(folder(module) / "__init__.pyi").get(last)
        if origin is not None:
            yield from resolve(f"{module}.{origin}.{last}")
    elif (folder(module) / "__init__.py").exists() and last in outline(folder(module) / "__init__.py").content:
        yield folder(module) / "__init__.py", last


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
