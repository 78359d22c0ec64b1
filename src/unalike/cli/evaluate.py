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
    """Score a run's vectors on held-out or other data, beside the scores of trivial baselines."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    data: Annotated[str | None, told(metavar="DATA")] = None
    """Other data, with labels or several roles (default: the run's own held-out rows)."""
    json: Annotated[Path | None, told(metavar="FILE")] = None
    """Also write the scores as JSON."""
    device: str = "cpu"
    """Device that computes the vectors."""
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
