"""What was written about a claim that did not come out as the paper says, its numbers taken from the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unalike.claims.rows import Result, Row
from unalike.errors import SettingsError


def reason(folder: Path, row: Row) -> str:
    """The reasons of a row, ``reasons/SLUG.md`` in its folder, with its numbers filled in; empty where there are none.

    Raises:
        SettingsError: a placeholder names a measure or an arm that the row does not have.
    """
    path = folder / "reasons" / f"{row.slug}.md"
    return filled(path.read_text(encoding="utf-8").strip(), row) if path.exists() else ""


def filled(text: str, row: Row) -> str:
    """A text with the numbers of a row in place of its placeholders, which are expressions in double braces.

    ``mean("MEASURE", "ARM")``, ``value("MEASURE", "ARM", SEED)``, ``effect("MEASURE")``, ``low`` and ``high`` (the ends
    of its interval), ``floor("MEASURE", "NAME")`` and ``verdict("MEASURE")`` name a measure by its first words, as many
    as make it the only one; ``tuned("ARM", "SETTING")`` is what validation chose, and ``chosen("ARM")`` the validation
    score of that; ``seeds`` is how many there are. Numbers have three decimals, or what ``| as("%.2f")`` asks for.

    Raises:
        SettingsError: a placeholder names what the row does not have, or cannot be read.

    Example:
        >>> from unalike.claims.rows import read_row, stored
        >>> from unalike.claims.reasons import filled
        >>> row = read_row(stored() / "dcl.json")
        >>> filled("{{ seeds }} seeds, {{ verdict('kNN accuracy, batch 16') }}", row)
        '5 seeds, open'
    """
    import jinja2

    def measure(name: str) -> Result:
        exact = [each for each in row.results if each.name == name]
        found = exact or [each for each in row.results if each.name.startswith(name)]
        if len(found) != 1:
            known = ", ".join(repr(each.name) for each in row.results)
            raise SettingsError(f"the reasons of {row.slug} name the measure {name!r}; the row has {known}")
        return found[0]

    def part(of: Any, name: str, what: str) -> Any:
        if name not in of:
            raise SettingsError(f"the reasons of {row.slug} name the {what} {name!r}; there are {', '.join(of)}")
        return of[name]

    def tuned(arm: str, setting: str) -> Any:
        return part(part(row.tuning, arm, "arm")["chosen"], setting, "setting")

    def chosen(arm: str) -> float:
        found = part(row.tuning, arm, "arm")
        return float(found["scores"][list(found["points"]).index(found["chosen"])])

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, finalize=number, keep_trailing_newline=True)
    environment.filters["as"] = lambda value, form: form % value
    names = {
        "seeds": len(row.seeds),
        "mean": lambda name, arm: float(np.mean(part(measure(name).values, arm, "arm"))),
        "value": lambda name, arm, seed: part(measure(name).values, arm, "arm")[seed],
        "combined": lambda name, seed: measure(name).combined[seed],
        "effect": lambda name: measure(name).effect,
        "low": lambda name: measure(name).interval[0],
        "high": lambda name: measure(name).interval[1],
        "verdict": lambda name: measure(name).verdict,
        "floor": lambda name, floor: part(measure(name).floors, floor, "floor"),
        "tuned": tuned,
        "chosen": chosen,
    }
    try:
        return environment.from_string(text).render(names)
    except jinja2.TemplateError as error:
        raise SettingsError(f"the reasons of {row.slug} cannot be read: {error}") from error


def number(value: Any) -> Any:
    """A number as reasons write it: three decimals, large ones without."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
    return value
