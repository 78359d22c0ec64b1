"""Groups of a run's rows, found without labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from unalike import evaluation
from unalike.errors import DataError, SettingsError
from unalike.evaluation import Agreement
from unalike.files import write_table
from unalike.runs.opened import Opened


@dataclass(frozen=True)
class Grouped:
    """The clusters of a run's rows.

    Args:
        ids: a name for each row that has a vector.
        clusters: int64 ``(N,)``, numbered from 0, the largest first.
        distances: float ``(N,)``, 1 - cosine of each row with the centre of its cluster.
        texts: the text of each row, None where it has none.
        labels: the class of each row, None where it is unknown.
        agreement: with the classes, None without any.
        chance: what clusters of these sizes agree with the classes by chance.
    """

    ids: list[str]
    clusters: np.ndarray
    distances: np.ndarray
    texts: list[str | None]
    labels: list[str | None]
    agreement: Agreement | None
    chance: Agreement | None

    @property
    def sizes(self) -> np.ndarray:
        """Int64 ``(K,)``: rows of each cluster."""
        return np.bincount(self.clusters)

    def examples(self, cluster: int, count: int = 3) -> list[int]:
        """The positions of the rows nearest to the centre of a cluster, nearest first."""
        rows = np.flatnonzero(self.clusters == cluster)
        return [int(row) for row in rows[np.argsort(self.distances[rows], kind="stable")][:count]]

    def save(self, path: str | Path) -> Path:
        """Write ids, clusters and distances as Parquet or CSV, as the name ends; return the path.

        Raises:
            SettingsError: the name ends in something else.
            RunError: the disk is full or the place cannot be written.
        """
        return write_table(path, pa.table({"id": self.ids, "cluster": self.clusters, "distance": self.distances}))


def cluster(run: Opened, clusters: int | None = None, *, role: str | None = None, seed: int = 0) -> Grouped:
    """Cluster the vectors of a run's rows by k-means over cosines.

    Args:
        run: the run, of any system.
        clusters: how many; as many as there are classes unless given.
        role: whose vectors; those that a search looks through unless given.
        seed: of the first centres.

    Raises:
        SettingsError: the number is out of range, or neither given nor told by classes.
        DataError: there is no such role.

    Example:
        >>> import unalike
        >>> from unalike.runs.cluster import cluster
        >>> run = unalike.fit("digits", system="simclr", steps=2, batch_size=32, size=16, out=tmp / "clustered")
        >>> int(cluster(run, 5).sizes.sum())
        1797
    """
    chosen = run.gallery[0] if role is None else role
    if chosen not in run.vectors:
        raise DataError(f"{run.folder} has no vectors of {chosen!r}; it has {', '.join(run.vectors)}")
    rows = np.flatnonzero(run.present(chosen))
    vectors = run.vectors[chosen][rows]
    labels = [run.items.labels()[row] for row in rows]
    names = {label for label in labels if label is not None}
    if clusters is None and not names:
        raise SettingsError("the run's rows have no classes that tell how many clusters there are: give --clusters K")
    count = len(names) if clusters is None else clusters
    if not 2 <= count <= len(rows):
        raise SettingsError(f"got {count} clusters of {len(rows)} rows; expected 2 to {len(rows)}")
    codes = evaluation.cluster(vectors, count, seed=seed)
    order = np.argsort(-np.bincount(codes, minlength=count), kind="stable")
    codes = np.argsort(order)[codes]
    centres = np.zeros((count, vectors.shape[1]))
    np.add.at(centres, codes, vectors)
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return Grouped(
        [run.items.ids[row] for row in rows],
        codes,
        1 - np.einsum("nd,nd->n", vectors, centres[codes]),
        [run.items.texts[row] for row in rows],
        labels,
        evaluation.agreement(codes, labels) if names else None,
        evaluation.chance_agreement(codes, labels) if names else None,
    )
