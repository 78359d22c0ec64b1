"""The pages of a run: its report, and the page of a search."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unalike import report, systems
from unalike.data.kinds import words_for
from unalike.data.roles import kind_of
from unalike.files import checksum, write_bytes, write_sealed
from unalike.runs.items import is_shown
from unalike.runs.opened import Opened
from unalike.runs.query import read_as
from unalike.runs.search import Found
from unalike.runs.serving import shown
from unalike.runs.spec import encoder_words

SHOWN = 6000
"""Most items that are handed to a page; it samples further by itself."""
GEOMETRY = ("alignment", "uniformity", "effective_rank", "modality_", "hubness", "tolerance")


def write_report(run: Opened) -> Path:
    """Write the run's ``report.html``."""
    rows = shown_rows(run)
    items, vectors = [], []
    for role in run.vectors:
        present = run.present(role)
        for row in rows:
            if present[row]:
                items.append(item(run, role, int(row)))
                vectors.append(run.vectors[role][row])
    scores = run.scores
    inputs = report.ReportInputs(
        title=f"{run.record['data']['name']}, {run.spec.system}",
        summary=summary(run),
        facts=facts(run),
        curves=list(run.metrics()),
        collapse_below={f"rank.{kind}": 2.0 for kind in run.kinds} | {f"spread.{kind}": 0.05 for kind in run.kinds},
        scores=[score for score in scores if not is_geometry(score.name)],
        geometry=[score for score in scores if is_geometry(score.name)],
        items=items,
        vectors=np.stack(vectors) if vectors else np.zeros((0, 0), np.float32),
        notes=[*run.record["notes"], *(f"{each['id']}: {each['reason']}" for each in run.record["skipped"])],
        versions=run.record["versions"],
        command=command(run),
        seed=run.spec.training.seed,
        **shown(run),
    )
    path = report.write(inputs, run.folder / "report.html")
    if "checksums" in run.record:
        # The page is part of what is sealed: a run whose report was written again is still whole.
        record = {**run.record, "checksums": {**run.record["checksums"], path.name: checksum(path)}}
        write_sealed(run.folder / "run.json", record)
    return path


def is_geometry(name: str) -> bool:
    """Whether a score describes the space rather than its use."""
    return name.startswith(GEOMETRY)


