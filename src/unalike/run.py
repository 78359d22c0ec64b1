"""A run: a directory that holds what was learned, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from unalike import encoders, systems, training
from unalike.data import AudioColumn, ClipColumn, Collection, Column, ImageColumn, TextColumn
from unalike.data.clicks import table_of
from unalike.data.clips import ANIMATED_SUFFIXES, CLIP_SUFFIXES
from unalike.data.images import PICTURE_SUFFIXES
from unalike.data.series import SERIES_SUFFIXES, read_one, series_column
from unalike.data.sound import SOUND_SUFFIXES, read_header
from unalike.errors import DataError, RunError
from unalike.files import checksum, damaged, read_json, write_table
from unalike.runs.items import Items
from unalike.runs.layout import read_record
from unalike.runs.spec import Spec
from unalike.runs.vectors import CHUNK, Embedded, embed_prepared

if TYPE_CHECKING:
    from unalike.adaptation import Adapted
    from unalike.auditing import Audited
    from unalike.evaluation import Score

By = Literal["auto", "words", "picture", "recording", "clip", "series", "row"]


@dataclass(frozen=True)
class Found:
    """One hit of a search."""

    rank: int
    id: str
    score: float
    row: int
    role: str
    text: str | None
    label: str | None


@dataclass(frozen=True)
class Scored:
    """How unlike each of some things is to what a run was trained on.

    Args:
        ids: a name for each row.
        scores: ``(N,)`` distances in [0, 1], larger for stranger things; NaN where a row could not be read.
        threshold: scores above it give an alarm.
        false_alarms: the share of normal things for which it was set.
        held_out: rows that it was set on.
    """

    ids: list[str]
    scores: np.ndarray
    threshold: float
    false_alarms: float
    held_out: int

    @property
    def alarms(self) -> np.ndarray:
        """Bool ``(N,)``: which rows are stranger than the threshold allows."""
        return np.nan_to_num(self.scores, nan=-1.0) > self.threshold

    def save(self, path: str | Path) -> Path:
        """Write ids, scores and alarms as Parquet or CSV, as the name ends; return the path.

        Raises:
            SettingsError: the name ends in something else.
            RunError: the disk is full or the place cannot be written.
        """
        return write_table(path, pa.table({"id": self.ids, "score": self.scores, "alarm": self.alarms}))


class Run:
    """What was learned, opened for use. Get one from `unalike.fit` or `unalike.load`.

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
        if learner is not None:
            self.learner = learner

    def __repr__(self) -> str:
        with damaged(self.folder / "run.json"):
            data = self.record["data"]
            return f"Run({str(self.folder)!r}: {self.spec.system} on {data['rows']} rows of {data['name']})"

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", replaced: Sequence[str] = ()) -> Run:
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
        tensors = training.load_tensors(self.folder / "vectors.safetensors")
        return {role: tensor.numpy() for role, tensor in tensors.items()}

    @cached_property
    def scores(self) -> list[Score]:
        """How good the space is on rows that were not trained on, with floors."""
        from unalike.evaluation import Score

        with damaged(self.folder / "scores.json"):
            return [Score.from_json(each) for each in read_json(self.folder / "scores.json")]

    @property
    def kinds(self) -> list[str]:
        """The kinds of things that this run can turn into vectors."""
        with damaged(self.folder / "run.json"):
            return [str(kind) for kind in self.record.get("kinds", self.record["encoders"])]

    def embed(self, data: Any, *, roles: Mapping[str, str] | None = None, **options: Any) -> Embedded:
        """Vectors of new things.

        Args:
            data: anything that `unalike.fit` takes; pictures and texts may be given as plain lists.
            roles: for tables, role to column name.
            **options: as for `unalike.fit`: ``label``, ``id``, ``encoding``.

        Raises:
            DataError: the data have no kind of thing that this run reads.
        """
        collection = self.gather(data, roles=roles, **options)
        by_role = {role: self.embed_column(collection, role) for role in self.readable(collection)}
        return Embedded(list(collection.ids), by_role)

    def gather(self, data: Any, *, roles: Mapping[str, str] | None = None, **options: Any) -> Collection:
        """Open data for use with this run; columns that the run was trained on are found by their names."""
        from unalike.data.gathering import gather

        table = None
        if roles is None and self.spec.source.roles:
            table = table_of(data, options.get("encoding"))
        if table is not None:
            # Names of items the run has itself.
            roles = {role: column for role, column in self.spec.source.roles.items() if role != "items"}
            # New texts need no labels yet.
            if "labels" in roles and roles["labels"] not in table.columns:
                del roles["labels"]
        return gather(data, roles=roles, **options)

    def readable(self, collection: Collection) -> list[str]:
        """The roles of a collection that this run has an encoder for."""
        roles = [role for kind in self.kinds for role in collection.roles(kind)]
        if not roles:
            raise DataError(
                f"{collection.name} has the roles {', '.join(collection.columns)}; "
                f"this run turns {' and '.join(self.kinds)} into vectors"
            )
        return roles

    def embed_column(self, collection: Collection, role: str) -> np.ndarray:
        """Vectors of one role, NaN where a row has no entry that can be read."""
        column = collection[role]
        kind = column.kind
        parts = []
        # Packed in chunks, so that a large set needs no more room than its vectors; a graph is not cut into parts.
        size = len(column) if kind == "graph" else 16 * CHUNK
        for start in range(0, len(column), size):
            chunk = column.select(np.arange(start, min(start + size, len(column))))
            packed = self.learner.encoders[kind].prepare(chunk)
            vectors = embed_prepared(self.learner, kind, packed, self.device)
            vectors[~(chunk.present & getattr(packed, "present", chunk.present))] = np.nan
            parts.append(vectors)
        return np.concatenate(parts)

    @property
    def gallery(self) -> list[str]:
        """The roles that a search looks through: pictures if there are any, else texts, else what there is."""
        for kind in ("image", "text"):
            roles = [role for role in self.vectors if role.split(":")[0] == kind]
            if roles:
                return roles
        return list(self.vectors)

    def read_as(self, query: Any, by: By = "auto") -> By:
        """How a query is read, if it is not said."""
        if isinstance(query, Image.Image):
            return "picture"
        if by != "auto":
            return by
        words = str(query)
        if "image" in self.kinds and is_file(words) and not is_recording(words):
            return "picture"
        if "video" in self.kinds and words not in self.items.ids and is_file(words) and not is_recording(words):
            return "clip"
        if words not in self.items.ids and is_recording(words) and "audio" in self.kinds:
            return "recording"
        if words not in self.items.ids and is_series(words) and "series" in self.kinds:
            return "series"
        return "row" if words in self.items.ids else "words"

    def query(self, query: Any, by: By = "auto") -> tuple[np.ndarray, int | None]:
        """The vector ``(D,)`` of a query, and the row if the query is one of the run's own.

        Raises:
            DataError: the run cannot read such a query.
        """
        words, asked, by = str(query), by, self.read_as(query, by)
        absent = is_absent(words) or ("series" in self.kinds and Path(words).suffix.lower() in SERIES_SUFFIXES)
        if asked == "auto" and by == "words" and absent:
            other = "; --by words searches for these words" if "text" in self.kinds else ""
            raise DataError(
                f"there is no file {words!r}, and no row of that id; ids look like {self.items.ids[0]!r}{other}"
            )
        if by == "row":
            if words not in self.items.ids:
                raise DataError(f"there is no row {words!r} in {self.folder}; ids look like {self.items.ids[0]!r}")
            row = self.items.ids.index(words)
            for role in self.gallery:
                vector = self.vectors[role][row]
                if np.isfinite(vector).all() and self.present(role)[row]:
                    return vector, row
            raise DataError(f"row {words!r} has no vector")
        kind = KIND_OF[by]
        if kind not in self.kinds:
            told = f"was taken for {BY_NAME[by]}"
            if asked == "auto" and is_file(words):
                told = "is a file"
            ways = [f"a row's id, such as {self.items.ids[0]!r}"]
            ways += [BY_NAME[AS[kind]] for kind in self.kinds if kind in AS]
            raise DataError(
                f"{words!r} {told}, but this run turns {' and '.join(self.kinds)} into vectors. Search by "
                f"{', or by '.join(ways)}"
            )
        column: Column = TextColumn([words])
        if by == "picture":
            column = ImageColumn([query if isinstance(query, Image.Image) else Path(words)])
        elif by == "recording":
            column = AudioColumn([Path(words)])
            read_header(Path(words))
        elif by == "clip":
            column = ClipColumn([Path(words)])
        elif by == "series":
            column = series_column([self.series_of(Path(words))], words)
        collection = Collection({kind: column}, name="query")
        vector = self.embed_column(collection, kind)[0]
        if not np.isfinite(vector).all():
            failures = getattr(self.learner.encoders[kind].prepare(column), "failures", {})
            reason = "".join(f": {failure.reason}" for failure in failures.values())
            raise DataError(f"{words!r} cannot be read as {BY_NAME[by]}{reason}")
        return vector, None

    def series_of(self, path: Path) -> np.ndarray:
        """The series ``(channels, steps)`` of a file, its channels as in the data that the run was made from."""
        source = self.spec.source
        names = source.roles.get("series", "").split(",")
        channels = getattr(self.learner.encoders["series"], "channels", 1)
        return read_one(
            path, [name for name in names if name], id=source.id, channels=channels, encoding=source.encoding
        )

    def query_of_parts(self, parts: Mapping[str, Any]) -> tuple[np.ndarray, list[str]]:
        """The vector ``(D,)`` of a query of several entries, and the roles that it looks through.

        Args:
            parts: by kind or role what the wanted row has: words, a picture or its path, the path of a recording.

        Raises:
            DataError: the run cannot read a part, or there is nothing left to look for.
        """
        vectors: dict[str, np.ndarray] = {}
        for role, part in parts.items():
            kind = role.split(":")[0]
            if kind not in self.kinds or kind not in AS:
                raise DataError(
                    f"{role} cannot be part of a query: this run turns {' and '.join(self.kinds)} into vectors, and a "
                    f"query has {', '.join(AS)}"
                )
            if kind in vectors:
                raise DataError(f"two parts of the query are of the kind {kind}: give one")
            vectors[kind] = self.query(part, AS[kind])[0]
        for kind in ("image", "text", *self.kinds):
            gallery = [role for role in self.vectors if role.split(":")[0] == kind]
            if kind not in vectors and gallery:
                return self.asked(vectors, kind), gallery
        raise DataError(f"the query has {' and '.join(parts)}, which is all that this run knows: leave one out")

    def asked(self, vectors: Mapping[str, np.ndarray], target: str) -> np.ndarray:
        """The vector ``(D,)`` with which entries of a kind are scored, given those ``(D,)`` of other kinds."""
        given = {kind: torch.from_numpy(vector)[None].to(self.device) for kind, vector in vectors.items()}
        with torch.no_grad():
            return training.joined_vectors(self.learner, given, target)[0].cpu().numpy()

    def present(self, role: str) -> np.ndarray:
        """Bool ``(N,)``: which rows have a vector of this role. Rows without one are stored as zeros."""
        return np.abs(self.vectors[role]).sum(axis=1) > 0

    def search(self, query: Any, k: int = 10, *, by: By = "auto") -> list[Found]:
        """The rows most alike to a query: words, a picture, the path of a picture, recording, clip or series, or the id
        of a row.

        Args:
            query: what to look for; several things at once by kind, as ``{"text": "a bell", "audio": "one.wav"}``,
                look for what goes with all of them.
            k: number of hits.
            by: how to read the query; ``auto`` takes a path that exists for a picture, an id for a row, else words.

        A run that learned from clicks gives what comes next: for a user by id, or after a list of items. One that
        learned sets of labels gives the labels of a text.

        Returns:
            Hits, best first; a row that has several pictures counts with its best.
        """
        if "clicks" in self.kinds:
            from unalike.recommendation import search

            return search(self, query, k)
        if "labels" in self.kinds:
            from unalike import labelling

            return labelling.search(self, query, k, by)
        own, gallery = None, self.gallery
        if isinstance(query, Mapping):
            vector, gallery = self.query_of_parts(query)
        else:
            vector, own = self.query(query, by)
            kind = KIND_OF.get(self.read_as(query, by))
            if kind is not None and kind != gallery[0].split(":")[0]:
                vector = self.asked({kind: vector}, gallery[0].split(":")[0])
        best = np.full(len(self.items), -np.inf, np.float32)
        which = np.zeros(len(self.items), np.int64)
        for number, role in enumerate(gallery):
            scores = np.where(self.present(role), self.vectors[role] @ vector, -np.inf)
            better = scores > best
            best[better], which[better] = scores[better], number
        if own is not None:
            best[own] = -np.inf
        count = min(k, int(np.isfinite(best).sum()))
        rows = order(best, count)
        texts, labels = self.items.texts, self.items.labels()
        return [
            Found(rank, self.items.ids[row], float(best[row]), int(row), gallery[which[row]], texts[row], labels[row])
            for rank, row in enumerate(rows, start=1)
        ]

    def evaluate(self, data: Any, *, roles: Mapping[str, str] | None = None, **options: Any) -> list[Score]:
        """How good the space is on other data, with floors.

        Args:
            data: anything that `unalike.fit` takes, with labels or with several roles.
            roles: for tables, role to column name.
            **options: as for `unalike.fit`: ``label``, ``id``, ``encoding``.
        """
        from unalike.scoring import score_new

        return score_new(self, self.gather(data, roles=roles, **options))

    def score(
        self, data: Any, *, false_alarms: float = 0.01, roles: Mapping[str, str] | None = None, **options: Any
    ) -> Scored:
        """How unlike new things are to what this run was trained on, with a threshold for alarms.

        The score is the distance from the centre of the training rows' vectors. The threshold is set so that of the
        rows that the run held out at most ``false_alarms`` would give an alarm; it means what it says only where
        training and held-out rows are of the normal kind.

        Args:
            data: anything that `unalike.fit` takes; of several roles the first that the run reads is scored.
            false_alarms: share of normal things that may give an alarm.
            roles: for tables, role to column name.
            **options: as for `unalike.fit`: ``id``, ``encoding``.

        Raises:
            DataError: the data have nothing that this run reads, or the run held nothing out.
            SettingsError: ``false_alarms`` outside of [0, 1).
        """
        from unalike.evaluation import alarm_threshold, novelty

        collection = self.gather(data, roles=roles, **options)
        role = self.readable(collection)[0]
        kind = role.split(":")[0]
        own = next(each for each in self.vectors if each.split(":")[0] == kind)
        splits, there = self.items.splits, self.present(own)
        known = self.vectors[own][(splits == "train") & there]
        held = self.vectors[own][(splits != "train") & there]
        if not len(held):
            raise DataError(
                f"{self.folder} held no rows out, so there is nothing to set a threshold on: fit with holdout above 0"
            )
        threshold = alarm_threshold(novelty(known, held), false_alarms)
        vectors = self.embed_column(collection, role)
        found = np.full(len(vectors), np.nan)
        readable = np.isfinite(vectors).all(axis=1)
        if readable.any():
            found[readable] = novelty(known, vectors[readable])
        return Scored(list(collection.ids), found, threshold, false_alarms, len(held))

    def adapt(self, shots: Any, *, system: str = "gda-clip", out: str | Path | None = None, **options: Any) -> Adapted:
        """Learn classes from a few labelled rows on this run's frozen vectors, without gradients, and keep the adapter.

        Args:
            shots: a folder with one sub-folder a class, or a table with a column ``label`` and one of paths of pictures
                or of ids of this run's rows.
            system: slug of the adapter's system: ``gda-clip`` or ``tip-adapter``.
            out: folder of the adapter; ``adapter`` in the run's directory unless given.
            **options: ``settings`` of the system, and as for `unalike.fit`: ``roles``, ``label``, ``id``, ``encoding``.

        Returns:
            The adapter: ``.predict(data)`` labels new things, ``.table`` says how well few labels do.
        """
        from unalike.adaptation import adapt

        return adapt(self, shots, system=system, out=out, **options)

    def adapted(self, folder: str | Path | None = None) -> Adapted:
        """The adapter that `adapt` kept, of this run's directory unless another folder is given."""
        from unalike.adaptation import load

        return load(self, folder)

    def audit(self, data: Any = None, **options: Any) -> Audited:
        """Whether triggers change this run's answers, and which rows stand out; writes ``audit.json``.

        Args:
            data: pictures to try triggers on; pictures that the run remembers unless given.
            **options: see `unalike.auditing.audit_run`.
        """
        from unalike.auditing import audit_run

        return audit_run(self, data, **options)

    def repair(self, clean: Any, *, system: str = "cleanclip", out: str | Path | None = None, **options: Any) -> Run:
        """Drive triggers out by fine-tuning on clean rows; the result is a new run over these rows.

        Args:
            clean: pictures with captions that are known to be free of poison.
            system: slug of the audit's system.
            out: the new run directory; RUN-repaired unless given.
            **options: see `unalike.auditing.repair_run`.
        """
        from unalike.auditing import repair_run

        return repair_run(self, clean, system=system, out=out, **options)

    def export(self, folder: str | Path) -> Path:
        """Write the text tower as a model that sentence-transformers opens; see `unalike.exporting.export`."""
        from unalike.exporting import export

        return export(self, folder)

    def report(self) -> Path:
        """Write ``report.html``, one page that opens offline, and return its path."""
        from unalike.pages import write_report

        return write_report(self)

    def metrics(self) -> Iterator[dict[str, float]]:
        """The rows of ``metrics.jsonl``."""
        import json

        path = self.folder / "metrics.jsonl"
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                yield json.loads(line)


