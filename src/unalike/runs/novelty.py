"""How unlike new things are to what a run was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unalike.data.roles import kind_of
from unalike.errors import DataError
from unalike.evaluation import alarm_threshold, novelty
from unalike.files import write_table
from unalike.runs.opened import Opened


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


def score(
    run: Opened, data: Any, *, false_alarms: float = 0.01, roles: Mapping[str, str] | None = None, **options: Any
) -> Scored:
    """How unlike new things are to what this run was trained on, with a threshold for alarms; see `unalike.Run.score`.

    Raises:
        DataError: the data have nothing that this run reads, or the run held nothing out.
        SettingsError: ``false_alarms`` outside of [0, 1).
    """
    collection = run.gather(data, roles=roles, **options)
    role = run.readable(collection)[0]
    kind = kind_of(role)
    own = next(each for each in run.vectors if kind_of(each) == kind)
    splits, there = run.items.splits, run.present(own)
    known = run.vectors[own][(splits == "train") & there]
    held = run.vectors[own][(splits != "train") & there]
    if not len(held):
        raise DataError(
            f"{run.folder} held no rows out, so there is nothing to set a threshold on: fit with holdout above 0"
        )
    threshold = alarm_threshold(novelty(known, held), false_alarms)
    vectors = run.embed_column(collection, role)
    found = np.full(len(vectors), np.nan)
    readable = np.isfinite(vectors).all(axis=1)
    if readable.any():
        found[readable] = novelty(known, vectors[readable])
    return Scored(list(collection.ids), found, threshold, false_alarms, len(held))
