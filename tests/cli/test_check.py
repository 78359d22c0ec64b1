"""Check and compare as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from unalike import cli
from unalike.claims import read_row

RESULTS = Path(__file__).parents[2] / "results"


def failing(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        cli.main(list(words))
    assert stop.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_two_systems_on_ones_own_data(capsys):
    words = "compare dcl simclr --data digits --seeds 2 --steps 2 --batch-size 16 --size 16 --no-tuning --jobs 1"
    cli.main(words.split())
    printed = capsys.readouterr().out
    for expected in ("kNN accuracy", "linear probe", "a changed look", "dcl", "simclr", "raw features", "2 pairs"):
        assert expected in printed
    assert "each trial opened the test split 1 time" in " ".join(printed.split())


def test_what_cannot_be_checked_is_said(capsys, tmp_path):
    assert "give one system, or --all" in failing(capsys, "check")
    assert "give one system, or --all" in failing(capsys, "check", "dcl", "--all")
    assert "Did you mean 'dcl'?" in failing(capsys, "check", "dlc")
    assert "has not been put to the test" in failing(capsys, "check", "simclr", "--results", str(tmp_path))
    assert "cannot be compared" in failing(capsys, "compare", "dcl", "simcse", "--data", "digits")


def test_the_card_shows_the_stored_row(capsys):
    cli.main(["systems", "dcl"])
    printed = capsys.readouterr().out
    assert "Measured on" in printed
    assert "coupling" in printed
    cli.main(["systems", "simclr"])
    assert "Measured: not yet" in capsys.readouterr().out


def test_current_rows_are_left_out(capsys, tmp_path, monkeypatch):
    """Of two rows the stale one is measured again, the current one is not."""
    from unalike import systems
    from unalike.checks import check, probing
    from unalike.claims.probe import Verdict

    for system in systems.all_systems():
        if system.claim.measures:
            (tmp_path / f"{system.slug}.json").touch()
    found = {"dcl": Verdict("current to rounding"), "mochi": Verdict("stale", ("another loss",))}
    monkeypatch.setattr(probing, "status", lambda slug, results, again: found.get(slug, Verdict("current")))
    measured = []
    row = read_row(RESULTS / "mochi.json")
    monkeypatch.setattr(check, "check", lambda slug, **options: measured.append(slug) or row)
    cli.main(["check", "--all", "--results", str(tmp_path), "--jobs", "0"])
    assert measured == ["mochi"]
    assert "1 of" in capsys.readouterr().out
