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
from typing import Any

from unalike.errors import SettingsError
from unalike.records import Claim, Kind, Paper, Recipe

FILES = (
    "image.simclr",
    "image.moco_v2",
    "image.ft",
    "image.mochi",
    "image.byol",
    "image.directpred",
    "image.simsiam",
    "image.barlow_twins",
    "image.supcon",
    "image.sbcl",
    "image.supremix",
    "image.triplet",
    "image.dcl",
    "image.isogclr",
    "image.mvdhel",
    "image.cacr",
    "image.groco",
    "image.temperature",
    "image.metrix",
    "image.coretuning",
    "image.swav",
    "image.gsimclr",
    "image.mcl",
    "text.bert",
    "text.simcse",
    "text.simcse_supervised",
    "text.dual_encoder",
    "text.one_vs_all",
    "text.dexml",
    "text.whitenedcse",
    "text.contriever",
    "image_text.clip",
    "image_text.siglip",
    "image_text.slip",
    "image_text.audioclip",
    "image_text.symile",
    "image_text.ccrk",
    "image_text.contrastive_gap",
    "image_text.tip_adapter",
    "image_text.gda_clip",
    "security.cleanclip",
    "table.scarf",
    "table.clan",
    "series.ts2vec",
    "series.autotcl",
    "video.cvrl",
    "audio.wav2vec2",
    "audio.w2v_bert",
    "clicks.sasrec",
    "clicks.cl4srec",
    "clicks.mclrec",
    "graph.sdcn",
    "graph.scgc",
    "graph.pamc",
    "language_models.contrastive_search",
    "language_models.adacad",
    "language_models.nucleus",
    "language_models.cad",
)


@dataclass(frozen=True)
class System:
    """A system's file, read: its record, settings, claim and how it is built, and for a learner its recipe.

    ``build`` takes the settings, and what its kind needs besides: a learner a `unalike.training.Task`, for which it
    gives a `unalike.training.Learner`; a decoder nothing, for which it gives a `unalike.decoding.Decoder`; an adapter
    nothing, for which it gives a `unalike.adapting.Adapter`; an audit nothing, for which it gives a
    `unalike.audit.Audit`; a study nothing, for which it gives a `unalike.claims.Study`.
    """

    paper: Paper
    settings: type
    recipe: Recipe | None
    claim: Claim
    build: Callable[..., Any]
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
    recipe = module.RECIPE if module.PAPER.kind == "learner" else None
    return System(module.PAPER, module.Settings, recipe, module.CLAIM, module.build, module)


def all_systems(modality: str | None = None, kind: Kind | None = None) -> list[System]:
    """Every system, in the order of the list; of one modality, or one kind, if it is named.

    Raises:
        SettingsError: there is no system of that modality.

    Example:
        >>> [system.slug for system in all_systems("text")][:2]
        ['bert', 'simcse']
        >>> [system.slug for system in all_systems(kind="decoder")][:2]
        ['contrastive-search', 'adacad']
    """
    systems = [system for system in map(_read, FILES) if kind is None or system.paper.kind == kind]
    if modality is None:
        return systems
    chosen = [system for system in systems if system.paper.modality == modality]
    if not chosen:
        known = ", ".join(dict.fromkeys(system.paper.modality for system in systems))
        raise SettingsError(f"there is no system of the modality {modality!r}; there are: {known}")
    return chosen


HOW = {
    "learner": "unalike fit DATA --system",
    "adapter": "unalike adapt RUN --shots LABELS --system",
    "decoder": "unalike generate MODEL --decoder",
    "audit": "unalike audit RUN --repair CLEAN --system",
    "study": "unalike check",
}
"""How the systems of a kind are used, up to their slug."""


def find(slug: str, kind: Kind | None = None) -> System:
    """The system of a slug, of one kind if it is named.

    Raises:
        SettingsError: there is none, and the message names the nearest; or it is of another kind, and the message
            says how that is used.

    Example:
        >>> find("simclr").paper.year
        2020
    """
    # A file has its system's slug as its name, so the others need not be imported.
    file = next((each for each in FILES if each.partition(".")[2].replace("_", "-") == slug), None)
    if file is None:
        ours = [system.slug for system in all_systems(kind=kind)]
        near = [
            each
            for among in (ours, [system.slug for system in all_systems()])
            for each in difflib.get_close_matches(slug, among, n=1)
        ]
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise SettingsError(f"there is no system {slug!r}. {hint}The command unalike systems lists all {len(FILES)}")
    found = _read(file)
    if kind is not None and found.paper.kind != kind:
        usage = f": {HOW[found.paper.kind]} {slug}" if found.paper.kind in HOW else ""
        raise SettingsError(f"{slug} is no {kind} but a system of the kind {found.paper.kind}{usage}")
    return found
