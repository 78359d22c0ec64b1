"""unalike evaluate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional

from unalike.cli.arguments import Columns, Command, told
from unalike.cli.processes import sharing_work
from unalike.cli.tables import show_scores


@dataclass(frozen=True)
class Evaluate(Command):
    """Say how good a run's space is on other data, with floors."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    data: Annotated[str | None, told(metavar="DATA")] = None
    """Other data with labels or several roles; the run's own scores if it is left out."""
    json: Annotated[Path | None, told(metavar="FILE")] = None
    """Write the scores as JSON too."""
    device: str = "cpu"
    """Where vectors are computed."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike
        from unalike.files import write_json
        from unalike.training import sharing

        run = unalike.load(self.run, device=self.device)
        if self.data is None:
            scores = run.scores
        else:
            with sharing_work(self.device) as processes, sharing(run.learner.module, processes):
                scores = run.evaluate(self.data, roles=roles or None, **dataclasses.asdict(self.columns))
                if not processes.leads:
                    return
        show_scores(scores)
        if self.json is not None:
            write_json(self.json, [score.to_json() for score in scores])
