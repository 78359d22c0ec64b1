"""Learning what is normal and scoring what is not, as a user does it."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
import soundfile
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
    assert "of 100 rows exceed the alarm threshold" in printed
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


def test_columns_that_nobody_named_are_found_by_name_again(flows, tmp_path):
    rows = np.random.default_rng(1).normal(size=(60, 3)) * [1, 10, 100]

    def table(name, columns):
        lines = [",".join(columns), *(",".join(f"{row['abc'.index(c)]:.4f}" for c in columns) for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return str(tmp_path / name)

    def as_frame(order):
        return pd.DataFrame({column: rows[:, "abc".index(column)].round(4) for column in order})

    run = unalike.fit(table("normal.csv", "abc"), system="clan", steps=3, out=tmp_path / "run")
    expected = run.embed(table("same.csv", "abc")).vectors
    np.testing.assert_array_equal(run.embed(table("turned.csv", "cab")).vectors, expected)
    np.testing.assert_allclose(run.embed(as_frame("bca")).vectors, expected, atol=1e-5)
    (tmp_path / "more.csv").write_text("a,b,c,d\n" + "".join(f"{a:.4f},{b:.4f},{c:.4f},7\n" for a, b, c in rows))
    np.testing.assert_array_equal(run.embed(str(tmp_path / "more.csv")).vectors, expected)
    (tmp_path / "other.csv").write_text("a,b,d\n1,2,3\n4,5,6\n")
    with pytest.raises(DataError, match="other has no column 'c'; it has a, b, d"):
        run.score(str(tmp_path / "other.csv"))


def test_a_date_and_a_word_are_no_numbers(tmp_path):
    (tmp_path / "mixed.csv").write_text("a,b,when,colour\n" + "1,2,2024-01-05,red\n3,4,2024-01-06,blue\n" * 20)
    with pytest.raises(DataError, match=r"--array COLUMN, or --array COLUMN,COLUMN for several"):
        unalike.fit(str(tmp_path / "mixed.csv"), system="clan", steps=1, out=tmp_path / "run")
    with pytest.raises(DataError, match=r"the column 'when' is wanted as numbers, but holds '2024-01-05' in line 2"):
        unalike.fit(str(tmp_path / "mixed.csv"), system="clan", roles={"array": "a,when"}, out=tmp_path / "run")


def test_a_fit_that_cannot_begin_leaves_nothing(tmp_path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    time = np.arange(8000) / 16_000
    for number in range(15):
        soundfile.write(sounds / f"{number}.wav", 0.3 * np.sin(2 * np.pi * (200 + 9 * number) * time), 16_000)
    soundfile.write(sounds / "silent.wav", 0 * time, 16_000)
    given = {"system": "w2v-bert", "steps": 1, "batch_size": 4, "out": tmp_path / "run"}
    with pytest.raises(DataError, match=r"silent\.wav: its first 0\.5 s are silent"):
        unalike.fit(sounds, **given)
    assert not (tmp_path / "run").exists()
    (sounds / "silent.wav").unlink()
    # Two of fifteen would be held out, but classes and groups round: one row alone cannot be scored.
    assert unalike.fit(sounds, **given).scores
