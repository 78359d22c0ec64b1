"""What a user sees while a system trains: a bar with the moving loss and the time left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import rich.progress
from rich.console import Console

from unalike.errors import MissingExtra

if TYPE_CHECKING:
    from unalike.training import Listener

SMOOTHING = 0.9
"""Weight of the past in the moving loss."""


def bar(console: Console, what: str, *further: rich.progress.ProgressColumn) -> rich.progress.Progress:
    """A bar with counts, the time gone and the time left; off where there is no terminal."""
    return rich.progress.Progress(
        rich.progress.TextColumn(what),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        *further,
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("left"),
        rich.progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class Progress:
    """A progress bar on a terminal; elsewhere a line every ten seconds."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.loss: float | None = None
        self.last = time.monotonic()
        self.bar = bar(console, "training", rich.progress.TextColumn("loss {task.fields[loss]}"))
        self.task: Any = None

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def listener(self, tensorboard: Path | None = None) -> Listener:
        """What the training loop tells its news to."""
        from unalike.training import Listener

        writer = _writer(tensorboard) if tensorboard is not None else None

        def on_step(step: int, total: int, row: Mapping[str, float]) -> None:
            loss = row["loss"]
            self.loss = loss if self.loss is None else SMOOTHING * self.loss + (1 - SMOOTHING) * loss
            if self.task is None:
                self.task = self.bar.add_task("", total=total, loss="")
            self.bar.update(self.task, completed=step, loss=f"{self.loss:.4f}")
            if self.bar.disable and (time.monotonic() - self.last > 10 or step == total):
                self.last = time.monotonic()
                self.say(f"step {step} of {total}, loss {self.loss:.4f}")
            if writer is not None:
                for name, value in row.items():
                    if name != "step":
                        writer.add_scalar(name, value, step)
                if step == total:
                    writer.close()

        return Listener(on_step=on_step, on_note=lambda text: self.say(f"note: {text}"))


class Trials:
    """Progress of a check: a bar with the time left on a terminal, elsewhere a line every half minute."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.last = time.monotonic()
        self.bar = bar(console, "{task.description}")
        self.task: Any = None

    def __enter__(self) -> Trials:
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def tell(self, done: int, total: int, job: Any, outcome: Any) -> None:
        """Hears of each finished trial."""
        what = {"start": "pretraining", "tune": "tuning", "score": "scoring"}[job.stage]
        if self.task is None:
            self.task = self.bar.add_task(what, total=total)
        self.bar.update(self.task, completed=done, description=what)
        if self.bar.disable and (time.monotonic() - self.last > 30 or done == total):
            self.last = time.monotonic()
            self.console.print(f"{what}: {done} of {total} trials")


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("TensorBoard", "log") from None
    return SummaryWriter(str(folder))
