"""The main job: from data to a run directory with weights, vectors, scores and a report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from unalike import training
from unalike.data import Collection
from unalike.data.gathering import Source, gathered, suggested_unseen
from unalike.errors import DataError, SettingsError, UnalikeError
from unalike.files import (
    damaged,
    sweep,
    write_sealed,
)
from unalike.runs.build import Ready, fitted_batch, inputs_of, make_learner, prepare, probes, suited_rate
from unalike.runs.keep import finish, measured
from unalike.runs.layout import begun, new_folder, newest_checkpoint, read_record
from unalike.runs.pairs import as_pair
from unalike.runs.plan import plan, replan
from unalike.runs.run import Run
from unalike.runs.spec import Spec, Wanted
from unalike.runs.validating import validation
from unalike.runs.vectors import embed_roles, scored_roles
from unalike.training import Alone
from unalike.training.settings import Training

AS_IT_IS = "no step was made: the model is as it was given"


def fit(
    data: Any,
    *,
    system: str | None = None,
    roles: Mapping[str, str] | None = None,
    label: str | None = None,
    group: str | None = None,
    id: str | None = None,
    encoding: str | None = None,
    tolerance: float = 0.01,
    settings: Mapping[str, Any] | None = None,
    encoder: Wanted | None = None,
    size: int | None = None,
    views: str = "paper",
    unseen: tuple[str, ...] | None = None,
    holdout: float = 0.1,
    freeze: Sequence[str] = (),
    out: str | Path | None = None,
    listener: training.Listener | None = None,
    shard: bool = False,
    **options: Any,
) -> Run:
    """Learn a space from data and say how good it is.

    Processes that ``torchrun`` started train one model together (see `unalike.training.joined`).

    Args:
        data: a folder of pictures, a CSV, Parquet, JSONL or NumPy file, a folder written by Hugging Face datasets,
            the name of a data set (``"emoji"``), a `Collection`, or in memory: pictures, texts, an array.
        system: slug of the system; by default one that fits the data's roles.
        roles: for tables, role to column name: ``{"image": "path", "text": "caption", "text:de": "titel"}``;
            ``array:target`` names a number to predict.
        label: column with the class, for evaluation and for systems that learn from labels.
        group: column whose equal values never cross from training to test.
        id: column with a name for each row.
        encoding: of text files, if it is not UTF-8.
        tolerance: share of the items that may be unreadable; they are left out and listed.
        settings: the system's own settings, such as ``{"temperature": 0.1}``.
        encoder: by kind its name, or its settings with or without a ``name`` among them: ``{"image": "timm:NAME"}``,
            ``{"text": {"name": "hf:FOLDER", "max_tokens": 64}}``. The names are in `unalike.encoders.CHOICES`.
        size: side of the pictures in pixels; 64 unless given.
        views: ``"paper"`` for the system's own picture views, or ``"simclr"``, ``"moco_v2"``, ``"gentle"``,
            ``"plain"``.
        unseen: roles to keep out of training and only test on.
        holdout: share of rows kept out of training for the scores, where the data bring no splits.
        freeze: kinds whose encoders keep their weights, such as ``("image",)``.
        out: the run directory; ``runs/<data>-<system>`` unless given. It must not exist.
        listener: hears of progress.
        shard: under ``torchrun``, each process holds its part of the encoders' parameters and optimiser state only.
        **options: training settings (see `unalike.Training`): ``epochs``, ``steps``, ``batch_size``, ``seed``, ...

    Returns:
        The finished run.

    Raises:
        DataError: the data cannot be used.
        SettingsError: unknown or impossible settings, all at once.
        RunError: the run directory exists or cannot be written.
        TrainingError: the loss is not finite, or training was interrupted (it can be resumed).

    Example:
        >>> import unalike
        >>> run = unalike.fit("digits", system="simclr", steps=3, batch_size=32, size=16, out=tmp / "digits")
        >>> run.embed("digits").vectors.shape[1]
        256
    """
    known = {field.name for field in fields(Training)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise SettingsError(f"unknown settings: {', '.join(unknown)}. Training takes: {', '.join(sorted(known))}")
    chosen = Training(**options)
    with training.joined(chosen.device) as processes:
        collection, spec, folder = begin(
            data,
            system=system,
            roles=roles,
            label=label,
            group=group,
            id=id,
            encoding=encoding,
            tolerance=tolerance,
            settings=settings,
            encoder=encoder,
            size=size,
            views=views,
            unseen=unseen,
            holdout=holdout,
            freeze=freeze,
            out=out,
            training=chosen,
            processes=processes,
        )
        return execute(collection, spec, folder, resume=False, listener=listener, processes=processes, shard=shard)


def begin(
    data: Any,
    *,
    system: str | None,
    roles: Mapping[str, str] | None,
    label: str | None,
    group: str | None,
    id: str | None,
    encoding: str | None,
    tolerance: float,
    settings: Mapping[str, Any] | None,
    encoder: Wanted | None,
    size: int | None,
    views: str,
    unseen: tuple[str, ...] | None,
    holdout: float,
    out: str | Path | None,
    training: Training,
    processes: Alone,
    freeze: Sequence[str] = (),
) -> tuple[Collection, Spec, Path]:
    """Open the data, resolve every setting and make the run directory; the arguments are those of `fit`."""
    if system is None:
        roles = as_pair(roles)
    told = Source.of(data, roles=roles, label=label, group=group, id=id, encoding=encoding, tolerance=tolerance)
    collection = gathered(data, told)
    source = told.completed(data, collection)
    if training.pretrained_rate is None and training.learning_rate is not None:
        training = replace(training, pretrained_rate=training.learning_rate)  # one rate was given: it is everyone's
    collection, spec = plan(
        collection,
        source,
        system=system,
        settings=settings,
        training=training,
        encoder=encoder,
        size=size,
        views=views,
        unseen=tuple(unseen) if unseen is not None else suggested_unseen(source.path),
        holdout=holdout,
        freeze=tuple(freeze),
    )
    return collection, spec, Path(processes.told(lambda: str(new_folder(out, f"{collection.name}-{spec.system}"))))


def resume(
    folder: str | Path, data: Any = None, *, listener: training.Listener | None = None, shard: bool = False
) -> Run:
    """Go on with an interrupted run; the result has the same bits as one that was never interrupted.

    Args:
        folder: the run directory.
        data: the data again, if they were given from memory.
        listener: hears of progress.
        shard: as for `fit`, whether or not the run began so.

    Raises:
        RunError: the directory is no run, or is damaged.
        DataError: the data are not those that the run began with.
    """
    path = Path(folder)
    content = read_record(path)
    if content.get("state") == "done":
        return Run.load(path)
    with damaged(path / "run.json"):
        spec = Spec.from_json(content["spec"])
    if spec.training.validate is None:
        # It was begun by a version that measured nothing and had one rate for all.
        old = replace(spec.training, validate=0, pretrained_rate=spec.training.learning_rate)
        spec = replace(spec, training=old)
    where = spec.source
    if data is None and where.path.startswith("memory:"):
        raise DataError(f"{path} was trained on data from memory: give them again, unalike.resume(folder, data)")
    collection = gathered(where.path if data is None else data, where)
    collection, again = replan(collection, spec)
    if collection.fingerprint() != content["data"]["fingerprint"]:
        raise DataError(f"{where.path} has changed since {path} was begun: start a new run")
    with training.joined(again.training.device) as processes:
        return execute(collection, again, path, resume=True, listener=listener, processes=processes, shard=shard)


def execute(
    collection: Collection,
    spec: Spec,
    folder: Path,
    *,
    resume: bool,
    listener: training.Listener | None = None,
    processes: Alone,
    shard: bool = False,
) -> Run:
    """Carry a specification out in a run directory: prepare, train, embed, score, report."""
    began = time.monotonic()
    listener = listener or training.Listener()
    if shard:
        training.shardable(processes, spec.training)  # before anything is written
    record = begun(collection, spec)
    if processes.leads:
        for place in (folder, folder / "checkpoints", folder / "assets"):
            sweep(place)
        write_sealed(folder / "run.json", record)
    try:
        ready, spec, inputs, learner = build(collection, spec, listener)
        device = training.pick_device(spec.training.device)
    except UnalikeError:
        if not resume and processes.leads:
            # Nothing has been learned: once data or settings are mended the same command can be given again.
            (folder / "run.json").unlink()
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    rows = ready.collection.splits["train"]
    if shard:
        processes = training.shard(learner.module.to(device), training.shardable(processes, spec.training))
    with training.sharing(learner.module, processes), training.forward_only():
        untrained = embed_roles(learner, ready, scored_roles(spec, learner), device)
        processes.same(newest_checkpoint(folder) if resume else 0, "checkpoints")
        if spec.training.steps == 0:
            learner.module.eval()
            outcome = training.Outcome(0, 0.0, [AS_IT_IS])
        else:
            outcome = training.train(
                learner,
                inputs,
                spec.training,
                folder=folder,
                resume=resume,
                watch=training.CollapseWatch(probes(learner, ready, spec, rows, device)),
                validation=validation(learner, ready, spec, device),
                listener=listener,
                processes=processes,
            )
        begun_with = "untouched start" if training.pretrained_encoders(learner) else "untrained encoder"
        found = measured(learner, ready, untrained, spec, device, start=begun_with)
        weights = processes.whole(learner.module.state_dict())
    if processes.leads:
        record |= {"spec": spec.to_json(), **built(learner, ready, spec, inputs)}
        if outcome.kept is not None:
            record["kept"] = asdict(outcome.kept)
        record |= {
            "notes": [*ready.collection.notes, *outcome.notes],
            "skipped": [{"id": each.id, "reason": each.reason} for each in ready.collection.skipped],
        }
        times = {"training": outcome.seconds, "began": began}
        finish(folder, record, ready, found, weights, learner=None if shard else learner, device=device, times=times)
    processes.wait()
    return Run.load(folder)


def build(
    collection: Collection, spec: Spec, listener: training.Listener
) -> tuple[Ready, Spec, training.Inputs, training.Learner]:
    """What a specification asks for, with a batch that the readable rows can fill.

    Raises:
        UnalikeError: the data or the settings do not allow it.
    """
    ready = prepare(collection, spec)
    for note in ready.collection.notes:
        listener.on_note(note)
    rows = len(ready.collection.splits["train"])
    spec = suited_rate(fitted_batch(spec, rows), ready.towers)
    inputs = inputs_of(spec, ready)
    learner = make_learner(spec, ready, inputs)
    if spec.training.steps != 0 and not learner.parameters:
        frozen = " ".join(f"--freeze {kind}" for kind in spec.freeze)
        raise SettingsError(f"{frozen} leaves {spec.system} nothing to train; leave it out, or give --steps 0")
    if spec.training.steps != 0:
        training.check_steps(len(learner.phases), spec.training.total_steps(rows))
    return ready, spec, inputs, learner


def built(learner: training.Learner, ready: Ready, spec: Spec, inputs: training.Inputs) -> dict[str, Any]:
    """The entries of a record from which a run builds its system again."""
    label = ready.collection.label
    classes = 0 if label is None else len(label.names)
    task = training.task_of(ready.towers, spec.roles, inputs, spec.training, classes=classes)
    return {
        # The encoders that the system is built from; those that serve may be made of several (an ensemble).
        "encoders": {kind: encoder.config() for kind, encoder in ready.towers.items()},
        "assets": {kind: sorted(encoder.assets()) for kind, encoder in ready.towers.items()},
        "towers": {
            kind: next(name for name, module in learner.modules.items() if module is encoder)
            for kind, encoder in ready.towers.items()
            if any(module is encoder for module in learner.modules.values())
        },
        "kinds": list(learner.encoders),
        "serves": [each.name for each in learner.serves],
        # In the order of their codes, which is that of a classifier's outputs.
        "classes": [] if label is None else list(label.names),
        "task": {"rows": task.rows, "steps": task.steps, "classes": task.classes, "codes": task.codes}
        | ({"extra": dict(task.extra)} if task.extra else {}),
    }
