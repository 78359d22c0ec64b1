"""The training loop. All randomness of a step follows from the seed and the step's number alone."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unalike.errors import TrainingError
from unalike.files import disk_errors
from unalike.training.batch import Inputs
from unalike.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    load_module,
    load_optimizer,
    optimizer_tensors,
    truncate_lines,
)
from unalike.training.group import Group
from unalike.training.learner import Learner
from unalike.training.order import Order, step_generator, stream_seed
from unalike.training.rates import rate_factors
from unalike.training.recorder import current_recorder
from unalike.training.settings import Training
from unalike.training.stages import Span, Stage, lay_out, spans
from unalike.training.validation import Keeper, Kept, Validation
from unalike.training.watch import CollapseWatch

SAVE, STOP = 1, 2
"""What a process may want after a step; the stronger wish of any process counts."""


class Interrupted(TrainingError):
    """Training was stopped by Ctrl-C or SIGTERM; all is saved and can be resumed."""


@dataclass
class Listener:
    """Who hears of the training: a progress bar, a TensorBoard writer. Every part is optional.

    on_step: each step, the number of all, and the row of its metrics; on_note: each note; on_stage: the number of each
    stage that has ended.
    """

    on_step: Callable[[int, int, Mapping[str, float]], None] = lambda step, total, row: None
    on_note: Callable[[str], None] = lambda text: None
    on_stage: Callable[[int], None] = lambda number: None


@dataclass
class Outcome:
    """How a training ended."""

    steps: int
    seconds: float
    notes: list[str] = field(default_factory=list)
    kept: Kept | None = None
    """What validation chose, where there was one."""


def pick_device(name: str) -> torch.device:
    """The device of a setting; ``auto`` takes an accelerator where there is one."""
    if name != "auto":
        return torch.device(name)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """While open, Ctrl-C and SIGTERM only ask the loop to stop after the step; a second one acts at once."""
    asked = False
    before: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    # Signals can be handled in the main thread only; elsewhere the caller is in charge.
    with contextlib.suppress(ValueError):
        for each in (signal.SIGINT, signal.SIGTERM):
            before[each] = signal.signal(each, handle)
    try:
        yield lambda: asked
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@dataclass
class Moving:
    """What moves while a stage lasts: its parameters, their optimiser, and the average of the weights."""

    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint in the middle of the stage carries beside the weights."""
        found = {"optimizer": optimizer_tensors(self.optimizer)}
        return found if self.average is None else found | {"average": self.average.state_dict()}

    def restore(self, found: Checkpoint, processes: Group) -> None:
        """Put a checkpoint from the middle of the stage back."""
        kept = found.tensors["optimizer"]
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        like = {key: parameters[int(key.split(".", 1)[0])] for key in kept}
        load_optimizer(self.optimizer, processes.placed(kept, like))
        if self.average is not None:
            load_module(self.average, found.tensors["average"], found.path)


def averaging(decay: float) -> Callable[[Any, Any, Any], None]:
    """The rule of the average of the weights: whole numbers, such as the codes of clusters, are copied."""
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(kept: Any, current: Any, count: Any) -> None:
        if kept[0].is_floating_point():
            average(kept, current, count)
        else:
            for mine, theirs in zip(kept, current, strict=True):
                mine.copy_(theirs)

    return update


def begin_stage(
    learner: Learner, span: Span, inputs: Inputs, training: Training, found: Checkpoint | None, processes: Group
) -> Moving:
    """Begin a stage, or go on with it if ``found`` is a checkpoint from its middle."""
    learner.enter(span.stage)
    if found is None and span.stage.begin is not None:
        torch.manual_seed(stream_seed(training.seed, "dropout", 2**32 + span.number))
        span.stage.begin(inputs)
    parameters = learner.moved_by(span.stage)
    average = (
        AveragedModel(learner.module, multi_avg_fn=averaging(training.average), use_buffers=True)  # type: ignore[no-untyped-call]
        if training.average
        else None
    )
    factors = rate_factors(learner, training)
    moving = Moving(parameters, processes.optimizer(parameters, training, factors), average)
    if found is not None:
        moving.restore(found, processes)
    return moving


