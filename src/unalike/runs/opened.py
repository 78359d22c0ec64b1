"""A run that is opened: what was learned and what is remembered of the rows, for every verb to use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from unalike import encoders, systems, training
from unalike.data import Collection, TextColumn
from unalike.data.clicks import table_of
from unalike.data.gathering import Source, gathered
from unalike.data.roles import kind_of
from unalike.encoders.text import Side
from unalike.errors import DataError, RunError
from unalike.evaluation import Score
from unalike.files import checksum, damaged, read_json
from unalike.runs.items import Items
from unalike.runs.layout import read_record
from unalike.runs.pairs import other_side, prepare_as, side_of
from unalike.runs.spec import Spec
from unalike.runs.vectors import embed_prepared

AT_ONCE = 8192
"""Entries that are made ready together, so that a large set needs no more room than its vectors."""


class Opened:
    """A run directory, opened for reading.

    Args:
        folder: the run directory.
        record: the content of its ``run.json``.
        learner: the trained system, if it is at hand; read from the directory when first needed otherwise.
        device: where vectors are computed.
    """

    def __init__(
        self,
        folder: Path,
        record: Mapping[str, Any],
        learner: training.Learner | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.folder, self.record, self.device = folder, record, torch.device(device)
        with damaged(folder / "run.json"):
            self.spec = Spec.from_json(record["spec"])
        self.remarks: list[str] = []
        if learner is not None:
            self.learner = learner

    def __repr__(self) -> str:
        with damaged(self.folder / "run.json"):
            data, name = self.record["data"], type(self).__name__
            return f"{name}({str(self.folder)!r}: {self.spec.system} on {data['rows']} rows of {data['name']})"

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", replaced: Sequence[str] = ()) -> Self:
        """Open a run directory. Nothing in it is executed, and a file that was changed is noticed.

        Args:
            folder: the directory.
            device: where vectors are computed.
            replaced: files that will be written again, and need not be whole now.

        Raises:
            RunError: it is no run, unfinished, of a newer version, or damaged.
        """
        path = Path(folder)
        if not (path / "run.json").exists():
            raise RunError(f"{path} is no run directory: it has no run.json. unalike fit DATA --out {path} makes one")
        record = read_record(path)
        if record.get("state") != "done":
            raise RunError(f"{path} is unfinished: unalike fit --resume {path} goes on with it")
        with damaged(path / "run.json"):
            sums = dict(record["checksums"])
            outside = [name for name in sums if not (path / name).resolve().is_relative_to(path.resolve())]
            if outside:
                raise RunError(f"{path / 'run.json'} names a file outside of the run: {outside[0]}")
        for name, expected in sums.items():
            if name in replaced:
                continue
            if not (path / name).is_file():
                raise RunError(f"{path / name} is missing; the run is incomplete")
            if checksum(path / name) != expected:
                raise RunError(f"{path / name} was changed after it was written (its checksum differs)")
        return cls(path, record, device=device)

    def untrained(self) -> training.Learner:
        """The system as it was built, with weights of its own drawing."""
        found = systems.find(self.spec.system)
        towers = {}
        with damaged(self.folder / "run.json"):
            for kind, config in self.record["encoders"].items():
                assets = {name: self.asset(f"{kind}.{name}") for name in self.record["assets"].get(kind, ())}
                towers[kind] = encoders.restore_encoder(config, assets)
            task = training.Task(encoders=towers, roles=self.spec.roles, **self.record["task"])
            with torch.random.fork_rng(devices=[]):
                learner: training.Learner = found.build(found.settings(**self.spec.settings), task)
        return learner

    def asset(self, name: str) -> bytes:
        """A file that an encoder needs beside its weights; only those that the run wrote are read."""
        if f"assets/{name}" not in self.record["checksums"]:
            raise RunError(
                f"{self.folder / 'run.json'} is damaged: it names assets/{name}, which the run did not write"
            )
        return (self.folder / "assets" / name).read_bytes()

    @property
    def notes(self) -> list[str]:
        """What a user should know of how the run was made: rows left out, texts cut, the prompt and pooling of a model.

        What is to be said of things that were embedded since it was opened is in ``remarks``.
        """
        with damaged(self.folder / "run.json"):
            return [str(note) for note in self.record["notes"]]

    @cached_property
    def learner(self) -> training.Learner:
        """The trained system."""
        learner = self.untrained()
        path = self.folder / "weights.safetensors"
        training.load_module(learner.module, training.load_tensors(path), path)
        learner.module.to(self.device).eval()
        return learner

    @cached_property
    def items(self) -> Items:
        """The rows that the run was made from."""
        with damaged(self.folder / "items.parquet"):
            return Items.load(self.folder / "items.parquet")

    @cached_property
    def vectors(self) -> dict[str, np.ndarray]:
        """By role, the vectors ``(N, D)`` of the rows that the run was made from."""
        if not self.kinds:
            return {}  # what embeds nothing keeps no vectors
        tensors = training.load_tensors(self.folder / "vectors.safetensors")
        return {role: tensor.numpy() for role, tensor in tensors.items()}

    @cached_property
    def scores(self) -> list[Score]:
        """How good the space is on rows that were not trained on, with floors."""
        with damaged(self.folder / "scores.json"):
            return [Score.from_json(each) for each in read_json(self.folder / "scores.json")]

    @cached_property
    def kinds(self) -> list[str]:
        """The kinds of things that this run can turn into vectors."""
        with damaged(self.folder / "run.json"):
            return [str(kind) for kind in self.record.get("kinds", self.record["encoders"])]

    @cached_property
    def serves(self) -> list[str]:
        """The names of what this run serves; of one that was made before that was written, what its kinds tell."""
        with damaged(self.folder / "run.json"):
            told = [str(name) for name in self.record.get("serves", ())]
        if unknown := [name for name in told if name not in training.VERBS]:
            raise RunError(f"{self.folder} serves {', '.join(unknown)}, which this version of unalike does not know")
        return told or [each.name for each in training.usual(self.kinds)]

    @property
    def verbs(self) -> list[str]:
        """The commands that this run answers."""
        return list(dict.fromkeys(verb for name in self.serves for verb in training.VERBS[name]))

    @property
    def abilities(self) -> str:
        """The same, for messages."""
        return ", ".join(f"unalike {verb}" for verb in self.verbs)

    def capability(self, name: str) -> Any:
        """What the learner says of a capability that the run serves."""
        return next(each for each in self.learner.serves if each.name == name)

    def metrics(self) -> Iterator[dict[str, float]]:
        """The rows of ``metrics.jsonl``."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                yield json.loads(line)

    def gather(self, data: Any, *, roles: Mapping[str, str] | None = None, **options: Any) -> Collection:
        """Open data for use with this run; columns that the run was trained on are found by their names."""
        return self.gathered(data, Source.of(data, roles=roles, **options))

    def gathered(self, data: Any, source: Source) -> Collection:
        """Open data for use with this run, as their source tells; see `gather`."""
        table = None
        if not source.roles and self.spec.source.roles:
            table = table_of(data, source.encoding)
        if table is not None:
            # Names of items the run has itself.
            roles = {role: column for role, column in self.spec.source.roles.items() if role != "items"}
            # New texts need no labels yet.
            if "labels" in roles and roles["labels"] not in table.columns:
                del roles["labels"]
            source = replace(source, roles=roles)
        return gathered(data, source)

    def readable(self, collection: Collection) -> list[str]:
        """The roles of a collection that this run has an encoder for."""
        if not self.kinds:
            raise DataError(f"{self.folder} turns nothing into vectors; it can {self.abilities}")
        roles = [role for kind in self.kinds for role in collection.roles(kind)]
        if not roles:
            raise DataError(
                f"{collection.name} has the roles {', '.join(collection.columns)}; "
                f"this run turns {' and '.join(self.kinds)} into vectors"
            )
        return roles

    def embed_column(self, collection: Collection, role: str, side: Side | None = None) -> np.ndarray:
        """Vectors of one role, NaN where a row has no entry that can be read.

        Args:
            collection: has the role.
            role: to embed.
            side: of a search on which its texts stand; as the run's own texts of this role unless given.
        """
        kind = collection[role].kind

        def embedded(packed: encoders.Prepared) -> np.ndarray:
            return embed_prepared(self.learner, kind, packed, self.device)

        return self.computed(collection, role, embedded, side)

    def computed(
        self,
        collection: Collection,
        role: str,
        compute: Callable[[encoders.Prepared], np.ndarray],
        side: Side | None = None,
    ) -> np.ndarray:
        """What is computed of the prepared entries of one role, rows of NaN where a row has none that can be read.

        Args:
            collection: the rows.
            role: which of their roles.
            compute: gives floats ``(N, D)`` for N prepared entries.
            side: of a search on which its texts stand; as the run's own texts of this role unless given.
        """
        column = collection[role]
        side = side or side_of(self.spec, role)
        kind = column.kind
        parts = []
        # A graph is not cut into parts.
        size = len(column) if kind == "graph" else AT_ONCE
        for start in range(0, len(column), size):
            chunk = column.select(np.arange(start, min(start + size, len(column))))
            packed = prepare_as(self.learner.encoders[kind], chunk, side)
            self.remarks += [note for note in packed.notes if note not in self.remarks]
            found = compute(packed)
            found[~(chunk.present & packed.present)] = np.nan
            parts.append(found)
        return np.concatenate(parts)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors ``(N, D)`` of some texts, NaN where one holds nothing that the run knows."""
        return self.embed_column(Collection({"text": TextColumn(list(texts))}, name="texts"), "text")

    @property
    def gallery(self) -> list[str]:
        """The roles that a search looks through: pictures if there are any, else texts, else what there is.

        Of pairs of texts these are the first side's; words look through the other one (`unalike.Run.search`).
        """
        answers = other_side(self.spec, list(self.vectors))
        for kind in ("image", "text"):
            roles = [role for role in self.vectors if kind_of(role) == kind and role not in answers]
            if roles:
                return roles
        return list(self.vectors)

    def present(self, role: str) -> np.ndarray:
        """Bool ``(N,)``: which rows have a vector of this role. Rows without one are stored as zeros."""
        return np.abs(self.vectors[role]).sum(axis=1) > 0
