"""From a few labelled rows to a classifier on a run's frozen vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from unalike import adapting, evaluation, systems, training
from unalike.adapting import Adapter, Entrant
from unalike.data import Collection, ImageColumn, LabelColumn, tables
from unalike.data.gathering import Source
from unalike.data.images import PICTURE_SUFFIXES
from unalike.data.roles import kind_of
from unalike.errors import DataError, RunError
from unalike.files import read_json, write_json, write_table
from unalike.runs.opened import Opened
from unalike.settings import read_dataclass

FORMAT = 1
FOLDER = "adapter"
"""Where an adapter lies in its run's directory unless told otherwise."""
MOST_SHOTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Shots:
    """Labelled rows in the eyes of a run.

    kind: of thing; names: of the classes; codes: ``(N,)``; looks: ``(V, N, D)`` that are learnt from; plain:
    ``(N, D)``; raw: ``(N, F)`` raw pixels, None for other things.
    """

    kind: str
    names: tuple[str, ...]
    codes: np.ndarray
    looks: np.ndarray
    plain: np.ndarray
    raw: np.ndarray | None


@dataclass(frozen=True)
class Labelled:
    """What new rows were taken for: ids, labels, and by how much the label's score exceeds the next one's."""

    ids: list[str]
    labels: list[str]
    margins: np.ndarray

    def save(self, path: str | Path) -> Path:
        """Write CSV, or Parquet where the name ends so: the columns ``id``, ``label`` and ``margin``.

        Raises:
            SettingsError: the name ends in something else.
        """
        return write_table(path, pa.table({"id": self.ids, "label": self.labels, "margin": self.margins}))


@dataclass(frozen=True)
class Adapted:
    """An adapter on a run.

    Args:
        run: whose vectors it reads.
        system: slug of the adapter's system.
        settings: of the system, resolved.
        kind: of thing that it labels.
        names: of the classes.
        adapter: the fitted adapter.
        table: by row name and shots the mean accuracy and its deviation over draws; empty where the labels do not allow
            any.
    """

    run: Opened
    system: str
    settings: Any
    kind: str
    names: tuple[str, ...]
    adapter: Adapter
    table: Mapping[str, Mapping[int, tuple[float, float]]]

    def predict(self, data: Any, *, roles: Mapping[str, str] | None = None, **options: Any) -> Labelled:
        """Label new things.

        Args:
            data: anything that `unalike.fit` takes.
            roles, **options: as for `unalike.Run.embed`.

        Raises:
            DataError: the data have nothing of the kind that was learnt from.
        """
        collection = self.run.gather(data, roles=roles, **options)
        vectors = self.run.embed_column(collection, role_of(collection, self.kind))
        there = np.isfinite(vectors).all(axis=1)
        if not there.any():
            raise DataError(f"none of the {len(collection)} rows of {collection.name} can be read")
        scores = self.adapter.scores(vectors[there])
        ordered = np.sort(scores, axis=1)
        return Labelled(
            [collection.ids[row] for row in np.flatnonzero(there)],
            [self.names[code] for code in scores.argmax(1)],
            ordered[:, -1] - ordered[:, -2],
        )

    def save(self, folder: str | Path | None = None) -> Path:
        """Write ``adapter.safetensors`` and ``adapter.json``; into the run's directory unless told otherwise."""
        target = Path(folder) if folder is not None else self.run.folder / FOLDER
        tensors = {f"learnt/{name}": torch.from_numpy(each) for name, each in self.adapter.learnt.items()}
        if self.adapter.texts is not None:
            tensors["texts"] = torch.from_numpy(self.adapter.texts)
        training.save_tensors(target / "adapter.safetensors", tensors)
        record = {
            "format": FORMAT,
            "system": self.system,
            "settings": {each.name: getattr(self.settings, each.name) for each in fields(self.settings)},
            "choice": dict(self.adapter.choice),
            "kind": self.kind,
            "classes": list(self.names),
            "weights": self.run.record["checksums"]["weights.safetensors"],
            "table": {name: {str(k): list(pair) for k, pair in row.items()} for name, row in self.table.items()},
        }
        write_json(target / "adapter.json", record)
        return target