def end_stage(span: Span, inputs: Inputs, training: Training, listener: Listener) -> None:
    """What is to be done once after the last step of a stage; whatever is saved is saved afterwards."""
    if span.stage.end is not None:
        torch.manual_seed(stream_seed(training.seed, "dropout", 2**33 + span.number))
        span.stage.end(inputs)
    listener.on_stage(span.number)


def run_step(stage: Stage, views: Any, moving: Moving, training: Training, processes: Group) -> float:
    """Make the optimiser step or steps of one batch; return the sum of the losses."""
    steps = stage.updates(views) if stage.updates is not None else iter([(stage.loss(views), moving.parameters)])  # type: ignore[misc]
    total = 0.0
    for loss, parameters in steps:
        value = float(loss.detach())
        total += value
        if not math.isfinite(value):
            return total
        moving.optimizer.zero_grad(set_to_none=True)
        moved = list(parameters)
        processes.backward(loss, moved)
        if training.clip_norm:
            processes.clip(moved, training.clip_norm)
        moving.optimizer.step()
    return total


def plan(learner: Learner, inputs: Inputs, training: Training, *, order: Order | None = None) -> list[Span]:
    """Which steps of a training belong to which stage, and in which order its rows come.

    Args:
        learner, inputs, training, order: as for `train`.

    Raises:
        SettingsError: there are fewer steps than stages.
    """
    assert training.batch_size is not None
    stages = lay_out(learner.phases, inputs, batch_size=training.batch_size, seed=training.seed, order=order)
    total = training.steps if training.steps is not None else (training.epochs or 1) * len(stages[0][1])
    return spans(stages, total)


