"""Predicting what a run learned for new rows, as a user does it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import unalike
from unalike import cli
from unalike.data import Collection, LabelColumn, TextColumn
from unalike.errors import DataError, SettingsError
from unalike.evaluation import knn_predict, knn_shares
from unalike.files import read_sealed, write_sealed

KINDS = ("calm", "loud", "odd")
FEATURES = [f"f{number}" for number in range(5)]


def write(path: Path, count: int, seed: int, *, labels: bool) -> Path:
    """Rows of three clusters that are easily told apart; row i is of the kind i % 3."""
    rng = np.random.default_rng(seed)
    centres = 4 * np.eye(3, 5)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["name", *FEATURES, *(["kind"] if labels else [])])
        for row in range(count):
            numbers = centres[row % 3] + 0.3 * rng.normal(size=5)
            writer.writerow([f"r{row}", *numbers.round(4), *([KINDS[row % 3]] if labels else [])])
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write(folder / "old.csv", 240, 0, labels=True)
    write(folder / "new.csv", 30, 1, labels=False)
    return folder


@pytest.fixture(scope="module")
def run(tables: Path) -> unalike.Run:
    return unalike.fit(
        str(tables / "old.csv"),
        system="scarf",
        id="name",
        label="kind",
        roles={"array": ",".join(FEATURES)},
        steps=40,
        batch_size=64,
        out=tables / "run",
    )


def test_vectors_with_labels_predict_classes_by_the_vote_of_the_training_rows(run: unalike.Run, tables: Path) -> None:
    found = run.predict(str(tables / "new.csv"), id="name")
    assert found.ids == [f"r{row}" for row in range(30)]
    assert found.labels == [KINDS[row % 3] for row in range(30)]
    assert found.probabilities.shape == (30, 3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    train = run.items.splits == "train"
    assert f"{train.sum()} labelled training rows vote" in found.how
    codes = np.array([KINDS.index(label) for label in run.items.labels()])
    vectors = run.embed(str(tables / "new.csv"), id="name").vectors
    voted = knn_predict(run.vectors["array"][train], codes[train], vectors)
    assert found.probabilities.argmax(axis=1).tolist() == [list(found.names).index(KINDS[code]) for code in voted]


def test_the_shares_of_the_vote_are_what_a_double_loop_counts() -> None:
    rng = np.random.default_rng(0)
    train, test, codes = rng.normal(size=(40, 6)), rng.normal(size=(7, 6)), rng.integers(0, 4, 40)
    found = knn_shares(train.astype(np.float32), codes, test.astype(np.float32), classes=4, k=5, temperature=0.2)
    for query, row in zip(test, found, strict=True):
        cosines = train @ query / np.linalg.norm(train, axis=1) / np.linalg.norm(query)
        votes = np.zeros(4)
        for voter in np.argsort(-cosines)[:5]:
            votes[codes[voter]] += np.exp(cosines[voter] / 0.2)
        np.testing.assert_allclose(row, votes / votes.sum(), rtol=1e-4)
    with pytest.raises(DataError, match="not all in"):
        knn_shares(train, codes, test, classes=3)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_the_file_keeps_every_id(run: unalike.Run, tables: Path, suffix: str, capsys) -> None:
    out = tables / f"out{suffix}"
    cli.main(["predict", str(run.folder), str(tables / "new.csv"), "--id", "name", "--out", str(out)])
    said = " ".join(capsys.readouterr().out.split())
    assert "nearest of" in said and "30 rows, written to" in said
    if suffix == ".csv":
        rows = list(csv.DictReader(out.open()))
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows] == [f"r{row}" for row in range(30)]
    assert list(rows[0]) == ["id", "label", "probability", "p(calm)", "p(loud)", "p(odd)"]
    assert float(rows[1]["probability"]) == max(float(rows[1][f"p({kind})"]) for kind in KINDS)
    assert rows[1]["label"] == "loud"


def test_another_suffix_is_refused_before_the_work(run: unalike.Run, tables: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["predict", str(run.folder), "no-such.csv", "--out", str(tables / "out.xlsx")])
    assert "written as .csv, .parquet or .jsonl" in " ".join(capsys.readouterr().err.split())


def test_a_run_without_labels_says_what_it_can_do(tables: Path) -> None:
    roles = {"array": ",".join(FEATURES)}
    bare = unalike.fit(
        str(tables / "old.csv"), system="scarf", roles=roles, steps=2, batch_size=32, out=tables / "bare"
    )
    with pytest.raises(DataError, match=r"no classes to predict; it can unalike embed, unalike search.*--label COLUMN"):
        bare.predict(str(tables / "new.csv"))


def test_ranks_are_for_rankings(run: unalike.Run, tables: Path) -> None:
    with pytest.raises(SettingsError, match="leave k out; given: k=3"):
        run.predict(str(tables / "new.csv"), k=3)


def test_a_run_of_before_says_by_its_kinds_what_it_serves(run: unalike.Run, tables: Path) -> None:
    assert run.serves == ["embeds"]
    record = read_sealed(run.folder / "run.json")
    older = {name: value for name, value in record.items() if name not in ("serves", "classes")}
    try:
        write_sealed(run.folder / "run.json", older)
        again = unalike.load(run.folder)
        assert again.serves == ["embeds"]
        assert again.predict(str(tables / "new.csv"), id="name").labels[:3] == list(KINDS)
    finally:
        write_sealed(run.folder / "run.json", record)


def test_pictures_that_cannot_be_read_are_counted_and_named(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("bright", 200)):
        (tmp_path / "old" / name).mkdir(parents=True)
        for number in range(12):
            pixels = (level + rng.integers(0, 30, (16, 16, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "old" / name / f"{number}.png")
    (tmp_path / "new").mkdir()
    for number, level in enumerate((40, 200, 40)):
        Image.new("RGB", (16, 16), (level, level, level)).save(tmp_path / "new" / f"{number}.png")
    (tmp_path / "new" / "broken.png").write_bytes(b"no picture")
    unalike.fit(str(tmp_path / "old"), system="simclr", size=16, steps=2, batch_size=8, out=tmp_path / "run")
    out = tmp_path / "labels.csv"
    cli.main(["predict", str(tmp_path / "run"), str(tmp_path / "new"), "--out", str(out)])
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 4 rows could not be read and have no prediction: broken.png" in said
    rows = {row["id"]: row for row in csv.DictReader(out.open())}
    assert len(rows) == 4
    assert rows["broken.png"]["label"] == rows["broken.png"]["probability"] == ""
    assert {row["label"] for name, row in rows.items() if name != "broken.png"} <= {"dark", "bright"}


def test_texts_are_predicted_from_memory(tmp_path: Path) -> None:
    texts = [f"a {word} number {number}" for number in range(20) for word in ("boat", "tree")]
    labels = [text.split()[1] for text in texts]
    data = Collection({"text": TextColumn(texts), "label": LabelColumn.from_values(labels)}, name="words")
    run = unalike.fit(data, system="simcse", steps=20, batch_size=20, out=tmp_path / "run")
    new = Collection({"text": TextColumn(["a boat number 99", None, "a tree number 99"])}, name="new")
    found = run.predict(new)
    assert found.labels == ["boat", None, "tree"]
    assert found.unread == [new.ids[1]]
