"""unalike check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.cli.tables import show_row
from unalike.errors import SettingsError

if TYPE_CHECKING:
    from unalike.systems import System


@dataclass(frozen=True)
class Check(Command):
    """Measure whether a paper's claim holds here: paired seeds against its baseline, on real data."""

    slug: Positional[Annotated[str | None, told(metavar="SLUG")]] = None
    """A system (unalike systems); left out with --all."""
    all: bool = False
    """Every system whose claim can be measured, one after the other; those with a current row are left out."""
    modality: Annotated[str | None, told(metavar="NAME")] = None
    """With --all: only systems of this modality."""
    seeds: Annotated[int | None, told(metavar="N")] = None
    """Pairs of trials; the claim's own number if it is left out."""
    jobs: int = 2
    """Trials at once, each in a process of one thread; results do not depend on it."""
    again: bool = False
    """Forget the trials of an earlier check that was stopped or has finished."""
    confirm: bool = False
    """Do not measure anew: take the row of changed code over, if one seed of every arm gives the same bits again, and
    add floors that it lacks."""
    results: Annotated[Path, told(metavar="DIR")] = Path("results")
    """Where the rows are kept."""

    def execute(self, roles: Mapping[str, str]) -> None:
        if (self.slug is None) != self.all:
            raise SettingsError("give one system, or --all: unalike check dcl, unalike check --all --modality image")
        for system in self.wanted():
            out.print(f"\n{system.slug}: {system.claim.sentence}", markup=False)
            show_row(self.measured(system.slug))

    def wanted(self) -> list[System]:
        """The systems whose claims are measured."""
        from unalike import systems
        from unalike.checks.probing import statuses

        if self.slug is not None:
            return [systems.find(self.slug)]
        testable = [each for each in systems.all_systems(self.modality) if each.claim.measures]
        rows = [each.slug for each in testable if (self.results / f"{each.slug}.json").exists()]
        found = {} if self.again else statuses(rows, self.results, jobs=self.jobs)
        wanted = [each for each in testable if each.slug not in found or found[each.slug].state == "stale"]
        if self.confirm:
            wanted = [each for each in wanted if (self.results / f"{each.slug}.json").exists()]
        out.print(f"{len(wanted)} of {len(testable)} claims to measure")
        return wanted

    def measured(self, slug: str) -> Any:
        """The row of a system's claim, measured anew or taken over."""
        from unalike.checks import check as checking
        from unalike.cli.progress import Trials

        with Trials(out) as trials:
            if self.confirm:
                return checking.confirm(slug, jobs=self.jobs, results=self.results, tell=trials.tell)
            return checking.check(
                slug, seeds=self.seeds, jobs=self.jobs, results=self.results, again=self.again, tell=trials.tell
            )
