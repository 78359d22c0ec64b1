"""A run: a directory that holds what was learned, with everything that can be done with it as a method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unalike.encoders.text import Side
from unalike.errors import SettingsError
from unalike.runs.opened import Opened
from unalike.runs.query import By, read_as
from unalike.runs.query import query as vector_of
from unalike.runs.search import Found
from unalike.runs.vectors import Embedded

if TYPE_CHECKING:
    from unalike.evaluation import Score
    from unalike.runs.adapt import Adapted
    from unalike.runs.audit import Audited
    from unalike.runs.cluster import Grouped
    from unalike.runs.novelty import Scored
    from unalike.runs.predicted import Predicted
    from unalike.runs.samples import Samples


class Run(Opened):
    """What was learned, opened for use. Get one from `unalike.fit` or `unalike.load`.

    Args:
        folder: the run directory.
        record: the content of its ``run.json``.
        learner: the trained system, if it is at hand; read from the directory when first needed otherwise.
        device: where vectors are computed.
    """

    def embed(
        self, data: Any, *, roles: Mapping[str, str] | None = None, side: Side | None = None, **options: Any
    ) -> Embedded:
        """Vectors of new things.

        Args:
            data: anything that `unalike.fit` takes; pictures and texts may be given as plain lists.
            roles: for tables, role to column name.
            side: of a search on which texts stand: a model that puts other words before a question than before a
                document reads them as ``"query"`` or as ``"document"``. Unless given, as it read the run's own.
            **options: as for `unalike.fit`: ``label``, ``id``, ``encoding``.

        Raises:
            DataError: the data have no kind of thing that this run reads.
            SettingsError: there is no such side, or this run reads both alike.
        """
        if side is not None and not self.spec.text_sides:
            raise SettingsError(f"{self.folder} learned from more than texts, which then have no sides: leave side out")
        collection = self.gather(data, roles=roles, **options)
        by_role = {role: self.embed_column(collection, role, side) for role in self.readable(collection)}
        return Embedded(list(collection.ids), by_role)

    def read_as(self, query: Any, by: By = "auto") -> By:
        """How a query is read, if it is not said."""
        return read_as(self, query, by)

    def query(self, query: Any, by: By = "auto") -> tuple[np.ndarray, int | None]:
        """The vector ``(D,)`` of a query, and the row if the query is one of the run's own.

        Raises:
            DataError: the run cannot read such a query.
        """
        return vector_of(self, query, by)

    def search(self, query: Any, k: int = 10, *, by: By = "auto", role: str | None = None) -> list[Found]:
        """The rows most alike to a query: words, a picture, the path of a picture, recording, clip or series, or the id
        of a row.

        Args:
            query: what to look for; several things at once by kind, as ``{"text": "a bell", "audio": "one.wav"}``,
                look for what goes with all of them.
            k: number of hits.
            by: how to read the query; ``auto`` takes a path that exists for a picture, an id for a row, else words.
            role: which role to look through. Unless given pictures, else texts; of a run that learned from pairs of
                texts words look through the other side: a question finds answers.

        A run that learned from clicks gives what comes next: for a user by id, or after a list of items. One that
        learned sets of labels gives the labels of a text.

        Returns:
            Hits, best first; a row that has several pictures counts with its best.
        """
        from unalike.runs.serving import search_run

        return search_run(self, query, k, by, role)

    def predict(
        self, data: Any, *, k: int | None = None, roles: Mapping[str, str] | None = None, **options: Any
    ) -> Predicted:
        """What this run says of new rows.

        A run that learned a classifier gives classes with their probabilities; one of vectors whose training rows have
        labels gives the shares of their kNN vote; one that learned from clicks the next items of each user; one that
        learned sets of labels the labels of each text.

        Args:
            data: anything that `unalike.fit` takes.
            k: items or labels that are ranked for a row, 5 unless given; classes get their probabilities all.
            roles: for tables, role to column name.
            **options: as for `unalike.fit`: ``id``, ``encoding``; and ``tolerance``, by which any share of the rows may
                be unreadable unless another is given.

        Returns:
            ``.save("labels.csv")`` writes it; of classes ``.labels`` and ``.probabilities``, of rankings ``.rankings``;
            ``.unread`` names the rows that could not be read, ``.how`` says what the predictions were made by.

        Raises:
            DataError: the run predicts nothing (the message says what it can), or the data have nothing that it reads.
            SettingsError: ``k`` below one, or for a run that predicts classes.
        """
        from unalike.runs.serving import predict

        return predict(self, self.gather(data, roles=roles, **{"tolerance": 1.0, **options}), k)

    def sample(self, count: int = 16, *, seed: int = 0) -> Samples:
        """New images or texts, of a run that generates.

        Args:
            count: how many.
            seed: the same one gives the same samples.

        Returns:
            ``.images`` or ``.texts``; ``.save(folder)`` writes them.

        Raises:
            DataError: the run generates nothing.
            SettingsError: fewer than one sample.
        """
        from unalike.runs.samples import sample

        return sample(self, count, seed)

    def evaluate(self, data: Any, *, roles: Mapping[str, str] | None = None, **options: Any) -> list[Score]:
        """How good what this run serves is on other data, with floors.

        Args:
            data: anything that `unalike.fit` takes, with labels or with several roles.
            roles: for tables, role to column name.
            **options: as for `unalike.fit`: ``label``, ``id``, ``encoding``.
        """
        from unalike.runs.serving import score_new

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
        from unalike.runs.novelty import score

        return score(self, data, false_alarms=false_alarms, roles=roles, **options)

    def cluster(self, clusters: int | None = None, *, role: str | None = None, seed: int = 0) -> Grouped:
        """Groups of this run's rows, found without labels; see `unalike.runs.cluster.cluster`."""
        from unalike.runs.cluster import cluster

        return cluster(self, clusters, role=role, seed=seed)

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
        from unalike.runs.adapt import adapt

        return adapt(self, shots, system=system, out=out, **options)

    def adapted(self, folder: str | Path | None = None) -> Adapted:
        """The adapter that `adapt` kept, of this run's directory unless another folder is given."""
        from unalike.runs.adapt import load

        return load(self, folder)

    def audit(self, data: Any = None, **options: Any) -> Audited:
        """Whether triggers change this run's answers, and which rows stand out; writes ``audit.json``.

        Args:
            data: pictures to try triggers on; pictures that the run remembers unless given.
            **options: see `unalike.runs.audit.audit_run`.
        """
        from unalike.runs.audit import audit_run

        return audit_run(self, data, **options)

    def repair(self, clean: Any, *, system: str = "cleanclip", out: str | Path | None = None, **options: Any) -> Run:
        """Drive triggers out by fine-tuning on clean rows; the result is a new run over these rows.

        Args:
            clean: pictures with captions that are known to be free of poison.
            system: slug of the audit's system.
            out: the new run directory; RUN-repaired unless given.
            **options: see `unalike.runs.repair.repair`.
        """
        from unalike.runs.repair import repair

        return Run.load(repair(self, clean, system=system, out=out, **options), device=str(self.device))

    def export(self, folder: str | Path) -> Path:
        """Write the text tower as a model that sentence-transformers opens; see `unalike.runs.export.export`."""
        from unalike.runs.export import export

        return export(self, folder)

    def report(self) -> Path:
        """Write ``report.html``, one page that opens offline, and return its path."""
        from unalike.runs.report import write_report

        return write_report(self)


def load(folder: str | Path, *, device: str = "cpu") -> Run:
    """Open a run directory.

    Args:
        folder: the directory that `unalike.fit` wrote.
        device: where new vectors are computed.

    Raises:
        RunError: it is no run, unfinished, of a newer version, or damaged.
    """
    return Run.load(folder, device=device)
