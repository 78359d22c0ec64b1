"""What a row, the board and a system's page say of a measure follows from its values, seed by seed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unalike import systems
from unalike.claims import board, judge, read_row
from unalike.claims.verdict import Effect

ROOT = Path(__file__).parents[2]
ROWS = sorted((ROOT / "results").glob("*.json"))


def combined(slug: str, measure: Mapping[str, Any]) -> list[float] | None:
    """By the claim's own function, seed by seed, where more than two arms make one number."""
    [asked] = [each for each in systems.find(slug).claim.measures if each.name == measure["name"]]
    if asked.combine is None:
        return None
    seeds = zip(*measure["values"].values(), strict=True)
    return [float(asked.combine(dict(zip(measure["values"], values, strict=True)))) for values in seeds]


def judged(measure: Mapping[str, Any], own: list[float] | None) -> Effect:
    """What follows from the values."""
    against = measure["against"]
    other = np.array(measure["values"][against]) if isinstance(against, str) else float(against)
    differences = np.array(measure["values"][measure["arm"]] if own is None else own) - other
    return judge(differences, better=measure["better"], margin=measure["margin"])


def faults(slug: str, measure: Mapping[str, Any]) -> list[str]:
    """What is stored of a measure and does not follow from its values."""
    own = combined(slug, measure)
    found = judged(measure, own)
    expected = {"effect": found.value, "interval": found.interval, "bootstrap": found.bootstrap}
    expected |= {"combined": own or ()}
    wrong = [
        f"{name} is stored as {measure[name]} and comes out as {value}"
        for name, value in expected.items()
        if name in measure and not near(measure[name], value)
    ]
    if measure.get("verdict", found.verdict) != found.verdict:
        wrong.append(f"verdict is stored as {measure['verdict']} and comes out as {found.verdict}")
    return wrong


def near(stored: Any, computed: Any) -> bool:
    ours, theirs = np.ravel(stored), np.ravel(computed)
    return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_what_is_stored_and_what_is_read_follow_from_the_values(path: Path) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))["measures"]
    for measure, result in zip(stored, read_row(path).results, strict=True):
        assert faults(path.stem, measure) == [], measure["name"]
        found = judged(measure, combined(path.stem, measure))
        assert near(result.effect, found.value)
        assert near(result.interval, found.interval)
        assert near(result.bootstrap, found.bootstrap)
        assert result.verdict == found.verdict


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_the_board_and_the_page_show_what_follows(path: Path) -> None:
    [line] = [
        each
        for each in (ROOT / "RESULTS.md").read_text(encoding="utf-8").splitlines()
        if f"(docs/systems/{path.stem}.md)" in each
    ]
    page = (ROOT / "docs" / "systems" / f"{path.stem}.md").read_text(encoding="utf-8").splitlines()
    for number, measure in enumerate(json.loads(path.read_text(encoding="utf-8"))["measures"]):
        found = judged(measure, combined(path.stem, measure))
        low, high = (board.number(end) for end in found.interval)
        shown = f"{board.number(found.value)} [{low}, {high}]"
        [told] = [each for each in page if each.startswith((f"| {measure['name']} |", f"| {measure['name']} (mech"))]
        for text in [told, line] if number == 0 else [told]:
            assert shown in text
            assert f"**{found.verdict}**" in text
        if measure["mechanism"]:
            assert f"{measure['name']}: {found.verdict}" in line


def test_a_row_that_says_something_else_is_found() -> None:
    measure = json.loads((ROOT / "results" / "dcl.json").read_text(encoding="utf-8"))["measures"][0]
    found = judged(measure, combined("dcl", measure))
    said = {"effect": found.value, "interval": list(found.interval), "verdict": found.verdict}
    assert faults("dcl", measure | said) == []
    low, high = found.interval
    for name, wrong in (
        ("effect", math.nextafter(low, high)),
        ("interval", [low, high + 1e-6]),
        ("interval", [high]),
        ("bootstrap", [low, low]),
        ("verdict", "no test"),
        ("combined", [0.0]),
    ):
        assert [fault.split()[0] for fault in faults("dcl", measure | said | {name: wrong})] == [name]
