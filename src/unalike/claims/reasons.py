"""What was written about a claim that did not come out as the paper says, its numbers taken from the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unalike.claims.rows import Result, Row
from unalike.errors import SettingsError

SMALL = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def reason(folder: Path, row: Row) -> str:
    """The reasons of a row, ``reasons/SLUG.md`` in its folder, with its numbers filled in; empty where there are none.

    Raises:
        SettingsError: a placeholder names a measure or an arm that the row does not have.
    """
    path = folder / "reasons" / f"{row.slug}.md"
    return filled(path.read_text(encoding="utf-8").strip(), row) if path.exists() else ""


def filled(text: str, row: Row) -> str:
    """A text with the numbers of a row in place of its placeholders, which are expressions in double braces.

    The names in them are `Numbers`'s methods and ``seeds``, how many there are; a measure is named by its first words,
    as many as make it the only one. Numbers have three decimals, or what ``| as("%.2f")`` asks for (``%,.0f`` parts the
    thousands, ``%g`` drops zeros at the end); ``| words`` spells a small whole number.

    Raises:
        SettingsError: a placeholder names what the row does not have, or cannot be read.

    Example:
        >>> from unalike.claims.rows import read_row, stored
        >>> from unalike.claims.reasons import filled
        >>> row = read_row(stored() / "dcl.json")
        >>> filled("{{ seeds | words }} seeds, {{ verdict('kNN accuracy, batch 16') }}", row)
        'five seeds, open'
    """
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, finalize=number, keep_trailing_newline=True)
    environment.filters["as"] = lambda value, form: format(value, form.removeprefix("%"))
    environment.filters["words"] = spelled
    numbers = Numbers(row)
    names = {name: getattr(numbers, name) for name in vars(Numbers) if not name.startswith("_")}
    try:
        return environment.from_string(text).render(names, seeds=len(row.seeds))
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise SettingsError(f"the reasons of {row.slug} cannot be read: {error}") from error


@dataclass(frozen=True)
class Numbers:
    """What a placeholder can ask of a row.

    Raises:
        SettingsError: the row has no such measure, arm, seed, floor, setting, grid point or time; those it has are
            listed.
    """

    row: Row

    def mean(self, measure: str, arm: str) -> float:
        """An arm's mean over the seeds."""
        return float(np.mean(self.values(measure, arm)))

    def values(self, measure: str, arm: str) -> tuple[float, ...]:
        """An arm's values, one a seed: ``values("MEASURE", "ARM") | min`` is the smallest."""
        return self._part(self._measure(measure).values, arm, "arm")

    def value(self, measure: str, arm: str, seed: int) -> float:
        """An arm's value at a seed."""
        return self._part(dict(zip(self.row.seeds, self.values(measure, arm), strict=True)), seed, "seed")

    def combined(self, measure: str, seed: int) -> float:
        """What arms were combined to, at a seed."""
        return self._part(dict(zip(self.row.seeds, self._measure(measure).combined, strict=False)), seed, "seed")

    def spread(self, measure: str, *arms: str) -> float:
        """From the lowest to the highest of several arms within a seed, on average over the seeds."""
        return float(np.mean(np.ptp([self.values(measure, arm) for arm in arms], axis=0)))

    def effect(self, measure: str) -> float:
        """The mean difference."""
        return self._measure(measure).effect

    def low(self, measure: str) -> float:
        """The lower end of its interval."""
        return self._measure(measure).interval[0]

    def high(self, measure: str) -> float:
        """The upper end of its interval."""
        return self._measure(measure).interval[1]

    def ahead(self, measure: str) -> int:
        """In how many seeds the difference lies on the claimed side of zero."""
        found = self._measure(measure)
        return int(np.sum((found.differences > 0) if found.better == "higher" else (found.differences < 0)))

    def verdict(self, measure: str) -> str:
        return self._measure(measure).verdict

    def floor(self, measure: str, name: str) -> float:
        """What needs no learning, or only chance."""
        return self._part(self._measure(measure).floors, name, "floor")

    def tuned(self, arm: str, setting: str) -> Any:
        """The setting that validation chose for an arm, or that it took over from another."""
        return self._part(self._part(self.row.tuning, arm, "arm")["chosen"], setting, "setting")

    def score(self, arm: str, **point: Any) -> float:
        """The validation score of a point of an arm's grid: ``score("ARM", learning_rate=0.001)``."""
        found = self._part(self.row.tuning, arm, "arm")
        scores = {str(each): score for each, score in zip(found["points"], found["scores"], strict=True)}
        return float(self._part(scores, str(dict(sorted(point.items()))), "grid point"))

    def chosen(self, arm: str) -> float:
        """The validation score of the point that was chosen for an arm."""
        return self.score(arm, **self._part(self.row.tuning, arm, "arm")["chosen"])

    def seconds(self, what: str) -> float:
        """Of a core: one trial of an arm, or ``work`` for all that the check did."""
        return self._part(self.row.seconds, what, "time")

    def _measure(self, name: str) -> Result:
        results = self.row.results
        exact = [each for each in results if each.name == name]
        found = exact or [each for each in results if each.name.startswith(name)]
        if len(found) != 1:
            known = ", ".join(repr(each.name) for each in results)
            raise SettingsError(f"the reasons of {self.row.slug} name the measure {name!r}; the row has {known}")
        return found[0]

    def _part(self, of: Mapping[Any, Any], name: Any, what: str) -> Any:
        if name not in of:
            known = ", ".join(map(str, of)) or "none"
            raise SettingsError(f"the reasons of {self.row.slug} name the {what} {name!r}; there are {known}")
        return of[name]


def number(value: Any) -> Any:
    """A number as reasons write it: three decimals, large ones without."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
    return value


def spelled(value: float) -> str:
    """A whole number in words, up to twelve; in digits beyond.

    Example:
        >>> from unalike.claims.reasons import spelled
        >>> spelled(3), spelled(30)
        ('three', '30')
    """
    return SMALL[int(value)] if 0 <= value < len(SMALL) else f"{value:.0f}"
