"""unalike fit."""

from __future__ import annotations

import dataclasses
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction

from unalike.cli.arguments import Columns, Command, own_settings, told
from unalike.cli.console import err, out
from unalike.cli.processes import sharing_work
from unalike.cli.tables import headline, show_scores
from unalike.errors import DataError, SettingsError
from unalike.records import Kind
from unalike.training.settings import Training

if TYPE_CHECKING:
    from unalike.runs.run import Run


@dataclass(frozen=True)
class Fit(Command):
    """Train a system on data; writes weights, vectors, scores and a report to a run directory. With --system SLUG, that
    system's own settings become options too, and --help lists them."""

    data: Positional[Annotated[str | None, told(metavar="[DATA]")]] = None
    """A folder of images, videos, audio or time series; a CSV, Parquet, JSONL or NumPy file; or a dataset's name."""
    system: Annotated[str | None, told(metavar="SLUG")] = None
    """The system to train (unalike systems lists them; default: chosen by the kinds of data)."""
    out: Annotated[Path | None, told(metavar="DIR")] = None
    """The run directory (default: runs/DATA-SYSTEM)."""
    resume: Annotated[Path | None, told(metavar="RUN")] = None
    """Resume an interrupted run; all other settings are read from its directory."""
    size: Annotated[int | None, told(metavar="PIXELS")] = None
    """Side length of the images (default: 64)."""
    image_encoder: Annotated[str | None, told(metavar="NAME")] = None
    """Image encoder: drawing, conv, grid, vit, timm:NAME (a model of timm), timm:NAME@FILE (with the weights in a file)
    or hf:FOLDER (a saved model of transformers)."""
    text_encoder: Annotated[str | None, told(metavar="NAME")] = None
    """Text encoder: ngram, transformer, hf:FOLDER (a saved model of transformers), st:FOLDER (one of
    sentence-transformers, with its prompts) or run:FOLDER (what a run has learned)."""
    encoder: Annotated[UseAppendAction[tuple[str, ...]], told(metavar="KIND=NAME")] = ()
    """The encoder of any kind, with its settings: audio=hf:FOLDER, series=affine, audio=mel,seconds=2. May be given
    once for each kind; a name that a kind does not have lists those it has."""
    max_tokens: Annotated[int | None, told(metavar="N")] = None
    """Tokens read of each text (default: as many as the text encoder can)."""
    pooling: Annotated[str | None, told(metavar="NAME")] = None
    """How an hf: text encoder makes one vector of its tokens: mean, first, last, max or own (default: as the model was
    made; a note says which)."""
    views: Literal["paper", "simclr", "moco_v2", "gentle", "plain"] = "paper"
    """Augmentation of images; paper means the system's own."""
    unseen: Annotated[tuple[str, ...] | None, told(metavar="ROLE [ROLE ...]")] = None
    """Roles that are kept out of training and only tested on."""
    holdout: float = 0.1
    """Share of rows held out of training, where the data have no splits of their own."""
    freeze: Annotated[UseAppendAction[tuple[str, ...]], told(metavar="KIND")] = ()
    """Keep the weights of the encoder of this kind, such as text; can be given several times."""
    tensorboard: bool = False
    """Write TensorBoard logs to the run directory."""
    shard: bool = False
    """Under torchrun: shard the encoders' parameters across the processes (FSDP)."""
    columns: OmitArgPrefixes[Columns] = field(default_factory=Columns)
    training: OmitArgPrefixes[Training] = field(default_factory=Training)

    takes_settings_of: ClassVar[tuple[str, Kind] | None] = ("--system", "learner")

    def execute(self, roles: Mapping[str, str]) -> None:
        import unalike
        from unalike.cli.progress import Progress
        from unalike.runs.fit import begin, execute
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
                    err.print(how_to_resume(str(stop) or "stopped", folder))
                raise SystemExit(130) from None
        if processes.leads:
            show_outcome(run)

    def wanted(self, roles: Mapping[str, str]) -> dict[str, Any]:
        """What a new run is asked to do."""
        if self.data is None:
            raise DataError(
                "unalike fit needs data: a folder, a file, or the name of a dataset (unalike data lists them)"
            )
        return {
            "data": self.data,
            "roles": roles or None,
            "system": self.system,
            "settings": own_settings(self),
            "encoder": self.encoders(),
            "size": self.size,
            "views": self.views,
            "unseen": self.unseen,
            "holdout": self.holdout,
            "freeze": self.freeze,
            "out": self.out,
            "training": Training(**dataclasses.asdict(self.training)),
            **dataclasses.asdict(self.columns),
        }

    def encoders(self) -> dict[str, dict[str, Any]]:
        """By kind the encoders that are asked for, with their settings.

        Raises:
            SettingsError: one is asked for in two ways, or in a form that cannot be read.
        """
        from unalike.runs.spec import read_encoders

        found = read_encoders(self.encoder)
        for kind, setting, value, flag in (
            ("image", "name", self.image_encoder, "--image-encoder"),
            ("text", "name", self.text_encoder, "--text-encoder"),
            ("text", "max_tokens", self.max_tokens, "--max-tokens"),
            ("text", "pooling", self.pooling, "--pooling"),
        ):
            if value is None:
                continue
            if setting in found.setdefault(kind, {}):
                raise SettingsError(f"{flag} {value} and --encoder {kind}=... both give it: leave one out")
            found[kind][setting] = value
        return found


def how_to_resume(what: str, folder: Path | None) -> str:
    """What a user reads after an interrupt: how to resume the run, if it had begun."""
    begun = folder is not None and (folder / "run.json").exists()
    return f"{what}. Resume with:\n  unalike fit --resume {folder}" if begun else f"{what} before training began"


def show_outcome(run: Run) -> None:
    """The most telling scores of a new run, and what can be done with it next."""
    show_scores(headline(run.scores))
    out.print(f"\nAll scores: unalike evaluate {run.folder}\nReport: {run.folder / 'report.html'}")
    if "search" in run.verbs:
        out.print(f"Search: unalike search {run.folder} {example_query(run)}")
    if "sample" in run.verbs:
        out.print(f"Samples: unalike sample {run.folder} --out samples")


def example_query(run: Run) -> str:
    """A query that this run can answer, for the last line that a user reads."""
    texts = [text for text in run.items.texts if text and text.strip()]
    if "text" in run.kinds and texts:
        line = texts[len(texts) // 2].strip().splitlines()[0]
        line = textwrap.shorten(line, 80, placeholder="") or line[:80]
        return shlex.quote(line) if set(line) & set('"$`\\!') else f'"{line}"'
    return shlex.quote(run.items.ids[0])
