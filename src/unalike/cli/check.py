"""unalike check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.cli.tables import show_row
from unalike.errors import SettingsError

if TYPE_CHECKING:
    from unalike.claims.probe import Verdict
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
    """Discard the trials of an earlier check, finished or not, and start afresh; with --status: probe every row."""
    status: bool = False
    """Measure nothing: tell whether stored results are current, by probes of those whose code has changed."""
    confirm: bool = False
    """Repeat one seed of every arm in full: a result is kept if it is the same bit for bit; add floors it lacks."""
    results: Annotated[Path, told(metavar="DIR")] = Path("results")
    """Directory of the results."""

    def execute(self, roles: Mapping[str, str]) -> None:
        if self.status:
            self.show_status()
            return
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
        rows = self.rows(testable)
        if self.confirm:
            wanted = [each for each in testable if each.slug in rows]
        else:
            found = {} if self.again else statuses(rows, self.results, jobs=self.jobs)
            wanted = [each for each in testable if each.slug not in found or found[each.slug].state == "stale"]
        out.print(f"{len(wanted)} of {len(testable)} claims to measure")
        return wanted

    def rows(self, wanted: Sequence[System]) -> list[str]:
        """The slugs of those that have a stored result."""
        return [each.slug for each in wanted if (self.results / f"{each.slug}.json").exists()]

    def show_status(self) -> None:
        """One line for each stored result, and what has changed of those that are not current.

        Raises:
            SettingsError: there is no such result.
            SystemExit: a result is stale.
        """
        from unalike import systems
        from unalike.checks.probing import statuses

        chosen = [systems.find(self.slug)] if self.slug is not None else systems.all_systems(self.modality)
        rows = self.rows(chosen)
        if not rows:
            raise SettingsError(
                f"{self.results} has no result of {self.slug or 'any system'}; unalike check measures one"
            )

        def tell(slug: str, verdict: Verdict) -> None:
            style = "red" if verdict.state == "stale" else None
            out.print(f"{slug}: {verdict.state}", style=style, markup=False)
            for reason in verdict.reasons:
                out.print(f"  {reason}", markup=False, soft_wrap=True)

        found = statuses(rows, self.results, again=self.again, jobs=self.jobs, tell=tell)
        stale = [slug for slug, verdict in found.items() if verdict.state == "stale"]
        out.print(f"\n{len(found) - len(stale)} of {len(found)} results are current")
        if stale:
            raise SystemExit(1)

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
