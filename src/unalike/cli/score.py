"""unalike score."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional

from unalike.cli.arguments import Columns, Command, told
from unalike.cli.console import out
from unalike.cli.tables import Column, Listing


@dataclass(frozen=True)
class Score(Command):
    """Detect anomalies: score how unlike the training data each new row is, and raise alarms."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory, trained on normal data only (unalike fit normal.csv --system clan)."""
    data: Positional[Annotated[str, told(metavar="DATA")]]
    """A folder, a file or the name of a dataset, as for unalike fit."""
    false_alarms: Annotated[float, told(metavar="SHARE")] = 0.01
    """False-alarm rate on normal data; the threshold is set on the rows that the run held out."""
    out: Annotated[Path | None, told(metavar="FILE")] = None
    """Write ids, scores and alarms as CSV, Parquet or JSON lines."""
    device: str = "cpu"
    """Device that computes the vectors."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)

    def execute(self, roles: Mapping[str, str]) -> None:
        import numpy as np

        import unalike

        run = unalike.load(self.run, device=self.device)
        found = run.score(
            self.data, false_alarms=self.false_alarms, roles=roles or None, **dataclasses.asdict(self.columns)
        )
        unread = int(np.isnan(found.scores).sum())
        out.print(
            f"{int(found.alarms.sum())} of {len(found.ids)} rows exceed the alarm threshold {found.threshold:.4f} "
            f"(false-alarm rate {100 * found.false_alarms:g}% on {found.held_out} held-out rows)"
            + (f"; {unread} rows could not be read" if unread else "")
        )
        listing = Listing([Column("most anomalous"), Column("score", right=True), Column("alarm")])
        for row in np.argsort(-np.nan_to_num(found.scores, nan=-1.0), kind="stable")[:10]:
            listing.add(found.ids[row], f"{found.scores[row]:.4f}", "yes" if found.alarms[row] else "")
        listing.show(out)
        if self.out is not None:
            out.print(f"Scores of all rows: {found.save(self.out)}")