def shown_rows(run: Opened) -> np.ndarray:
    """Rows for the page: those that were not trained on, and as many others as there is room for."""
    splits = run.items.splits
    fresh, others = np.flatnonzero(splits != "train"), np.flatnonzero(splits == "train")
    generator = np.random.default_rng(run.spec.training.seed)
    room = max(1, SHOWN // max(1, len(run.vectors)))
    fresh, others = generator.permutation(fresh)[:room], generator.permutation(others)
    return np.sort(np.concatenate([fresh, others[: max(0, room - len(fresh))]]))


def item(run: Opened, role: str, row: int) -> report.Item:
    """One row of one role, as a page shows it."""
    labels = {name: run.items.labels(name)[row] for name in run.items.label_roles}
    return report.Item(
        id=run.items.ids[row],
        kind=role,
        label=labels.get("label"),
        text=run.items.texts[row],
        thumbnail=partial(run.items.picture, row, role) if is_shown(role) else None,
        instance=run.items.ids[row],
        facets={name.removeprefix("label:"): label for name, label in labels.items() if ":" in name and label},
    )


def summary(run: Opened) -> list[str]:
    """What was learned from what, and the settings in words."""
    spec, record = run.spec, run.record
    found = systems.find(spec.system)
    *most, last = map(words_for, spec.roles)
    things = f"{', '.join(most)} and {last}" if most else last
    steps = record["task"]["steps"]
    sentences = [
        f"{found.paper.title.split(':')[0]} ({found.slug}) learned from the {things} "
        f"of {record['task']['rows']:,} rows of {record['data']['name']}.",
        found.summary,
        f"{steps:,} steps of {spec.training.batch_size} rows with {spec.training.optimizer}, learning rate "
        f"{spec.training.learning_rate:g}, seed {spec.training.seed}.",
    ]
    if spec.unseen:
        sentences.append(f"Never trained on, only tested: {', '.join(spec.unseen)}.")
    return sentences


def facts(run: Opened) -> list[tuple[str, str]]:
    """Settings and counts, by name."""
    spec = run.spec
    counts = {name: int((run.items.splits == name).sum()) for name in dict.fromkeys(run.items.splits) if name}
    found = [
        ("system", spec.system),
        ("data", f"{run.record['data']['name']}, {run.record['data']['rows']:,} rows"),
        ("splits", ", ".join(f"{name} {count:,}" for name, count in counts.items())),
        ("trained on", ", ".join(trained_on(roles) for roles in spec.roles.values())),
        ("encoders", ", ".join(told_encoder(kind, wanted) for kind, wanted in spec.encoders.items())),
    ]
    if "image" in spec.roles:
        found.append(("pictures", f"{spec.size} x {spec.size} pixels, views: {spec.views}"))
    found += [(name.replace("_", " "), str(value)) for name, value in spec.settings.items()]
    training = spec.training
    found += [
        (name.replace("_", " "), str(getattr(training, name)))
        for name in ("optimizer", "learning_rate", "weight_decay", "batch_size", "warmup", "clip_norm", "precision")
    ]
    return found


def told_encoder(kind: str, wanted: Mapping[str, Any]) -> str:
    """An encoder by its kind and name, with the settings that were given."""
    settings = ", ".join(f"{name} {value}" for name, value in wanted.items() if name != "name")
    return f"{kind}: {wanted['name']}" + (f" ({settings})" if settings else "")


def trained_on(roles: Sequence[str]) -> str:
    """The roles of one kind, by name or by number."""
    return ", ".join(roles) if len(roles) <= 4 else f"{len(roles)} roles of {kind_of(roles[0])}"


def command(run: Opened) -> str:
    """What to type to make this run again."""
    spec = run.spec
    words = ["unalike fit", quoted(spec.source.path)]
    words += [f"--{role} {quoted(column)}" for role, column in spec.source.roles.items()]
    words += [f"--{name} {quoted(value)}" for name in ("label", "group", "id") if (value := getattr(spec.source, name))]
    words.append(f"--system {spec.system}")
    training = spec.training
    length = f"--steps {training.steps}" if training.steps is not None else f"--epochs {training.epochs}"
    words += [length, f"--batch-size {training.batch_size}", f"--learning-rate {training.learning_rate:g}"]
    words += [f"--size {spec.size}", f"--views {spec.views}", f"--seed {training.seed}"]
    for kind, wanted in spec.encoders.items():
        short = kind in ("image", "text") and len(wanted) == 1
        told = f"--{kind}-encoder {quoted(wanted['name'])}" if short else quoted(encoder_words(kind, wanted))
        words.append(told if short else f"--encoder {told}")
    defaults = systems.find(spec.system).settings()
    for name, value in spec.settings.items():
        if value != getattr(defaults, name):
            words.append(f"--{name.replace('_', '-')} {value}")
    return " ".join(words)


def quoted(text: str) -> str:
    return shlex.quote(text)


def hits_of(run: Opened, found: Sequence[Found]) -> Iterator[Any]:
    """Search hits as a page shows them."""
    for hit in found:
        yield report.Hit(item=item(run, hit.role, hit.row), score=hit.score)


def write_search(run: Opened, query: str, found: Sequence[Found], path: Path) -> Path:
    """Write a page of a search's hits with their pictures."""
    shown: str | Image.Image = query
    if read_as(run, query) == "picture":
        with Image.open(query) as picture:
            shown = picture.convert("RGB")
    write_bytes(path, report.search_page(shown, list(hits_of(run, found))).encode())
    return path
