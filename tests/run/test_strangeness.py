"""Learning what is normal and scoring what is not, as a user does it."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import unalike
from unalike import cli
from unalike.errors import DataError, SettingsError


def write(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", *(f"f{number}" for number in range(rows.shape[1]))])
        writer.writerows([f"row{number}", *row] for number, row in enumerate(rows))
    return path


@pytest.fixture(scope="module")
def flows(tmp_path_factory):
    """Normal rows lie on a plane; strange ones do not."""
    folder = tmp_path_factory.mktemp("flows")
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(2, 6))
    normal = rng.normal(size=(600, 2)) @ basis + 0.05 * rng.normal(size=(600, 6))
    new = rng.normal(size=(100, 2)) @ basis + 0.05 * rng.normal(size=(100, 6))
    new[60:] = rng.permuted(new[60:], axis=0)
    write(folder / "normal.csv", normal)
    write(folder / "new.csv", new)
    return folder


@pytest.fixture(scope="module")
def run(flows):
    return unalike.fit(
        str(flows / "normal.csv"),
        system="clan",
        roles={"array": ",".join(f"f{number}" for number in range(6))},
        id="id",
        holdout=0.2,
        steps=150,
        batch_size=256,
        out=flows / "run",
    )


def test_strange_rows_score_higher(run, flows):
    found = run.score(str(flows / "new.csv"), id="id", false_alarms=0.05)
    strange = np.arange(100) >= 60
    assert roc_auc_score(strange, found.scores) > 0.8
    assert found.alarms[strange].mean() > found.alarms[~strange].mean()
    assert found.held_out == 120
    own = run.score(str(flows / "normal.csv"), id="id", false_alarms=0.05)
    held = run.items.splits != "train"
    assert own.alarms[held].sum() <= 6


def test_the_command_says_so_and_writes_a_file(run, flows, capsys):
    out = flows / "scores.csv"
    cli.main(["score", str(run.folder), str(flows / "new.csv"), "--id", "id", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "of 100 rows are stranger than" in printed
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == [f"row{number}" for number in range(100)]
    assert {row["alarm"] for row in rows} <= {"true", "false"}


def test_what_cannot_be_scored_is_said(run, flows, tmp_path):
    with pytest.raises(SettingsError, match="false_alarms=1"):
        run.score(str(flows / "new.csv"), id="id", false_alarms=1.0)
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("id,f0\na,1\nb,2\n")
    with pytest.raises(DataError, match="f1"):
        run.score(str(lacking), id="id")
    broken = tmp_path / "broken.csv"
    lines = (flows / "new.csv").read_text().splitlines()
    lines[1] = "row0,,1,1,1,1,1"
    broken.write_text("\n".join(lines))
    found = run.score(str(broken), id="id")
    assert np.isfinite(found.scores[1:]).all()


def test_a_run_that_held_nothing_out_has_no_threshold(flows):
    whole = unalike.fit(
        str(flows / "normal.csv"),
        system="clan",
        roles={"array": "f0,f1,f2"},
        holdout=0.0,
        steps=2,
        batch_size=64,
        out=flows / "whole",
    )
    with pytest.raises(DataError, match="held no rows out"):
        whole.score(str(flows / "new.csv"))
