"""The main job as a user of the library sees it: fit, load, embed, search, evaluate, report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from squares import COLOURS, paint

import unalike
from unalike.data import open_set
from unalike.errors import DataError, RunError, SettingsError


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 60 pictures in three sub-folders, and a table of captions, of which many repeat."""
    folder = tmp_path_factory.mktemp("shapes")
    generator = np.random.default_rng(0)
    lines = ["path,caption,where"]
    for name, colour in COLOURS.items():
        for number in range(20):
            paint(folder / name / f"{number}.png", colour, 24, generator)
            where = "day" if number % 2 else "night"
            lines.append(f"{name}/{number}.png,a {name} square at {where},{where}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder


OPTIONS = {"steps": 12, "batch_size": 16, "size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def pictures_run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> unalike.Run:
    return unalike.fit(shapes, system="simclr", out=tmp_path_factory.mktemp("runs") / "shapes", **OPTIONS)


@pytest.fixture(scope="module")
def pairs_run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> unalike.Run:
    return unalike.fit(
        shapes / "pairs.csv",
        roles={"image": "path", "text": "caption"},
        label="where",
        system="clip",
        out=tmp_path_factory.mktemp("runs") / "pairs",
        **OPTIONS,
    )


def test_run_directory_holds_what_the_readme_says(pictures_run: unalike.Run) -> None:
    names = {path.name for path in pictures_run.folder.iterdir()}
    assert {"run.json", "metrics.jsonl", "weights.safetensors", "vectors.safetensors", "items.parquet"} <= names
    assert {"scores.json", "report.html", "checkpoints"} <= names
    record = json.loads((pictures_run.folder / "run.json").read_text())
    assert record["state"] == "done"
    assert record["spec"]["system"] == "simclr"
    assert record["spec"]["training"]["learning_rate"] == 1e-3
    assert len(pictures_run.items) == 60
    assert set(pictures_run.items.splits) == {"train", "test"}


def test_loaded_run_gives_the_same_vectors(pictures_run: unalike.Run, shapes: Path) -> None:
    loaded = unalike.load(pictures_run.folder)
    found = loaded.embed(shapes)
    assert found.ids == pictures_run.items.ids
    assert np.abs(found.vectors - pictures_run.vectors["image"]).max() < 1e-5
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)


def test_vectors_of_lists_equal_those_of_the_folder(pictures_run: unalike.Run, shapes: Path) -> None:
    paths = [shapes / name for name in pictures_run.items.ids[:5]]
    by_path = pictures_run.embed(paths).vectors
    by_picture = pictures_run.embed([Image.open(path) for path in paths]).vectors
    assert np.allclose(by_path, pictures_run.vectors["image"][:5], atol=1e-5)
    assert np.allclose(by_picture, by_path, atol=1e-6)


def test_embedded_vectors_are_written_as_parquet(pictures_run: unalike.Run, shapes: Path, tmp_path: Path) -> None:
    found = pictures_run.embed(shapes)
    table = pq.read_table(found.save(tmp_path / "more.parquet"))
    assert table.column_names == ["id", "vector"]
    assert np.allclose(np.stack(table["vector"].to_numpy()), found.vectors)


def test_search_by_row_excludes_the_row_and_sorts(pictures_run: unalike.Run) -> None:
    ids = pictures_run.items.ids
    hits = pictures_run.search(ids[3], k=59)
    vectors = pictures_run.vectors["image"]
    scores = vectors @ vectors[3]
    scores[3] = -np.inf
    assert [hit.row for hit in hits] == np.argsort(-scores, kind="stable")[:59].tolist()
    assert ids[3] not in [hit.id for hit in hits]
    assert [hit.rank for hit in hits] == list(range(1, 60))
    assert hits[0].score == pytest.approx(scores.max(), abs=1e-6)


def test_search_by_picture_finds_the_picture_itself(pictures_run: unalike.Run, shapes: Path) -> None:
    name = pictures_run.items.ids[7]
    assert pictures_run.search(str(shapes / name), k=1)[0].id == name
    assert pictures_run.search(Image.open(shapes / name), k=1)[0].id == name


def test_search_by_words_needs_a_text_tower(pictures_run: unalike.Run, pairs_run: unalike.Run) -> None:
    with pytest.raises(DataError, match="taken for words, but this run turns image into vectors"):
        pictures_run.search("a red square")
    hits = pairs_run.search("a red square at day", k=5)
    vector, _ = pairs_run.query("a red square at day")
    expected = np.argsort(-(pairs_run.vectors["image"] @ vector), kind="stable")[:5]
    assert [hit.row for hit in hits] == expected.tolist()
    assert hits[0].text is not None


def test_a_file_that_is_not_there_is_no_words(pictures_run: unalike.Run, pairs_run: unalike.Run) -> None:
    with pytest.raises(DataError, match=r"there is no file 'shapes/absent.PNG', and no row of that id; ids look like"):
        pictures_run.search("shapes/absent.PNG")
    with pytest.raises(DataError, match="--by words searches for these words"):
        pairs_run.search("absent.mp3")
    assert len(pairs_run.search("absent.mp3", k=2, by="words")) == 2
    assert len(pairs_run.search("a red square. At day", k=2)) == 2


def test_scores_carry_floors(pictures_run: unalike.Run, pairs_run: unalike.Run) -> None:
    by_name = {score.name: score for score in pictures_run.scores}
    knn = by_name["knn_accuracy/image"]
    assert set(knn.floors) == {"chance", "raw pixels", "untrained encoder"}
    assert knn.n == int((pictures_run.items.splits == "test").sum())
    names = [score.name for score in pairs_run.scores]
    assert any(name.startswith("recall@1/text>image") for name in names)
    assert any(name.startswith("zero-shot") for name in names)


def test_repeated_captions_are_counted_in_the_notes(pairs_run: unalike.Run) -> None:
    assert any("60 rows share their text" in note for note in pairs_run.record["notes"])


def test_new_data_are_scored_against_the_training_rows(pictures_run: unalike.Run, shapes: Path) -> None:
    scores = {score.name: score for score in pictures_run.evaluate(shapes)}
    assert scores["knn_accuracy/image"].n == 60
    assert 0 <= scores["knn_accuracy/image"].value <= 1


def test_texts_alone(tmp_path: Path) -> None:
    glosses = open_set("wordnet")["text"].select(np.arange(0, 3000, 10))
    texts = [str(glosses[row]) for row in range(len(glosses))]
    run = unalike.fit(texts, steps=5, batch_size=32, out=tmp_path / "texts")
    assert run.spec.system == "simcse"
    assert run.search(texts[9], k=1, by="words")[0].text == texts[9]


def test_arrays_alone(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    run = unalike.fit(rows, steps=5, batch_size=16, out=tmp_path / "rows")
    assert run.spec.system == "scarf"
    assert np.allclose(run.embed(rows).vectors, run.vectors["array"], atol=1e-5)


def test_every_setting_problem_comes_at_once(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        unalike.fit(shapes, steps=-1, batch_size=1000, learning_rate=-1.0, out=tmp_path / "x")
    text = str(caught.value)
    assert "steps=-1" in text
    assert "batch_size=1000 is larger than the 54 rows" in text
    assert "learning_rate=-1.0" in text
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sistem": "simclr"}, "unknown settings: sistem"),
        ({"system": "simclear"}, "Did you mean 'simclr'"),
        ({"settings": {"temprature": 0.1}, "system": "simclr"}, "temprature is unknown; known are temperature"),
        ({"settings": {"temperature": "warm"}, "system": "simclr"}, "temperature='warm' is not of the type float"),
        ({"encoder": {"text": "ngram"}, "system": "simclr"}, "simclr reads image only"),
        ({"views": "wild"}, "views='wild': choose one of"),
        ({"size": 4}, "size=4"),
        ({"steps": 3, "epochs": 2}, "both given"),
    ],
)
def test_wrong_settings_are_refused(shapes: Path, tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        unalike.fit(shapes, out=tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()


def test_system_that_needs_what_the_data_lack(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Missing: text. Name the columns \(--text COLUMN\)"):
        unalike.fit(shapes, system="clip", out=tmp_path / "x")
    rows = np.zeros((9, 3), np.float32)
    with pytest.raises(DataError, match="supcon learns from the roles image"):
        unalike.fit(rows, system="supcon", out=tmp_path / "x")


def test_fewer_steps_than_stages_leave_no_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="1 steps for 3 stages"):
        unalike.fit("digits", system="mcl", steps=1, batch_size=32, size=16, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_existing_run_is_not_overwritten(pictures_run: unalike.Run, shapes: Path) -> None:
    before = (pictures_run.folder / "run.json").read_bytes()
    with pytest.raises(RunError, match="holds a run already"):
        unalike.fit(shapes, out=pictures_run.folder)
    assert (pictures_run.folder / "run.json").read_bytes() == before


def test_finished_run_is_not_trained_again(pictures_run: unalike.Run) -> None:
    before = (pictures_run.folder / "weights.safetensors").stat().st_mtime_ns
    assert unalike.resume(pictures_run.folder).folder == pictures_run.folder
    assert (pictures_run.folder / "weights.safetensors").stat().st_mtime_ns == before


def test_two_towers_are_compared_by_how_pictures_and_texts_find_each_other(shapes: Path, tmp_path: Path) -> None:
    from unalike.checks import compare, grounds

    lines = (shapes / "pairs.csv").read_text().splitlines()
    gaps = [lines[0], *(f",{line.split(',', 1)[1]}" if n % 4 == 0 else line for n, line in enumerate(lines[1:]))]
    (shapes / "gaps.csv").write_text("\n".join(gaps) + "\n")
    roles = {"image": "path", "text": "caption"}
    row = compare.compare(
        "clip",
        "siglip",
        str(shapes / "gaps.csv"),
        roles=roles,
        size=16,
        seeds=2,
        jobs=0,
        tune=False,
        options={"steps": 2},
    )
    assert [each.name for each in row.results] == ["pictures and texts find each other, R@1"]
    bed = grounds.OwnBed(set=str(shapes / "gaps.csv"), columns=roles, systems=("clip",))
    assert len(grounds.opened(bed)) == 45, "rows without a picture are left out, as unalike fit leaves them out"
    with pytest.raises(DataError, match="Missing: text"):
        compare.compare("clip", "siglip", str(shapes), seeds=2, jobs=0)