def train(
    learner: Learner,
    inputs: Inputs,
    training: Training,
    *,
    order: Order | None = None,
    folder: Path | None = None,
    resume: bool = False,
    watch: CollapseWatch | None = None,
    watch_every: int = 25,
    validation: Validation | None = None,
    listener: Listener | None = None,
    processes: Group | None = None,
) -> Outcome:
    """Train a learner, stage after stage if it has stages.

    Args:
        learner: what to train; its modules are changed in place.
        inputs: the training rows.
        training: resolved settings; ``epochs`` are those of the first stage's order.
        order: which rows form which batch, in place of the learner's own order; by default shuffled epochs.
        folder: where ``metrics.jsonl`` and ``checkpoints/`` go; None keeps nothing.
        resume: go on from the newest checkpoint in ``folder``, if there is one.
        watch: looks for collapse every ``watch_every`` steps.
        validation: what is measured on other rows while it trains, and chooses the weights that are kept.
        listener: hears each step and each note.
        processes: those that train together, each with the same arguments; this one alone if None.

    Raises:
        TrainingError: the loss is not finite; the last good checkpoint is kept and the message names the batch.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        RunError: the disk is full or a checkpoint is damaged.
        SettingsError: there are fewer steps than stages.
    """
    listener, processes = listener or Listener(), processes or Group()
    device = pick_device(training.device)
    learner.module.to(device)
    planned = plan(learner, inputs, training, order=order)
    total = planned[-1].stop
    recorder = current_recorder()
    checkpoints = Checkpoints(folder / "checkpoints") if folder else None
    found = checkpoints.load() if resume and checkpoints is not None else None
    if found is not None:
        weights = processes.placed(found.tensors["weights"], learner.module.state_dict())
        load_module(learner.module, weights, found.path)
    start = step = 0 if found is None else found.step
    if folder is not None and processes.leads:
        # Without a checkpoint the measurement of the start, of step 0, is made again too.
        truncate_lines(folder / "metrics.jsonl", "step", -1 if found is None else start)
    keeper = None if validation is None else Keeper(validation, total, processes)
    if keeper is not None and found is not None:
        keeper.restore(found, learner.module)

    def save(step: int) -> None:
        if checkpoints is None:
            return
        parts = {"weights": learner.module.state_dict(), **moving.tensors()}
        parts |= {} if keeper is None else keeper.tensors()
        tensors = {name: processes.whole(each) for name, each in parts.items()}
        if processes.leads:
            checkpoints.save(step, tensors)

    outcome = Outcome(total, 0.0)
    began = saved = time.monotonic()
    warned = False
    devices: list[int] | None = [] if device.type == "cpu" else None
    with (
        torch.random.fork_rng(devices=devices),
        stop_signals() as asked,
        open_log(folder if processes.leads else None) as log,
    ):
        if keeper is not None and found is None:
            log({"step": 0, f"validation.{keeper.validation.name}": keeper.measure(learner, 0)})
        for span in planned:
            if step >= span.stop or (keeper is not None and keeper.ended):
                continue
            moving = begin_stage(learner, span, inputs, training, found if step > span.start else None, processes)
            found = None  # its tensors are in place
            for epoch, rows in span.batches(step, inputs, training.seed):
                rate = span.rate(step, training)
                for group in moving.optimizer.param_groups:
                    group["lr"] = rate * group["factor"]
                torch.manual_seed(stream_seed(training.seed, "dropout", step))
                batch = inputs.batch(rows, device)
                with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                    views = span.stage.views(batch, step_generator(training.seed, step))
                    loss = run_step(span.stage, views, moving, training, processes)
                if not math.isfinite(loss):
                    shown = ", ".join(str(int(r)) for r in rows[:8]) + (", ..." if len(rows) > 8 else "")
                    kept = checkpoints.steps()[-1:] if checkpoints else []
                    raise TrainingError(
                        f"the loss became {loss} at step {step} (epoch {epoch}, training rows {shown}). "
                        + (f"The checkpoint of step {kept[0]} is kept. " if kept else "")
                        + "Lower the learning rate, set clip_norm=1, or look at these rows."
                    )
                if span.stage.after_step is not None:
                    span.stage.after_step(step)
                step += 1
                if moving.average is not None:
                    moving.average.update_parameters(learner.module)
                    if step == span.stop:
                        learner.module.load_state_dict(moving.average.module.state_dict())
                if step == span.stop:
                    end_stage(span, inputs, training, listener)
                if recorder is not None:
                    recorder.step(loss)
                row: dict[str, float] = {"step": step, "epoch": epoch, "loss": loss, "learning_rate": rate}
                if watch is not None and (step % watch_every == 0 or step == total):
                    row |= watch.measure(learner)
                    warning = watch.warning(row_measures(row))
                    if warning and not warned and step > 2:
                        warned = True
                        outcome.notes.append(f"step {step}: {warning}")
                        listener.on_note(warning)
                if keeper is not None and step in keeper.due:
                    row[f"validation.{keeper.validation.name}"] = keeper.measure(learner, step)
                log(row)
                listener.on_step(step, total, row)
                late = time.monotonic() - saved > 60 * training.checkpoint_minutes
                # Each may hold a part of what is saved, so that all do it together.
                wanted = processes.most(STOP if asked() else SAVE if late else 0)
                if wanted:
                    save(step)
                    saved = time.monotonic()
                if wanted == STOP:
                    raise Interrupted(f"stopped at step {step} of {total}")
                if keeper is not None and keeper.ended:
                    break
        if start < step:
            save(step)
            if processes.any(asked()):  # while the last step was saved
                raise Interrupted(f"stopped at step {step} of {total}")
    if keeper is not None:
        if step < total:
            outcome.notes.append(
                f"training ended after step {step} of {total}: {keeper.waited} measurements without a better one"
            )
            listener.on_note(outcome.notes[-1])
        outcome.kept = keeper.end(learner, step, folder)
        outcome.notes.append(outcome.kept.note(total))
        listener.on_note(outcome.notes[-1])
    learner.module.eval()
    outcome.seconds = time.monotonic() - began
    return outcome


def row_measures(row: Mapping[str, float]) -> dict[str, float]:
    """The entries of a metrics row that the watch wrote."""
    return {name: value for name, value in row.items() if name.startswith(("rank.", "spread."))}


@contextlib.contextmanager
def open_log(folder: Path | None) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Append rows to ``metrics.jsonl``, each flushed at once."""
    if folder is None:
        yield lambda row: None
        return
    path = folder / "metrics.jsonl"
    with disk_errors(path):
        stream = path.open("a", encoding="utf-8")

    def write(row: Mapping[str, float]) -> None:
        with disk_errors(path):
            stream.write(json.dumps(dict(row)) + "\n")
            stream.flush()

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):
            stream.close()
