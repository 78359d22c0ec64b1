"""unalike fit."""

from __future__ import annotations

import dataclasses
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional

from unalike.cli.arguments import Columns, Command, own_settings, told
from unalike.cli.console import err, out
from unalike.cli.processes import sharing_work
from unalike.cli.tables import headline, show_scores
from unalike.errors import DataError
from unalike.records import Kind
from unalike.training.settings import Training

if TYPE_CHECKING:
    from unalike.run import Run


@dataclass(frozen=True)
class Fit(Command):
    """Learn a space from data; writes weights, vectors, scores and a report into a run directory. With --system SLUG
    that system's own settings can be given, and --help shows them."""

    data: Positional[Annotated[str | None, told(metavar="DATA")]] = None
    """A folder of pictures, clips, recordings or series, a CSV, Parquet, JSONL or NumPy file, or the name of a data
    set (unalike data)."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """Which system learns (unalike systems); chosen from the data's roles if it is left out."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """The run directory; runs/DATA-SYSTEM if it is left out."""
    resume: Annotated[Path | None, told(metavar="RUN")] = None
    """Go on with an interrupted run; everything else is read from it."""
    size: Annotated[int | None, told(metavar="PIXELS")] = None
    """Side of the pictures; 64 if it is left out."""
    image_encoder: Annotated[str | None, told(metavar="NAME")] = None
    """drawing, conv, grid, vit or timm:NAME."""
    text_encoder: Annotated[str | None, told(metavar="NAME")] = None
    """ngram, transformer, hf:FOLDER, st:FOLDER or run:FOLDER."""
    views: Literal["paper", "simclr", "moco_v2", "gentle", "plain"] = "paper"
    """Random views of pictures; paper takes the system's own."""
    unseen: Annotated[tuple[str, ...] | None, told(metavar="ROLE [ROLE ...]")] = None
    """Roles to keep out of training and only test on."""
    holdout: float = 0.1
    """Share of the rows that is kept out of training, where the data bring no splits."""
    tensorboard: bool = False
    """Write TensorBoard logs into the run directory."""
    shard: bool = False
    """Under torchrun: each process holds its part of the encoders' parameters only (FSDP)."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)
    training: OmitArgPrefixes[Training] = field(default_factory=Training)

    takes_settings_of: ClassVar[tuple[str, Kind] | None] = ("--system", "learner")

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike
        from unalike.cli.progress import Progress
        from unalike.fitting import begin, execute
        from unalike.training import Interrupted

        folder = self.resume
        with sharing_work(self.training.device) as processes, Progress(out) as progress:
            try:
                if self.resume is not None:
                    run = unalike.resume(self.resume, listener=progress.listener(), shard=self.shard)
                else:
                    collection, spec, folder = begin(**self.wanted(roles), processes=processes)
                    progress.say(f"{spec.system} on {len(collection)} rows of {collection.name}, into {folder}")
                    log = folder / "tensorboard" if self.tensorboard and processes.leads else None
                    run = execute(
                        collection,
                        spec,
                        folder,
                        resume=False,
                        listener=progress.listener(log),
                        processes=processes,
                        shard=self.shard,
                    )
            except (Interrupted, KeyboardInterrupt) as stop:
                progress.stop()
                if processes.leads:
                    err.print(how_to_go_on(str(stop) or "stopped", folder))
                raise SystemExit(130) from None
        if processes.leads:
            show_outcome(run)

    def wanted(self, roles: Mapping[str, str]) -> dict[str, Any]:
        """What a new run is asked to do."""
        if self.data is None:
            raise DataError("unalike fit needs data: a folder, a file, or the name of a set (unalike data)")
        named = {"image": self.image_encoder, "text": self.text_encoder}
        return {
            "data": self.data,
            "roles": roles or None,
            "system": self.system,
            "settings": own_settings(self),
            "encoder": {kind: name for kind, name in named.items() if name is not None},
            "size": self.size,
            "views": self.views,
            "unseen": self.unseen,
            "holdout": self.holdout,
            "out": self.out,
            "training": Training(**dataclasses.asdict(self.training)),
            **dataclasses.asdict(self.columns),
        }


def how_to_go_on(what: str, folder: Path | None) -> str:
    """What an interrupted user reads: how the run goes on, if it had begun."""
    begun = folder is not None and (folder / "run.json").exists()
    return f"{what}. Go on with:\n  unalike fit --resume {folder}" if begun else f"{what}; nothing begun"


def show_outcome(run: Run) -> None:
    """The most telling scores of a new run, and what can be done with it next."""
    show_scores(headline(run.scores))
    out.print(
        f"\nAll scores: unalike evaluate {run.folder}\nReport: {run.folder / 'report.html'}\n"
        f"Search: unalike search {run.folder} {example_query(run)}"
    )


def example_query(run: Run) -> str:
    """A query that this run can answer, for the last line that a user reads."""
    texts = [text for text in run.items.texts if text and text.strip()]
    if "text" in run.kinds and texts:
        line = texts[len(texts) // 2].strip().splitlines()[0]
        line = textwrap.shorten(line, 80, placeholder="") or line[:80]
        return shlex.quote(line) if set(line) & set('"$`\\!') else f'"{line}"'
    return shlex.quote(run.items.ids[0])
