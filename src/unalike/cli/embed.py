"""unalike embed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional

from unalike.cli.arguments import Columns, Command, told
from unalike.cli.console import err, out
from unalike.cli.processes import sharing_work
from unalike.errors import SettingsError


@dataclass(frozen=True)
class Embed(Command):
    """Embed new data with a trained run; writes Parquet with a column of ids and one of vectors."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    data: Positional[Annotated[str, told(metavar="DATA")]]
    """A folder, a file or the name of a dataset, as for unalike fit."""
    out: Annotated[Path, told(metavar="FILE")] = Path("vectors.parquet")
    """Parquet file to write."""
    side: Annotated[Literal["query", "document"] | None, told(metavar="{query,document}")] = None
    """For models with prompts: texts that ask, or texts that are searched (default: as in the run's data)."""
    device: str = "cpu"
    """Device that computes the vectors."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike
        from unalike.training import sharing

        if self.out.suffix in (".csv", ".tsv", ".npy"):
            raise SettingsError(
                f"vectors are written as Parquet, in a column of lists; given: --out {self.out}. Name the file .parquet"
            )
        run = unalike.load(self.run, device=self.device)
        with sharing_work(self.device) as processes, sharing(run.learner.module, processes):
            found = run.embed(self.data, roles=roles or None, side=self.side, **dataclasses.asdict(self.columns))
            if not processes.leads:
                return
        for note in run.remarks:
            err.print(f"note: {note}", markup=False)
        path = found.save(self.out)
        shapes = ", ".join(f"{role}: {v.shape[0]} x {v.shape[1]}" for role, v in found.by_role.items())
        out.print(f"{shapes}, written to {path}")
