"""The systems: one file each, and this one list of them. Importing it imports no torch.

To add a system, write its file and add its line; it then shows up on the command line, in the docs, in the tests and
on the board.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from unalike.errors import SettingsError
from unalike.records import Claim, Paper, Recipe

if TYPE_CHECKING:
    from unalike.training import Learner, Task

FILES = (
    "image.simclr",
    "image.moco_v2",
    "image.byol",
    "image.simsiam",
    "image.barlow_twins",
    "image.supcon",
    "image.triplet",
    "text.simcse",
    "text.simcse_supervised",
    "image_text.clip",
    "image_text.siglip",
    "image_text.slip",
    "table.scarf",
)


@dataclass(frozen=True)
class System:
    """A system's file, read: its record, settings, recipe, claim and how it is built."""

    paper: Paper
    settings: type
    recipe: Recipe
    claim: Claim
    build: Callable[[Any, Task], Learner]
    module: ModuleType

    @property
    def slug(self) -> str:
        return self.paper.slug

    @property
    def summary(self) -> str:
        """The first line of the file's docstring."""
        return (self.module.__doc__ or "").strip().splitlines()[0]


def _read(file: str) -> System:
    module = importlib.import_module(f"unalike.systems.{file}")
    return System(module.PAPER, module.Settings, module.RECIPE, module.CLAIM, module.build, module)


def all_systems(modality: str | None = None) -> list[System]:
    """Every system, in the order of the list; of one modality if it is named.

    Raises:
        SettingsError: there is no system of that modality.

    Example:
        >>> [system.slug for system in all_systems("text")]
        ['simcse', 'simcse-supervised']
    """
    systems = [_read(file) for file in FILES]
    if modality is None:
        return systems
    chosen = [system for system in systems if system.paper.modality == modality]
    if not chosen:
        known = ", ".join(dict.fromkeys(system.paper.modality for system in systems))
        raise SettingsError(f"there is no system of the modality {modality!r}; there are: {known}")
    return chosen


def find(slug: str) -> System:
    """The system of a slug.

    Raises:
        SettingsError: there is none; the message names the nearest.

    Example:
        >>> find("simclr").paper.year
        2020
    """
    systems = {system.slug: system for system in all_systems()}
    if slug not in systems:
        near = difflib.get_close_matches(slug, systems, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SettingsError(f"there is no system {slug!r}.{hint} All systems: {', '.join(systems)}")
    return systems[slug]
