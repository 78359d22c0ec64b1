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
    """Compare two systems on your own data: same encoder, same budget, paired seeds, intervals."""

    first: Positional[Annotated[str, told(metavar="SYSTEM")]]
    """A system."""
    second: Positional[Annotated[str, told(metavar="SYSTEM")]]
    """Another; differences are the first less this one."""
    data: Annotated[str, told(metavar="DATA")]
    """What unalike fit takes."""
    label: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with the class of each row."""
    size: Annotated[int | None, told(metavar="PIXELS")] = None
    """Side of the pictures; as unalike fit would choose if it is left out."""
    seeds: Annotated[int, told(metavar="N")] = 5
    """Pairs of trials."""
    epochs: Annotated[int | None, told(metavar="N")] = None
    """Passes over the data, for both; 20 if it is left out, of a graph 400 steps."""
    steps: Annotated[int | None, told(metavar="N")] = None
    """Optimiser steps for both, instead of epochs."""
    batch_size: Annotated[int | None, told(metavar="N")] = None
    """Rows a step, for both."""
    no_tuning: bool = False
    """Take the usual learning rate instead of choosing it for each on held-out training rows."""
    jobs: int = 2
    """Trials at once, each in a process of one thread."""

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
