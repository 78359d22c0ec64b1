"""The reasons beside the stored rows: their numbers come from the row."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from unalike.claims import read_row
from unalike.claims.reasons import filled, reason, spelled
from unalike.claims.rows import Row, stored
from unalike.errors import SettingsError

REASONS = sorted((stored() / "reasons").glob("*.md"))

# Numbers of other measurements, and settings, that happen to have the digits of one of the row's.
COINCIDENCES = {
    "autotcl": ["0.001"],
    "cleanclip": ["0.003"],
    "contrastive-search": ["0.002"],
    "contriever": ["0.070", "0.324"],
    "coretuning": ["0.024"],
    "cvrl": ["0.331"],
    "gda-clip": ["0.011"],
    "groco": ["0.176", "0.193"],
    "isogclr": ["0.005", "0.012"],
    "sbcl": ["0.001", "0.001"],
}


@pytest.fixture(scope="module")
def row() -> Row:
    return read_row(stored() / "mvdhel.json")


def typed(text: str, row: Row) -> list[str]:
    """The numbers of three decimals or more that a text spells out and its row has, without their signs."""
    literals = re.findall(r"(?<![\w.])\d+\.\d{3,}(?!\w)", re.sub(r"\{\{.*?\}\}", "", text, flags=re.DOTALL))
    measured: list[float] = []
    for result in row.results:
        measured += [float(np.mean(values)) for values in result.values.values()]
        measured += [result.effect, *result.interval]
    return [each for each in literals if each in {f"{abs(x):.{len(each.partition('.')[2])}f}" for x in measured}]


@pytest.mark.parametrize("path", REASONS, ids=lambda path: path.stem)
def test_every_placeholder_is_filled(path):
    text = reason(stored(), read_row(stored() / f"{path.stem}.json"))
    assert text
    assert not re.search(r"[{}]|\bnan\b|\binf\b|Undefined|bound method", text)


@pytest.mark.parametrize("path", REASONS, ids=lambda path: path.stem)
def test_no_number_of_the_row_is_typed(path):
    found = typed(path.read_text(encoding="utf-8"), read_row(stored() / f"{path.stem}.json"))
    assert Counter(found) == Counter(COINCIDENCES.get(path.stem, [])), "write a placeholder (unalike.claims.reasons)"


def test_a_typed_one_would_be_found():
    asked = 0
    for path in REASONS:
        row = read_row(stored() / f"{path.stem}.json")
        for each in re.findall(r"\{\{ -?(?:mean|effect|low|high)\([^()]*\) \}\}", path.read_text(encoding="utf-8")):
            text = filled(each, row)
            if "." in text:
                asked += 1
                assert typed(f"it is {text}, or so", row) == [text.lstrip("-")], (path.stem, each)
    assert asked > 100


def test_what_a_placeholder_gives(row):
    # Given the row's own values, worked out here by hand.
    kNN, gain = row.results[0], row.results[1]
    own, other = kNN.values["system"], kNN.values["baseline"]
    ahead = sum(a > b for a, b in zip(own, other, strict=True))
    ranges = [max(pair) - min(pair) for pair in zip(own, other, strict=True)]
    tuning = row.tuning["system"]
    expected = {
        "mean('kNN accuracy, 5', 'system')": f"{sum(own) / len(own):.3f}",
        "values('kNN accuracy, 5', 'system') | max": f"{max(own):.3f}",
        "value('kNN accuracy, 5', 'system', 2)": f"{own[2]:.3f}",
        "combined('gain in', 4)": f"{gain.combined[4]:.3f}",
        "spread('kNN accuracy, 5', 'system', 'baseline')": f"{sum(ranges) / len(ranges):.3f}",
        "-effect('gain in')": f"{-sum(gain.combined) / len(gain.combined):.3f}",
        "low('gain in') | as('%+.2f')": f"{gain.interval[0]:+.2f}",
        "high('gain in')": f"{gain.interval[1]:.3f}",
        "ahead('kNN accuracy, 5')": str(ahead),
        "verdict('gain in')": gain.verdict,
        "floor('kNN accuracy, 5', 'raw features')": f"{kNN.floors['raw features']:.3f}",
        "tuned('system', 'temperature') | as('%g')": f"{tuning['chosen']['temperature']:g}",
        "score('system', temperature=0.05)": f"{tuning['scores'][0]:.3f}",
        "chosen('system')": f"{max(tuning['scores']):.3f}",
        "seconds('work')": f"{row.seconds['work']:.0f}",
        "seeds | words": "five",
    }
    assert {each: filled(f"{{{{ {each} }}}}", row) for each in expected} == expected
    assert filled("{{ 12345.6 | as('%,.0f') }}", row) == "12,346"


def test_ahead_is_on_the_claimed_side():
    lower = read_row(stored() / "supremix.json")
    assert lower.first.better == "lower"
    assert filled("{{ ahead('error of the probe') }}", lower) == str(int(np.sum(lower.first.differences < 0)))


@pytest.mark.parametrize(
    ("placeholder", "known"),
    [
        ("effect('kNN accuracies')", "'kNN accuracy, 5 views', 'gain in kNN accuracy from 2 to 5 views'"),
        ("effect('kNN accuracy')", "'kNN accuracy, 5 views'"),  # two begin so
        ("mean('kNN accuracy, 5', 'simclr')", "'simclr'; there are baseline, system"),
        ("value('kNN accuracy, 5', 'system', 9)", "9; there are 0, 1, 2, 3, 4"),
        ("combined('kNN accuracy, 5', 0)", "0; there are none"),
        ("floor('kNN accuracy, 5', 'pixels')", "'pixels'; there are chance, raw features"),
        ("tuned('system', 'rate')", "'rate'; there are temperature"),
        ("chosen('simclr')", "'simclr'; there are MV-InfoNCE, baseline"),
        ("score('system', temperature=7)", "{'temperature': 0.05}"),
        ("seconds('simclr')", "'simclr'; there are"),
        ("median('gain in')", "'median' is undefined"),
        ("mean('gain in')", "missing 1 required positional argument"),
        ("effect('gain in'", "cannot be read"),
        ("effect('gain in') | as('%q')", "cannot be read"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_known_ones(row, placeholder, known):
    with pytest.raises(SettingsError, match="the reasons of mvdhel") as error:
        filled(f"{{{{ {placeholder} }}}}", row)
    assert known in str(error.value)


def test_small_numbers_are_spelled():
    assert [spelled(each) for each in (0, 1, 12, 13)] == ["no", "one", "twelve", "13"]
