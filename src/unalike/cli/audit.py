"""unalike audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional

from unalike.cli.arguments import Command, own_settings, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing, headline, show_scores
from unalike.records import Kind

if TYPE_CHECKING:
    from unalike.auditing import Audited
    from unalike.run import Run


@dataclass(frozen=True)
class Audit(Command):
    """Say whether triggers change a run's answers and which rows stand out; repair the run on clean pairs."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory that reads pictures, with texts or labels."""
    data: Annotated[str | None, told(metavar="DATA")] = None
    """Pictures to try triggers on; held-out ones that the run remembers if it is left out."""
    triggers: Annotated[tuple[str, ...] | None, told(metavar="NAME [NAME ...]")] = None
    """patch, blended, warped, sine; all if it is left out."""
    suspect: Annotated[str | None, told(metavar="TEXT")] = None
    """A text to add to the answers, to test a suspicion."""
    repair: Annotated[str | None, told(metavar="CLEAN")] = None
    """Pairs that are known to be clean: fine-tune on them and write a new run, which is audited too."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """Which audit detects and repairs; cleanclip if it is left out."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """The repaired run; RUN-repaired if it is left out."""
    epochs: Annotated[int | None, told(metavar="N")] = None
    """Passes of the repair over the clean pairs; as the system's recipe says if it is left out."""
    seed: int = 0
    """Of what triggers draw, and of the repair."""
    device: str = "cpu"
    """Where vectors are computed."""

    takes_settings_of: ClassVar[tuple[str, Kind] | None] = ("--system", "audit")

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike

        run = unalike.load(self.run, device=self.device)
        # With a repair, roles name columns of the clean pairs.
        given = None if self.repair is not None else roles or None
        show_audit(run.folder, run.audit(self.data, roles=given, **self.options()))
        if self.repair is not None:
            self.show_repaired(run, roles)

    def options(self) -> dict[str, Any]:
        """What the audits before and after a repair have in common."""
        names = {} if self.triggers is None else {"triggers": self.triggers}
        return {"system": self.system or "cleanclip", "target": self.suspect, "seed": self.seed, **names}

    def show_repaired(self, run: Run, roles: Mapping[str, str]) -> None:
        """Repair the run on its clean pairs, and audit the new run like the old one."""
        from unalike.auditing import remembered
        from unalike.cli.progress import Progress

        options = self.options()
        with Progress(out) as progress:
            repaired = run.repair(
                self.repair,
                system=options["system"],
                settings=own_settings(self),
                roles=roles or None,
                out=self.out,
                listener=progress.listener(),
                seed=self.seed,
                **({} if self.epochs is None else {"epochs": self.epochs}),
            )
        out.print(f"repaired by {options['system']}: {repaired.folder}", markup=False)
        # The same pictures and training rows as before: the clean pairs need not have them.
        data = remembered(run) if self.data is None else self.data
        show_audit(repaired.folder, repaired.audit(data, origin=run, **options))
        show_scores(headline(repaired.scores))


def show_audit(folder: Path, found: Audited) -> None:
    """What the triggers changed, and the training rows that stand out."""
    from unalike.auditing import MOST_ROWS_SHOWN

    shares = ("changed", "by noise", "to one answer", "by noise")
    listing = Listing(
        [
            Column("trigger"),
            *(Column(name, right=True) for name in shares),
            Column("that answer", least=12),
            Column(""),
        ]
    )
    for each in found.tried:
        numbers = (each.changed, each.by_noise, each.success, each.by_noise_success)
        cells = (f"{100 * share:.0f}%" for share in numbers)
        listing.add(each.trigger, *cells, each.answer or "-", "LEARNED" if each.alarm else "")
    listing.show(out)
    if found.strangest:
        shown = ", ".join(f"{row} ({far:.2f})" for row, far in found.strangest[:MOST_ROWS_SHOWN])
        out.print(f"Training rows whose captions it believes least: {shown}", markup=False)
    out.print(f"{found.pictures} pictures, answers by {found.answers}; kept in {folder}/audit.json", markup=False)
