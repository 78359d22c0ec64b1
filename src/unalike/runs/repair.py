"""Repairs of runs: fine-tuning on clean rows that drives triggers out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from unalike import systems, training, views
from unalike.audit import Audit
from unalike.data import Collection
from unalike.data.gathering import Source
from unalike.errors import DataError, SettingsError
from unalike.runs.build import Ready, fitted_batch, inputs_of, prepare
from unalike.runs.keep import finish, measured
from unalike.runs.layout import begun, new_folder
from unalike.runs.opened import Opened
from unalike.runs.plan import replan
from unalike.runs.spec import Spec
from unalike.runs.vectors import embed_roles, scored_roles
from unalike.settings import read_dataclass
from unalike.training.settings import Training


def repair(
    run: Opened,
    clean: Any,
    *,
    system: str = "cleanclip",
    settings: Mapping[str, Any] | None = None,
    roles: Mapping[str, str] | None = None,
    label: str | None = None,
    id: str | None = None,
    encoding: str | None = None,
    out: str | Path | None = None,
    listener: training.Listener | None = None,
    **options: Any,
) -> Path:
    """Fine-tune a picture-text run on clean pairs; writes a new run directory over these pairs.

    Args:
        run: the run, which is left as it is.
        clean: pairs that are known to be free of poison, of the run's roles; what `unalike.fit` takes.
        system: slug of the audit that repairs.
        settings: of the system.
        roles, label, id, encoding: as for `unalike.fit`.
        out: the new run directory; RUN-repaired unless given.
        listener: hears of progress.
        **options: training settings over the recipe: ``epochs``, ``learning_rate``, ...

    Returns:
        The new run directory.

    Raises:
        DataError: the run or the data are no pairs of pictures and texts. SettingsError: unknown settings.
        RunError: the directory exists.
    """
    began = time.monotonic()
    auditor = repairing(run, system, settings)
    stray = sorted(set(options) - {each.name for each in fields(Training)})
    if stray:
        raise SettingsError(f"unknown settings: {', '.join(stray)}")
    source = Source.of(clean, roles=roles, label=label, id=id, encoding=encoding)
    collection = run.gathered(clean, source)
    source = replace(source, roles=dict(source.roles or run.spec.source.roles))
    planned = replace(run.spec, source=source, training=Training(device=str(run.device), validate=0), unseen=())
    collection, spec = replan(collection, planned)
    folder = new_folder(out or run.folder.with_name(f"{run.folder.name}-repaired"), run.folder.name)
    # A copy of the run: what is fine-tuned here is not what the caller holds.
    learner, before = Opened(run.folder, run.record, device=run.device).learner, run.untrained()
    ready = readable(collection, spec, learner)
    rows = ready.collection.splits["train"]
    assert auditor.recipe is not None and auditor.repair is not None
    chosen = Training(**{"device": str(run.device), **options}).resolved(auditor.recipe, len(rows))
    spec = fitted_batch(replace(spec, training=chosen), len(rows))
    inputs, view = inputs_of(spec, ready), views.chosen("paper", spec.size)
    build = partial(auditor.repair, learner)
    repairer = training.assemble(build, ready.towers, spec.roles, inputs, spec.training, view=view)
    outcome = training.train(repairer, inputs, spec.training, folder=folder, listener=listener)
    untrained = embed_roles(before, ready, scored_roles(spec, before), run.device)
    found = measured(learner, ready, untrained, spec, run.device)
    kept = {name: value for name, value in run.record.items() if name != "checksums"}
    record = (
        kept
        | begun(ready.collection, spec)
        | {
            "state": "repaired",
            "notes": [f"{run.folder.name}, repaired by {system} on {len(rows)} clean pairs", *ready.collection.notes],
            "skipped": [],
        }
    )
    times = {"training": outcome.seconds, "began": began}
    finish(folder, record, ready, found, learner.module.state_dict(), learner=learner, device=run.device, times=times)
    return folder


def repairing(run: Opened, system: str, settings: Mapping[str, Any] | None) -> Audit:
    """The audit that repairs a run.

    Raises:
        SettingsError: there is no such audit, it repairs nothing, or its settings cannot be used.
        DataError: the run is not one that it repairs.
    """
    found = systems.find(system, kind="audit")
    auditor: Audit = found.build(read_dataclass(found.settings, settings or {}, f"settings of {system}"))
    if auditor.repair is None or auditor.recipe is None:
        raise SettingsError(f"{system} repairs nothing; cleanclip does")
    missing = [kind for kind in found.paper.roles if kind not in run.kinds]
    if missing or "scale" not in run.learner.modules:
        raise DataError(
            f"{system} repairs runs of pictures and texts with a learned scale, such as clip's and slip's; "
            f"{run.folder} was made by {run.spec.system} and reads {', '.join(run.kinds)}"
        )
    return auditor


def readable(collection: Collection, spec: Spec, learner: training.Learner) -> Ready:
    """Clean rows made ready for the encoders of a learner.

    Raises:
        DataError: some of them cannot be read; none may be left out here.
    """
    every = replace(spec, source=replace(spec.source, tolerance=1.0))
    ready = prepare(collection, every, learner.encoders)
    if unread := len(collection) - len(ready.collection):
        raise DataError(f"{unread} pictures of {collection.name} cannot be read; clean data must be readable")
    return ready
