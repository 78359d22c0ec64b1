"""unalike report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out


@dataclass(frozen=True)
class Report(Command):
    """Rewrite a run's report, one HTML page that opens offline."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike

        out.print(str(unalike.Run.load(self.run, replaced=("report.html",)).report()))
