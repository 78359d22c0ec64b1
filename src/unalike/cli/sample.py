"""unalike sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out


@dataclass(frozen=True)
class Sample(Command):
    """Generate new images or texts with a run of a generative system."""

    run: Positional[Annotated[Path, told(metavar="RUN")]]
    """A run directory."""
    count: int = 16
    """How many."""
    seed: int = 0
    """Seed of the samples."""
    out: Annotated[Path, told(metavar="DIR")] = Path("samples")
    """Folder to write: a PNG per image, or samples.jsonl with the texts."""
    device: str = "cpu"
    """Device that generates."""

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike

        found = unalike.load(self.run, device=self.device).sample(self.count, seed=self.seed)
        out.print(f"{len(found)} samples, written to {found.save(self.out)}", markup=False)
