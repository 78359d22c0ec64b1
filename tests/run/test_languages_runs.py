"""Pictures with captions in several languages: a whole run, what it scores, and what it says of gaps."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from squares import GERMAN, INKS, on_white

import unalike
from unalike.errors import DataError

ROWS = 32


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares of four colours and eight sizes; every fourth row lacks German, and no row has Spanish."""
    folder = tmp_path_factory.mktemp("languages")
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "en", "de", "es", "same"])
        for row in range(ROWS):
            name = list(INKS)[row % 4]
            on_white(folder / f"{row}.png", name, 4 + 2 * (row // 4))
            german = "" if row % 4 == 3 else f"{GERMAN[name]} {row // 4}"
            table.writerow([f"{row}.png", f"{name} {row // 4}", german, "", "a picture"])
    return folder / "pairs.csv"


ROLES = {"image": "path", "text:en": "en", "text:de": "de", "text:es": "es"}
SMALL = {"steps": 4, "batch_size": 8, "size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def run(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> unalike.Run:
    out = tmp_path_factory.mktemp("runs") / "ccrk"
    return unalike.fit(pairs, system="ccrk", roles=ROLES, holdout=0.5, out=out, **SMALL)


def test_gaps_are_counted_and_an_empty_language_is_left_out(run: unalike.Run) -> None:
    notes = run.record["notes"]
    assert f"8 of {ROWS} rows have no text:de; what else they have is used" in notes
    assert f"text:es has no entry in any of {ROWS} rows and is left out" in notes
    assert run.spec.roles["text"] == ("text:en", "text:de")


def test_each_language_and_their_ranks_are_scored(run: unalike.Run, pairs: Path) -> None:
    for scores in (run.scores, run.evaluate(pairs, roles=ROLES)):
        found = {score.name: score for score in scores}
        for way in ("image>2 texts", "2 texts>image"):
            assert found[f"recall@1/{way}"].floors["chance"] < 0.2
            variance = found[f"rank_variance/{way}"]
            assert not variance.higher_is_better
            assert variance.value >= 0
            assert "MRV" in variance.reading
    everything = {score.name: score for score in run.evaluate(pairs, roles=ROLES)}
    assert everything["rank_variance/2 texts>image"].n == ROWS - 8  # rows that have both languages


def test_one_text_for_all_rows_is_an_error(pairs: Path) -> None:
    with pytest.raises(DataError, match=rf"all {ROWS} rows of pairs have one and the same text in text: nothing tells"):
        unalike.fit(pairs, system="clip", roles={"image": "path", "text": "same"}, **SMALL)


def test_a_role_that_all_rows_lack_is_an_error_that_says_so(pairs: Path) -> None:
    with pytest.raises(DataError, match=r"\(text without an entry in any row\)\. Missing: text"):
        unalike.fit(pairs, system="clip", roles={"image": "path", "text": "es"}, **SMALL)
