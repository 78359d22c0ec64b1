"""unalike export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out


@dataclass(frozen=True)
class Export(Command):
    """Export a run's text encoder as a sentence-transformers model."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory with a text encoder."""
    folder: Positional[Annotated[Path, told(metavar="DIR")]]
    """New folder for the model."""

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike
        from unalike.runs.export import needs_unalike

        folder = unalike.load(self.run).export(self.folder)
        trust = ", trust_remote_code=True" if needs_unalike(folder) else ""
        out.print(f"Open it with SentenceTransformer({str(folder)!r}{trust})")
