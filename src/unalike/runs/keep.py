"""The end of a run: what was learned is measured, written, shown on a page and sealed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unalike import training
from unalike.data.roles import kind_of
from unalike.files import write_bytes, write_json, write_sealed
from unalike.runs.build import Ready
from unalike.runs.end import End, Part
from unalike.runs.items import Items, is_shown
from unalike.runs.layout import read_record, sealed
from unalike.runs.opened import Opened
from unalike.runs.pairs import other_side
from unalike.runs.report import write_report
from unalike.runs.serving import finished
from unalike.runs.spec import Spec
from unalike.runs.vectors import choose_text_role, embed_roles, is_embedded


@dataclass(frozen=True)
class Measured:
    """By role the vectors of all rows, and what the capabilities of the learner add: scores and files."""

    vectors: Mapping[str, np.ndarray]
    part: Part


def measured(
    learner: training.Learner,
    ready: Ready,
    untrained: Mapping[str, np.ndarray],
    spec: Spec,
    device: torch.device,
    *,
    start: str = "untrained encoder",
) -> Measured:
    """Embed every row with what was learned, and score all that this serves beside the vectors before training.

    ``start`` is the name of the floor that these make.
    """
    roles = [role for role in ready.packed if is_embedded(role) and kind_of(role) in learner.encoders]
    vectors = embed_roles(learner, ready, roles, device)
    return Measured(vectors, finished(End(learner, ready, vectors, untrained, spec, device, start)))


def finish(
    folder: Path,
    record: Mapping[str, Any],
    ready: Ready,
    found: Measured,
    weights: Mapping[str, torch.Tensor],
    *,
    learner: training.Learner | None,
    device: torch.device,
    times: Mapping[str, float],
) -> None:
    """Write all that a run consists of, with its page, and the record that seals it.

    Args:
        folder: the run directory.
        record: the content of its ``run.json``, not sealed yet.
        ready: the rows and the encoders.
        found: vectors of the rows, with scores and files.
        weights: of the learner, whole.
        learner: the learner, if this process holds all of it.
        device: where it is.
        times: seconds of the training, and when the work ``began`` (`time.monotonic`).

    Raises:
        RunError: the disk is full or cannot be written.
    """
    keep(weights, ready, found.vectors, folder, other_side(Spec.from_json(record["spec"]), list(found.vectors)))
    write_json(folder / "scores.json", [each.to_json() for each in found.part.scores])
    for path, content in found.part.files.items():
        write_bytes(folder / path, content)
    write_sealed(folder / "run.json", record)
    write_report(Opened(folder, read_record(folder), learner, device))
    write_json(folder / "times.json", {"training": times["training"], "all": time.monotonic() - times["began"]})
    write_sealed(folder / "run.json", {**record, "state": "done", "checksums": sealed(folder)})


def keep(
    weights: Mapping[str, torch.Tensor],
    ready: Ready,
    vectors: Mapping[str, np.ndarray],
    folder: Path,
    answers: Sequence[str] = (),
) -> None:
    """Write weights, what the encoders need beside them, the vectors to search, and what a search shows.

    Of texts those that name the rows are searched, and ``answers``: the roles of the other side of pairs.
    """
    collection = ready.collection
    training.save_tensors(folder / "weights.safetensors", weights)
    for kind, encoder in ready.towers.items():
        for name, content in encoder.assets().items():
            write_bytes(folder / "assets" / f"{kind}.{name}", content)
    text_role = choose_text_role(collection)
    kept = (text_role, *answers)
    searched = {role: v for role, v in vectors.items() if kind_of(role) != "text" or role in kept}
    if searched:
        training.save_tensors(
            folder / "vectors.safetensors", {role: torch.from_numpy(v) for role, v in searched.items()}
        )
    split_of = np.full(len(collection), "", object)
    for name, rows in collection.splits.items():
        split_of[rows] = name
    pictures = {role: packed for role, packed in ready.packed.items() if is_shown(role)}
    Items.of(collection, list(split_of), text_role, pictures, answers).save(folder / "items.parquet")