def order(scores: np.ndarray, count: int) -> Sequence[int]:
    """The rows of the largest scores, best first, ties by row."""
    return [int(row) for row in np.lexsort((np.arange(len(scores)), -scores))[:count]]


def is_file(words: str) -> bool:
    """Whether words are the path of a file; words that no path can be are none."""
    try:
        return Path(words).is_file()
    except OSError:
        return False


def is_recording(words: str) -> bool:
    """Whether words are the path of a file that is named like a recording."""
    return is_file(words) and Path(words).suffix.lower() in SOUND_SUFFIXES


def is_series(words: str) -> bool:
    """Whether words are the path of a file that is named like a series."""
    return is_file(words) and Path(words).suffix.lower() in SERIES_SUFFIXES


def is_absent(words: str) -> bool:
    """Whether words are named like a file of pictures, sound or film, and there is none."""
    named = SOUND_SUFFIXES | PICTURE_SUFFIXES | CLIP_SUFFIXES | ANIMATED_SUFFIXES
    return Path(words).suffix.lower() in named and not is_file(words)


AS: Mapping[str, By] = {"image": "picture", "text": "words", "audio": "recording", "video": "clip", "series": "series"}
"""How an entry of each kind is read in a query."""
KIND_OF: Mapping[str, str] = {by: kind for kind, by in AS.items()}

BY_NAME = {
    "picture": "a picture",
    "words": "words",
    "recording": "a recording",
    "clip": "a clip",
    "series": "the file of a series",
}


def load(folder: str | Path, *, device: str = "cpu") -> Run:
    """Open a run directory.

    Args:
        folder: the directory that `unalike.fit` wrote.
        device: where new vectors are computed.

    Raises:
        RunError: it is no run, unfinished, of a newer version, or damaged.
    """
    return Run.load(folder, device=device)
