"""unalike adapt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional

from unalike.cli.arguments import Command, own_settings, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing
from unalike.errors import SettingsError
from unalike.records import Kind


@dataclass(frozen=True)
class Adapt(Command):
    """Fit a few-shot classifier on a run's frozen vectors, and label new data."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    shots: Annotated[str | None, told(metavar="DATA")] = None
    """Labelled rows: a folder with one subfolder per class, or a table with labels and paths or ids."""
    predict: Annotated[str | None, told(metavar="DATA")] = None
    """Data to label: a folder, a file or the name of a dataset, as for unalike fit."""
    to: Annotated[Path, told(metavar="FILE")] = Path("predicted.csv")
    """File for the predicted labels, .csv, .parquet or .jsonl."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """The adapter, gda-clip or tip-adapter (default: gda-clip)."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """Folder of the adapter (default: RUN/adapter)."""
    label: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with the labels (default: label)."""
    id: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with ids of rows of the run."""
    encoding: Annotated[str | None, told(metavar="NAME")] = None
    """Encoding of text files (default: UTF-8)."""
    device: str = "cpu"
    """Device that computes the vectors."""

    takes_settings_of: ClassVar[tuple[str, Kind] | None] = ("--system", "adapter")

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike

        if self.shots is None and self.predict is None:
            raise SettingsError("unalike adapt needs labelled rows (--shots DATA) or data to label (--predict DATA)")
        run = unalike.load(self.run, device=self.device)
        if self.shots is not None:
            adapted = run.adapt(
                self.shots,
                system=self.system or "gda-clip",
                settings=own_settings(self),
                out=self.out,
                roles=roles or None,
                label=self.label,
                id=self.id,
                encoding=self.encoding,
            )
            show_few_shots(adapted.table, len(adapted.names))
            out.print(f"{adapted.system}, kept in {self.out or run.folder / 'adapter'}", markup=False)
        else:
            adapted = run.adapted(self.out)
        if self.predict is not None:
            # Where roles came with the labelled rows they name columns of these.
            given = None if self.shots is not None else roles or None
            found = adapted.predict(self.predict, roles=given)
            out.print(f"{len(found.ids)} labels, written to {found.save(self.to)}", markup=False)


def show_few_shots(table: Mapping[str, Mapping[int, tuple[float, float]]], classes: int) -> None:
    """Accuracy by number of labelled rows per class, beside its floors."""
    if not table:
        out.print(f"{classes} classes; accuracy can be estimated from two labelled rows per class on")
        return
    counts = list(next(iter(table.values())))
    heads = [Column(f"{count} shot{'s' * (count > 1)}", right=True) for count in counts]
    listing = Listing([Column("accuracy on the other labelled rows", least=16), *heads])
    for name, row in table.items():
        cells = (f"{mean:.3f}" + (f" ± {deviation:.3f}" if deviation else "") for mean, deviation in row.values())
        listing.add(name, *cells)
    listing.show(out)
