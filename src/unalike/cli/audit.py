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
    from unalike.runs.audit import Audited
    from unalike.runs.run import Run


@dataclass(frozen=True)
class Audit(Command):
    """Test a run for backdoors: whether triggers change its answers, and which training rows stand out. With --repair,
    also fine-tune it on clean pairs into a new run."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory trained on images with texts or labels."""
    data: Annotated[str | None, told(metavar="DATA")] = None
    """Images to try triggers on (default: held-out images stored with the run)."""
    triggers: Annotated[tuple[str, ...] | None, told(metavar="NAME [NAME ...]")] = None
    """Triggers to try: patch, blended, warped, sine (default: all)."""
    suspect: Annotated[str | None, told(metavar="TEXT")] = None
    """A suspected target text, added to the possible answers."""
    repair: Annotated[str | None, told(metavar="CLEAN")] = None
    """Pairs known to be clean: fine-tune on them into a new run, and audit that too."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """The method that detects and repairs (default: cleanclip)."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """Directory of the repaired run (default: RUN-repaired)."""
    epochs: Annotated[int | None, told(metavar="N")] = None
    """Epochs of the repair (default: the recipe's)."""
    seed: int = 0
    """Seed of the triggers and of the repair."""
    device: str = "cpu"
    """Device that computes the vectors."""

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
        from unalike.cli.progress import Progress
        from unalike.runs.audit import remembered

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
    from unalike.runs.audit import MOST_ROWS_SHOWN

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
        out.print(f"Training rows whose captions match least (distance): {shown}", markup=False)
    out.print(f"{found.pictures} images, answers by {found.answers}; written to {folder}/audit.json", markup=False)
