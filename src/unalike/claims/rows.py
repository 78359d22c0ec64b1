"""Result rows: one JSON file a system, under ``results/``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unalike.claims.verdict import Effect, Verdict, judge
from unalike.files import read_json, write_json
from unalike.settings import read_dataclass


@dataclass(frozen=True, kw_only=True)
class Result:
    """One measured quantity.

    Only what was measured is stored; effect, interval and verdict are derived from it whenever it is read.

    Args:
        name: what it is.
        metric: by what it was measured.
        mechanism: whether the paper says that it works through this.
        timed: whether it is a time, which is another on another day.
        arm, against: the arms that were compared (or the number).
        better, margin: what the claim asks of the difference.
        values: by arm one number a seed.
        combined: where more than two arms make one quantity, that quantity, one number a seed.
        floors: what raw features, the untrained encoder (or a pretrained one, ``before training``) and chance reach,
            and what is left with permuted classes (``shuffled``).
    """

    name: str
    metric: str
    mechanism: bool
    arm: str
    against: str | float
    better: Literal["higher", "lower"]
    margin: float
    values: Mapping[str, tuple[float, ...]]
    combined: tuple[float, ...] = ()
    timed: bool = False
    floors: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def differences(self) -> np.ndarray:
        """``(S,)``, what the verdict is about: one arm, or what arms were combined to, less the other or the number."""
        own = np.array(self.combined or self.values[self.arm])
        return own - (np.array(self.values[self.against]) if isinstance(self.against, str) else self.against)

    @cached_property
    def judged(self) -> Effect:
        return judge(self.differences, better=self.better, margin=self.margin)

    @property
    def effect(self) -> float:
        """The mean difference."""
        return self.judged.value

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95% interval by Student's t over the seeds."""
        return self.judged.interval

    @property
    def bootstrap(self) -> tuple[float, float]:
        """The percentile bootstrap's."""
        return self.judged.bootstrap

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the check of one system's claim came to.

    Args:
        code: `unalike.claims.code_hash` of the code it ran on, as it was computed then; whether the row is current its
            probe tells (`unalike.claims.probe`).
        data: fingerprints by bed.
        arms: system, settings and training of each.
        tuning: by arm the validation score of each point of the grid and the one that was chosen.
        reads: how often each trial opened the test split.
        seconds: of a core, by arm of one trial and ``work`` of all of them, and ``all`` by the clock.
        memory: largest resident size of a worker in MiB.
        pictures: curves for the system's page.
        confirmed: where the code has changed since, what was repeated on the code that is named, to the same bits, and
            the code that all of it was measured on (``from``); ``floors``: the measures that got floors then, for which
            models that never learned read the test rows once more.
        tables: of a study, by arm every named number of its tables, one value a seed.
    """

    slug: str
    number: int | None
    sentence: str
    baseline: str | None
    modality: str
    measures: tuple[Mapping[str, Any], ...]
    seeds: tuple[int, ...]
    arms: Mapping[str, Mapping[str, Any]]
    tuning: Mapping[str, Mapping[str, Any]]
    code: str
    data: Mapping[str, str]
    reads: tuple[int, ...]
    seconds: Mapping[str, float]
    memory: float
    versions: Mapping[str, str]
    pictures: Mapping[str, Any] = field(default_factory=dict)
    confirmed: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)

    @cached_property
    def results(self) -> list[Result]:
        return [read_dataclass(Result, each, f"measure of {self.slug}") for each in self.measures]

    @property
    def first(self) -> Result:
        """The measure that the board shows."""
        return self.results[0]

    @cached_property
    def numbers(self) -> list[tuple[str, str, Effect]]:
        """Of a study, every named number of every arm: its name, the arm, and mean and interval over the seeds."""
        return [(name, arm, judge(values)) for arm, table in self.tables.items() for name, values in table.items()]

    @property
    def mechanism(self) -> Verdict | None:
        """The verdict on the mechanism: the worst of its measures; None where the claim names none."""
        found = [result.verdict for result in self.results if result.mechanism]
        return next((verdict for verdict in ("fails", "open", "holds") if verdict in found), None)  # type: ignore[return-value]

    def save(self, folder: Path) -> Path:
        path = folder / f"{self.slug}.json"
        write_json(path, dataclasses.asdict(self))
        return path


def read_row(path: Path) -> Row:
    """A stored row.

    Raises:
        RunError: the file is missing or no JSON.
        SettingsError: it is no row; all that is wrong is listed.
    """
    row: Row = read_dataclass(Row, read_json(path), f"row {path}")
    _ = row.results
    return row


def stored() -> Path:
    """Where the rows are that came with the package: beside it in a checkout, inside it where it was installed."""
    package = Path(__file__).parents[1]
    inside = package / "results"
    return inside if inside.exists() else package.parents[1] / "results"


def read_rows(folder: Path) -> dict[str, Row]:
    """All stored rows by slug."""
    return {path.stem: read_row(path) for path in sorted(folder.glob("*.json"))}


def unfinished(results: Sequence[Result]) -> list[str]:
    """The measures that do not hold."""
    return [f"{result.name}: {result.verdict}" for result in results if result.verdict != "holds"]