def adapt(
    run: Opened,
    shots: Any,
    *,
    system: str = "gda-clip",
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    **columns: Any,
) -> Adapted:
    """Learn classes from a few labelled rows on a run's frozen vectors, and keep the adapter.

    Args:
        run: a finished run.
        shots: a folder with one sub-folder a class; a table with a column ``label`` and one of paths or of the run's
            row ids; or a `Collection` with labels.
        system: slug of the adapter's system.
        settings: of the system.
        out: folder of the adapter; ``adapter`` in the run's directory unless given.
        **columns: ``roles``, ``label``, ``id`` and ``encoding`` as for `unalike.fit`, for tables; ``id`` names the
            column of the run's row ids.

    Raises:
        DataError: the labels cannot be used: of fewer than two classes, or of rows that are not there.
        SettingsError: there is no such adapter, or its settings cannot be used.
    """
    found = systems.find(system, kind="adapter")
    chosen = read_dataclass(found.settings, settings or {}, f"settings of {system}")
    known = read_shots(run, shots, Source.of(shots, **columns), looks=found.build(chosen).looks)
    texts = class_texts(run, known)
    adapter = found.build(chosen).fit(known.looks, known.codes, texts=texts)
    entrants = {
        system: Entrant(build=lambda: found.build(chosen), looks=known.looks, plain=known.plain, texts=texts),
        "linear probe": Entrant(build=adapting.linear_probe, looks=known.looks, plain=known.plain, texts=texts),
        "nearest mean": Entrant(build=adapting.nearest_mean, looks=known.looks, plain=known.plain),
    }
    if texts is not None:
        entrants["zero-shot"] = Entrant(build=adapting.zero_shot, looks=known.looks, plain=known.plain, texts=texts)
    if known.raw is not None and np.abs(known.raw).sum(1).all():
        raw = Entrant(build=adapting.nearest_mean, looks=known.raw[None], plain=known.raw)
        entrants["floor: raw pixels, nearest mean"] = raw
    reached = adapting.few_shot_table(entrants, known.codes, shots=MOST_SHOTS, draws=3)
    table = {
        name: {count: (float(each.mean()), float(each.std())) for count, each in row.items()}
        for name, row in reached.items()
        if row
    }
    if table:
        chance = 1 / len(known.names)
        table["floor: chance"] = dict.fromkeys(table[system], (chance, 0.0))
    adapted = Adapted(run, system, chosen, known.kind, known.names, adapter, table)
    adapted.save(out)
    return adapted


def load(run: Opened, folder: str | Path | None = None) -> Adapted:
    """The adapter that `adapt` kept. Nothing in the folder is executed.

    Raises:
        RunError: there is none, it is damaged, or it belongs to another run.
    """
    path = Path(folder) if folder is not None else run.folder / FOLDER
    if not (path / "adapter.json").exists():
        raise RunError(f"there is no adapter in {path}: unalike adapt {run.folder} --shots LABELS makes one")
    record = read_json(path / "adapter.json")
    missing = {"format", "system", "settings", "choice", "kind", "classes", "weights", "table"} - set(record)
    if missing:
        raise RunError(f"{path / 'adapter.json'} is damaged: it does not say {', '.join(sorted(missing))}")
    if record["format"] != FORMAT:
        raise RunError(f"{path} has the format {record['format']}, this version of unalike reads {FORMAT}")
    if record["weights"] != run.record["checksums"]["weights.safetensors"]:
        raise RunError(f"the adapter in {path} was fitted on the vectors of another run than {run.folder}")
    found = systems.find(record["system"], kind="adapter")
    settings = read_dataclass(found.settings, record["settings"], f"settings of {found.slug}")
    adapter = found.build(settings)
    tensors = {name: each.numpy() for name, each in training.load_tensors(path / "adapter.safetensors").items()}
    adapter.learnt = {name.partition("/")[2]: each for name, each in tensors.items() if name.startswith("learnt/")}
    adapter.texts, adapter.choice = tensors.get("texts"), record["choice"]
    table = {name: {int(k): (pair[0], pair[1]) for k, pair in row.items()} for name, row in record["table"].items()}
    return Adapted(run, found.slug, settings, record["kind"], tuple(record["classes"]), adapter, table)


def read_shots(run: Opened, shots: Any, source: Source, *, looks: int) -> Shots:
    """Labelled rows as a run sees them, of a source that says which columns they stand in.

    Raises:
        DataError: they cannot be used.
    """
    if isinstance(shots, (str, Path)) and not source.roles and is_table(Path(shots)):
        column, values, labels = two_columns(Path(shots), source)
        known = set(run.items.ids)
        matched = [value in known for value in values if value]
        if matched and all(matched):
            return of_rows(run, values, labels)
        stray = [value for value in values if value not in known]
        lost = [value for value in stray if not (Path(shots).parent / value).is_file()]
        if source.id is not None or any(matched) or lost or "image" not in run.kinds:
            raise DataError(
                f"{len(stray)} of the {len(values)} entries of the column {column!r} of {shots} are no rows of "
                f"{run.folder}, such as {stray[0]!r}, and {len(lost)} of these are no files beside the table either. "
                f"Ids of the run look like {run.items.ids[0]!r}; name all rows by such ids, or all by paths of pictures"
            )
        source = replace(source, roles={"image": column}, label=source.label or "label")
    collection = run.gathered(shots, replace(source, id=None))
    if collection.label is None:
        raise DataError(
            f"{collection.name} has no labels. Put pictures into one sub-folder a class, or give a table with a column "
            "of labels (--label COLUMN)"
        )
    if isinstance(shots, (str, Path)) and Path(shots).is_dir():
        folders = sorted(each.name for each in Path(shots).iterdir() if each.is_dir() and each.name[:1] != ".")
        if empty := [each for each in folders if each not in collection.label.names]:
            raise DataError(
                f"{shots} has a sub-folder for {', '.join(empty)}, but nothing to learn from in it; every class needs "
                "one labelled row at least: put one there, or remove the sub-folder"
            )
    kind = next((each for each in run.kinds if collection.roles(each)), None)
    if kind is None:
        run.readable(collection)
    assert kind is not None
    role = role_of(collection, kind)
    plain = run.embed_column(collection, role)
    there = np.isfinite(plain).all(axis=1) & collection.label.present
    names, codes = used_classes(collection.label, there, collection.name)
    kept, raw, seen = collection.select(np.flatnonzero(there)), None, plain[there][None]
    column_ = kept[role]
    if isinstance(column_, ImageColumn):
        raw = evaluation.pixel_vectors([column_[row] for row in range(len(column_))])
        prepared = run.learner.encoders[kind].prepare(column_)
        seen = adapting.look_vectors(run.learner, prepared, looks=looks, device=run.device)
    return Shots(kind, names, codes, seen, plain[there], raw)


