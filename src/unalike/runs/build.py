"""From a plan to what is trained: encoders, prepared roles, and the system that is built of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unalike import encoders, systems, training, views
from unalike.data import Collection, Column, Sameness, skip_unreadable
from unalike.encoders.text import Side
from unalike.errors import SettingsError
from unalike.files import cache_folder, checksum, disk_errors, write_bytes
from unalike.runs.pairs import prepare_as, side_of
from unalike.runs.same import notes as notes_of
from unalike.runs.same import of_prepared
from unalike.runs.spec import Spec


@dataclass(frozen=True)
class Ready:
    """A collection made ready for its encoders: unreadable rows are gone, every used role is packed.

    Args:
        collection: the rows.
        towers: by kind, the encoders.
        packed: by role, the prepared columns.
        same: which rows hold the same thing; None where nothing could be the same.
    """

    collection: Collection
    towers: Mapping[str, encoders.Encoder]
    packed: Mapping[str, encoders.Prepared]
    same: Sameness | None = None


def prepare(collection: Collection, spec: Spec, towers: Mapping[str, encoders.Encoder] | None = None) -> Ready:
    """Pack every role that the encoders read; rows that cannot be read are left out and counted.

    Args:
        collection: the rows, with splits.
        spec: says which roles are read, and by which encoders.
        towers: by kind encoders that are there already; they are made as the specification says unless given.

    Raises:
        DataError: more rows than the source tolerates cannot be read.
    """
    made = dict(towers or build_towers(collection, spec))
    packed: dict[str, encoders.Prepared] = {}
    failures: dict[int, Any] = {}
    notes = list(collection.notes)
    for kind, trained in spec.roles.items():
        for role in (*trained, *(role for role in spec.unseen if collection[role].kind == kind)):
            packed[role] = prepared(made[kind], collection[role], side_of(spec, role))
            failures |= packed[role].failures
            notes += [note for note in packed[role].notes if note not in notes]
    collection = collection.replace(notes=notes)
    if failures:
        kept = np.setdiff1d(np.arange(len(collection)), sorted(failures))
        collection = skip_unreadable(collection, failures, tolerance=spec.source.tolerance)
        packed = {role: training.Rows(prepared, kept) for role, prepared in packed.items()}
    same = of_prepared(collection, spec.roles, packed, group=spec.source.group is not None)
    told = notes_of(collection, same, systems.find(spec.system).paper)
    return Ready(collection.replace(notes=(*collection.notes, *told)), made, packed, same)


def build_towers(collection: Collection, spec: Spec) -> dict[str, encoders.Encoder]:
    """By kind the encoders of a specification, for the training rows of a collection.

    Raises:
        SettingsError: an encoder has no such setting, or cannot be made with its value.
    """
    train = collection.splits["train"]
    seed = training.stream_seed(spec.training.seed, "weights") % 2**31
    made = {}
    for number, (kind, trained) in enumerate(spec.roles.items()):
        settings = dict(spec.encoder_settings.get(kind, {}))
        columns = [collection[role].select(train) for role in trained]
        try:
            made[kind] = encoders.build_encoder(
                spec.encoder[kind], columns, size=spec.size, seed=seed + number, **settings
            )
        except (TypeError, ValueError, AssertionError) as error:
            # Each encoder says of its own which values it cannot take, but few look at their types.
            if not settings:
                raise
            told = ", ".join(f"{name}={value!r}" for name, value in settings.items())
            raise SettingsError(f"encoder {spec.encoder[kind]!r} cannot be made with {told}: {error}") from error
    for kind in spec.freeze:
        made[kind].freeze()
    return made


def prepared(encoder: encoders.Encoder, column: Column, side: Side | None = None) -> encoders.Prepared:
    """A column made ready; what the cache holds of it is used only if it has the checksum that it was written with."""
    cache = cache_folder() / "prepared"
    with disk_errors(cache):
        found = prepare_as(encoder, column, side, cache=cache)
    pixels = getattr(found, "pixels", None)
    if not isinstance(pixels, np.memmap) or pixels.filename is None:
        return found
    path = Path(str(pixels.filename))
    note, own = path.with_suffix(".checksum"), checksum(path)
    if note.exists() and note.read_text(encoding="utf-8", errors="replace") != own:
        for stale in (path, note):
            stale.unlink(missing_ok=True)
        return prepared(encoder, column, side)
    write_bytes(note, own.encode())
    return found


def inputs_of(spec: Spec, ready: Ready) -> training.Inputs:
    """The training rows of what a specification learns from."""
    rows, extra = ready.collection.splits["train"], systems.find(spec.system).paper.extra
    return training.inputs_of(ready.collection, ready.packed, spec.roles, rows, same=ready.same, extra=extra)


def make_learner(spec: Spec, ready: Ready, inputs: training.Inputs) -> training.Learner:
    """Build the system of a specification; initial weights follow from its seed."""
    found, label = systems.find(spec.system), ready.collection.label
    return training.assemble(
        partial(found.build, found.settings(**spec.settings)),
        ready.towers,
        spec.roles,
        inputs,
        spec.training,
        view=views.chosen(spec.views, spec.size),
        classes=0 if label is None else len(label.names),
    )


def fitted_batch(spec: Spec, rows: int) -> Spec:
    """The specification with a batch that is no larger than the rows that could be read."""
    batch = spec.training.batch_size
    assert batch is not None
    return spec if batch <= rows else replace(spec, training=replace(spec.training, batch_size=rows))


def suited_rate(spec: Spec, towers: Mapping[str, encoders.Encoder]) -> Spec:
    """The specification with the rate of pretrained weights: what suits the most delicate of them, unless one is given.

    It is never above the learning rate.
    """
    options = spec.training
    rates = [tower.suited_rate for tower in towers.values() if tower.pretrained and tower.suited_rate is not None]
    if options.pretrained_rate is not None or not rates:
        return spec
    assert options.learning_rate is not None
    return replace(spec, training=replace(options, pretrained_rate=min(*rates, options.learning_rate)))


def probes(
    learner: training.Learner, ready: Ready, spec: Spec, rows: np.ndarray, device: torch.device
) -> dict[str, Any]:
    """Some training rows of the first role of each kind, on which the watch for collapse looks."""
    chosen = np.random.default_rng(training.stream_seed(spec.training.seed, "probe")).permutation(rows)
    found = {}
    for kind, roles in spec.roles.items():
        if kind in learner.encoders:
            has = chosen[ready.collection[roles[0]].present[chosen]][:128]
            found[kind] = ready.packed[roles[0]].take(np.sort(has)).to(device)
    return found
