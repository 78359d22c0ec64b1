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
    """Measure whether a paper's claim holds: the system against its baseline on real data, in paired trials."""

    slug: Positional[Annotated[str | None, told(metavar="[SLUG]")]] = None
    """The system whose claim is measured (unalike systems lists them); leave out with --all."""
    all: bool = False
    """Measure every claim in turn, except those whose result is current."""
    modality: Annotated[str | None, told(metavar="NAME")] = None
    """With --all: only the systems of this modality."""
    seeds: Annotated[int | None, told(metavar="N")] = None
    """Number of paired trials (default: the claim's own)."""
    jobs: int = 2
    """Trials run in parallel, each in a single-threaded process; results do not depend on it."""
    again: bool = False
    """Discard the trials of an earlier check, finished or not, and start afresh."""
    confirm: bool = False
    """Keep results of older code if one seed of every arm reproduces them bit for bit; add floors they lack."""
    results: Annotated[Path, told(metavar="DIR")] = Path("results")
    """Directory of the results."""

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
