"""unalike predict."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from unalike.cli.arguments import Columns, Command, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing, first_line

if TYPE_CHECKING:
    from unalike.runs.predicted import Classes, Ranked

SHOWN = 10
"""Classes or rows that are printed; the file has them all."""


@dataclass(frozen=True)
class Predict(Command):
    """Predict for new data what a run learned: classes with probabilities, the labels of texts, or users' next items.
    A run of embeddings predicts by the vote of its labelled training rows."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    data: Positional[Annotated[str, told(metavar="DATA")]]
    """A folder, a file or the name of a dataset, as for unalike fit."""
    out: Annotated[Path, told(metavar="FILE")] = Path("predicted.csv")
    """File to write, .csv, .parquet or .jsonl: one line per row, of labels or next items one per rank."""
    k: Annotated[int | None, arg(aliases=["-k"]), told(metavar="INT")] = None
    """Labels or next items per row (default: 5)."""
    device: str = "cpu"
    """Device that computes the predictions."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=lambda: Columns(tolerance=1.0))

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike
        from unalike.files import check_table
        from unalike.runs.predicted import Classes, Ranked

        check_table(self.out)
        run = unalike.load(self.run, device=self.device)
        found = run.predict(self.data, k=self.k, roles=roles or None, **dataclasses.asdict(self.columns))
        out.print(f"Predicted by: {found.how}", markup=False)
        if isinstance(found, Classes):
            show_classes(found)
        elif isinstance(found, Ranked):
            show_rankings(found)
        if found.unread:
            named = ", ".join(found.unread[:5]) + (", ..." if len(found.unread) > 5 else "")
            out.print(
                f"{len(found.unread)} of {len(found.ids)} rows could not be read and have no prediction: {named}",
                markup=False,
            )
        out.print(f"{len(found.ids)} rows, written to {found.save(self.out)}", markup=False)


def show_classes(found: Classes) -> None:
    """How many rows each class got, the commonest first, and how sure that is."""
    listing = Listing([Column("class"), Column("rows", right=True), Column("mean probability", right=True)])
    labels, best = found.labels, found.probabilities.max(axis=1)
    counts = Counter(label for label in labels if label is not None)
    for name, count in counts.most_common(SHOWN):
        mean = best[[row for row, label in enumerate(labels) if label == name]].mean()
        listing.add(name, str(count), f"{mean:.3f}")
    listing.show(out)
    if len(counts) > SHOWN:
        out.print(f"and {len(counts) - SHOWN} more classes")


def show_rankings(found: Ranked) -> None:
    """The first rows with what is ranked for them."""
    listing = Listing([Column("id"), Column(f"{found.what}s, best first", least=16)])
    ranked = [pair for pair in zip(found.ids, found.rankings, strict=True) if pair[1]]
    for id, ranking in ranked[:SHOWN]:
        listing.add(id, first_line(", ".join(each.name or each.id for each in ranking or ())))
    listing.show(out)
