"""unalike compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.cli.tables import show_row


@dataclass(frozen=True)
class Compare(Command):
    """Compare two systems on your own data: same encoder, same budget, paired seeds, confidence intervals."""

    first: Positional[Annotated[str, told(metavar="SYSTEM")]]
    """A system (unalike systems lists them)."""
    second: Positional[Annotated[str, told(metavar="SYSTEM")]]
    """Another system; differences are the first minus this one."""
    data: Annotated[str, told(metavar="DATA")]
    """A folder, a file or the name of a dataset, as for unalike fit."""
    label: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with each row's class."""
    size: Annotated[int | None, told(metavar="PIXELS")] = None
    """Side length of the images (default: as unalike fit would choose)."""
    seeds: Annotated[int, told(metavar="N")] = 5
    """Number of paired trials."""
    epochs: Annotated[int | None, told(metavar="N")] = None
    """Passes over the data, for both systems (default: 20; for a graph, 400 steps)."""
    steps: Annotated[int | None, told(metavar="N")] = None
    """Optimiser steps for both, in place of epochs."""
    batch_size: Annotated[int | None, told(metavar="N")] = None
    """Rows per step, for both."""
    no_tuning: bool = False
    """Use the default learning rate, rather than choosing it for each system on held-out training rows."""
    jobs: int = 2
    """Trials run in parallel, each in a single-threaded process."""

    def execute(self, roles: Mapping[str, str]) -> None:
        from unalike.checks import compare as checking
        from unalike.cli.progress import Trials

        budget = {"epochs": self.epochs, "steps": self.steps, "batch_size": self.batch_size}
        with Trials(out) as trials:
            row = checking.compare(
                self.first,
                self.second,
                self.data,
                roles=roles or None,
                label=self.label,
                size=self.size,
                seeds=self.seeds,
                jobs=self.jobs,
                tune=not self.no_tuning,
                options={name: value for name, value in budget.items() if value is not None},
                tell=trials.tell,
            )
        show_row(row, {"holds": f"{self.first} better", "fails": f"{self.second} better"})
