"""What a change can have broken: the files that differ from what last landed, and the systems that reach them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANDED = ("origin/main", "origin/master", "main", "master")
"""Where the last landed commit is looked for."""
EVERYTHING = (
    "conftest.py",
    "constraints.txt",
    "pyproject.toml",
    "tests/conftest.py",
    "tests/suite/",
    "tests/systems/test_contract.py",
    "src/unalike/objectives/native/",
)
"""A change to these concerns every system."""
ENCODERS = {
    "image": "conv",
    "text": "ngram",
    "array": "mlp",
    "series": "dilated",
    "video": "clip",
    "clicks": "sasrec",
    "graph": "nodes",
    "audio": "mel",
    "labels": "names",
}
"""The encoder of each kind of column on which the contract is tested."""
ANY = ("image", "text", "audio")
"""What a system is tested on that takes any modalities."""


@dataclass(frozen=True)
class Change:
    """What differs from the commit that last landed.

    base: that commit; None where it is not known, or where it is the commit that is checked out, with nothing changed.
    files: paths from the root that differ, those that git does not know yet among them.
    """

    base: str | None
    files: tuple[str, ...] = ()

    def touches(self, *places: str) -> bool:
        """Whether a changed file is one of some files, or in one of some folders (``folder/``)."""
        return any(
            name.startswith(place) if place.endswith("/") else name == place for name in self.files for place in places
        )


def git(*words: str, root: Path = ROOT) -> str | None:
    """What git answers, None where there is no git, no repository or no such thing."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def found_change(root: Path = ROOT) -> Change:
    """The change in a checkout: against ``UNALIKE_TEST_BASE`` if that is set, else against where the branch left main.

    On main itself that is what is not committed yet; where there is no such thing either, nothing is known.

    Raises:
        ValueError: ``UNALIKE_TEST_BASE`` is no commit.
    """
    named = os.environ.get("UNALIKE_TEST_BASE")
    if named and git("rev-parse", "--verify", f"{named}^{{commit}}", root=root) is None:
        raise ValueError(f"UNALIKE_TEST_BASE={named} is no commit of {root}: name one, or leave it out")
    for ref in [named] if named else LANDED:
        left = git("merge-base", ref, "HEAD", root=root)
        if left is not None:
            files = listed(git("diff", "--name-only", left, root=root))
            files |= listed(git("ls-files", "--others", "--exclude-standard", root=root))
            return Change(left, tuple(sorted(files))) if files else Change(None)
    return Change(None)


def listed(answer: str | None) -> set[str]:
    return set((answer or "").splitlines())


def turn_of(root: Path = ROOT, parts: int = 6) -> int:
    """Whose turn it is: the number of commits tells, where all of them are there, else the day."""
    if git("rev-parse", "--is-shallow-repository", root=root) == "false":
        return int(git("rev-list", "--count", "HEAD", root=root) or 0) % parts
    import datetime

    return datetime.datetime.now(datetime.UTC).date().toordinal() % parts


def reached_systems(change: Change, root: Path = ROOT) -> set[str]:
    """The systems whose file, or what it reaches or is trained by, differs from the base; all if it is not known."""
    from unalike import systems

    slugs = {system.slug for system in systems.all_systems()}
    if change.base is None or change.touches(*EVERYTHING):
        return slugs
    changed = changed_parts(change, root)
    return {slug for slug in slugs if reach_of(slug) & changed} if changed else set()


@cache
def reach_of(slug: str) -> frozenset[tuple[Path, str]]:
    """The definitions of the package that a system uses, and by which it is trained."""
    from unalike import encoders, systems, training
    from unalike.claims.code import part_of, reached

    system, parts = systems.find(slug), []
    if system.paper.kind in ("learner", "audit"):
        kinds = dict.fromkeys(role.split(":")[0] for role in system.paper.roles or ANY)
        parts = [part_of(encoders.encoder_class(ENCODERS[kind])) for kind in kinds]
        parts += [part_of(training.train), part_of(training.Inputs)]
    return frozenset(reached([Path(system.module.__file__ or "")], parts))


def changed_parts(change: Change, root: Path = ROOT) -> set[tuple[Path, str]]:
    """The definitions of the package that mean something else than at the base, comments and docstrings aside."""
    found = set()
    for name in change.files:
        path = root / name
        if path.suffix != ".py" or not path.is_relative_to(root / "src" / "unalike") or not path.exists():
            continue
        before = meanings(path, git("show", f"{change.base}:{name}", root=root) or "")
        after = meanings(path, path.read_text(encoding="utf-8"))
        found |= {(path.resolve(), each) for each, meaning in after.items() if before.get(each) != meaning}
    return found


def meanings(path: Path, text: str) -> dict[str, tuple[str, Sequence[str]]]:
    """By name of a file's definition its syntax, and where the names in it were imported from."""
    from unalike.claims.code import outlined

    outline = outlined(path, text)

    def origins(names: Iterable[tuple[str, str]]) -> list[str]:
        return sorted({outline.imported[name] for name, _ in names if name in outline.imported})

    return {name: (content, origins(outline.mentions[name])) for name, content in outline.content.items()}