def is_table(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in (*PICTURE_SUFFIXES, ".npy", ".npz")


def two_columns(path: Path, source: Source) -> tuple[str, list[str], list[str | None]]:
    """The column that names rows or pictures, its entries, and the labels.

    Raises:
        DataError: one of them is missing, or cannot be told.
    """
    table = tables.open_table(path, source.encoding)
    if table is None:
        raise DataError(f"{path} is no table: give a .csv, .tsv, .parquet or .jsonl file, or a folder of pictures")
    columns, label = list(table.columns), source.label or "label"
    if label not in columns:
        raise DataError(f"{path} has no column {label!r}; it has {', '.join(columns)}. Name it with --label COLUMN")
    others = [each for each in columns if each != label]
    usual = [each for each in ("id", "path", "image", "file", "filename") if each in others]
    name = source.id or (others[0] if len(others) == 1 else usual[0] if len(usual) == 1 else None)
    if name is None or name not in others:
        raise DataError(
            f"{path} has the columns {', '.join(columns)}: it is not clear which names the rows. Name it with --id "
            "COLUMN (ids of the run's rows) or --image COLUMN (paths of pictures)"
        )
    read = table.read({name: "strings", label: "anything"})
    values = ["" if value is None else str(value) for value in read[name].to_pylist()]
    return name, values, [None if value in (None, "") else str(value) for value in read[label].to_pylist()]


def of_rows(run: Opened, ids: Sequence[str], labels: Sequence[str | None]) -> Shots:
    """Labelled rows of the run itself, by the vectors that it keeps: one look at each."""
    place = {name: row for row, name in enumerate(run.items.ids)}
    named = np.array([bool(name) for name in ids])
    rows = np.array([place[name] if name else 0 for name in ids])
    plain = np.full((len(rows), next(iter(run.vectors.values())).shape[1]), np.nan)
    raw: list[Any] = [None] * len(rows)
    for role in run.gallery:
        use = run.present(role)[rows] & np.isnan(plain[:, 0])
        plain[use] = run.vectors[role][rows[use]]
        for number in np.flatnonzero(use):
            raw[number] = run.items.picture(int(rows[number]), role)
    column = LabelColumn.from_values(labels)
    there = np.isfinite(plain).all(axis=1) & column.present & named
    names, codes = used_classes(column, there, "the table of labels")
    kept = [raw[number] for number in np.flatnonzero(there)]
    pixels = evaluation.pixel_vectors(kept) if all(picture is not None for picture in kept) else None
    kind = kind_of(run.gallery[0])
    return Shots(kind, names, codes, plain[there][None], plain[there], pixels)


def used_classes(column: LabelColumn, there: np.ndarray, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and codes of the classes of the rows that can be used.

    Raises:
        DataError: a class has none, or there are fewer than two.
    """
    counts = np.bincount(column.codes[there], minlength=len(column.names))
    empty = [each for each, count in zip(column.names, counts, strict=True) if not count]
    if empty:
        raise DataError(
            f"{name} has the classes {', '.join(column.names)}, but no row that can be read of {', '.join(empty)}; "
            "every class needs one labelled row at least"
        )
    if len(column.names) < 2:
        raise DataError(
            f"all labels of {name} are {', '.join(column.names) or 'missing'}; expected two classes or more"
        )
    return tuple(column.names), column.codes[there]


def class_texts(run: Opened, known: Shots) -> np.ndarray | None:
    """Vectors of the class names, where the run reads pictures and texts."""
    if known.kind != "image" or "text" not in run.kinds:
        return None
    names = [name.replace("-", " ").replace("_", " ") for name in known.names]
    vectors = run.embed_texts(names)
    # A name without a single known word says nothing: then no name counts.
    return vectors if np.isfinite(vectors).all() and np.abs(vectors).sum(1).all() else None


def role_of(collection: Collection, kind: str) -> str:
    """The first role of a kind.

    Raises:
        DataError: there is none.
    """
    roles = collection.roles(kind)
    if not roles:
        raise DataError(f"{collection.name} has the roles {', '.join(collection.columns)}; the adapter labels {kind}s")
    return roles[0]
