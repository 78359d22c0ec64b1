"""What is stated of a set outside of the code: the archives that it is made from, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Client: TypeAlias = Literal["pip", "npm", "apt"]


_CARDS = Path(__file__).parent / "cards"


_STATED: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "archives.json").read_text("utf-8"))
"""Archives by the set that they were first wanted for, as ``archives.json`` lists them."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive that a package client downloads: what to ask for, and what must arrive."""

    client: Client
    package: str
    version: str
    sha256: str
    size: int
    """bytes"""
    built_for: tuple[str, str] | None = None
    """Python version and platform of a wheel that is not the same everywhere, such as ``("3.11", "win_amd64")``. Only
    files of data are read out of it, so that any machine can use any of them."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What one should know about a set before using it.

    Args:
        description: what a row is, and what the set is good for.
        source: where the data come from, with versions.
        licence: as the source states it.
        script: what makes it from the source.
        roles: what each role holds.
        counts: rows, classes and the like, counted in the set itself.
        splits: rows of each split, and in ``split_rule`` how they were made.
        problems: what is known to be wrong, uneven or confounded.
        sha256: checksum of each file of an embedded set.
        built_with: versions that an embedded set's files were written with.
    """

    name: str
    title: str
    description: str
    source: tuple[str, ...]
    licence: str
    script: str
    roles: Mapping[str, str]
    counts: Mapping[str, int]
    splits: Mapping[str, int]
    split_rule: str
    problems: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)
    built_with: Mapping[str, str] = field(default_factory=dict)


def archives_of(name: str) -> tuple[Archive, ...]:
    """The archives of a set, as ``archives.json`` states them."""
    return tuple(
        Archive(**(stated | ({"built_for": tuple(stated["built_for"])} if "built_for" in stated else {})))
        for stated in _STATED[name]
    )


def card_of(name: str, title: str) -> Card:
    """The card of a set of the catalogue."""
    stated: dict[str, Any] = json.loads((_CARDS / f"{name}.json").read_text(encoding="utf-8"))
    for listed in ("source", "problems"):
        stated[listed] = tuple(stated[listed])
    return Card(name=name, title=title, **stated)
