"""A few labels on a finished run, as a user of the library and of the command line sees it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import unalike as command
from squares import COLOURS, paint

import unalike
from unalike.errors import DataError, RunError, SettingsError


def painted(folder: Path, each: int, seed: int) -> Path:
    """A folder with one sub-folder a colour."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        for number in range(each):
            paint(folder / name / f"{number}.png", colour, 20, rng)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    painted(folder / "photos", 6, 0)
    painted(folder / "shots", 3, 1)
    painted(folder / "more", 4, 2)
    captions = [f"photos/{name}/{n}.png,a {name} square" for name in COLOURS for n in range(6)]
    (folder / "captions.csv").write_text("\n".join(["path,caption", *captions]) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> unalike.Run:
    options = {"steps": 12, "batch_size": 8, "size": 16, "device": "cpu"}
    return unalike.fit(place / "photos", system="simclr", out=place / "run", **options)


@pytest.fixture(scope="module")
def named(place: Path) -> unalike.Run:
    options = {"steps": 12, "batch_size": 8, "size": 16, "device": "cpu"}
    roles = {"image": "path", "text": "caption"}
    return unalike.fit(place / "captions.csv", roles=roles, system="clip", out=place / "named", **options)


def right(found: object) -> float:
    return float(np.mean([one.split("/")[0] == label for one, label in zip(found.ids, found.labels, strict=True)]))


@pytest.mark.parametrize("system", ["gda-clip", "tip-adapter"])
def test_a_folder_of_shots_labels_new_pictures(run: unalike.Run, place: Path, tmp_path: Path, system: str) -> None:
    adapted = run.adapt(place / "shots", system=system, out=tmp_path / "adapter")
    found = adapted.predict(place / "more")
    assert right(found) > 0.8
    assert (found.margins >= 0).all()
    assert {"adapter.json", "adapter.safetensors"} == {path.name for path in (tmp_path / "adapter").iterdir()}
    again = unalike.load(run.folder).adapted(tmp_path / "adapter")
    assert again.names == adapted.names == ("blue", "green", "red")
    assert again.predict(place / "more").labels == found.labels
    np.testing.assert_allclose(again.predict(place / "more").margins, found.margins)
    assert again.table == adapted.table
    assert list(adapted.table[system]) == [1, 2]
    assert "zero-shot" not in adapted.table
    assert adapted.table["floor: chance"][1][0] == pytest.approx(1 / 3)
    assert "floor: raw pixels, nearest mean" in adapted.table


def test_names_of_classes_count_where_the_run_reads_texts(named: unalike.Run, place: Path, tmp_path: Path) -> None:
    adapted = named.adapt(place / "shots", out=tmp_path / "adapter")
    assert adapted.adapter.texts is not None
    assert adapted.adapter.texts.shape[0] == 3
    assert {"gda-clip", "linear probe", "nearest mean", "zero-shot"} <= set(adapted.table)


def test_rows_of_the_run_may_be_labelled_by_their_ids(run: unalike.Run, place: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("id,label\n" + "".join(f"{name}/{n}.png,{name}\n" for name in COLOURS for n in (0, 1)))
    adapted = run.adapt(table, out=tmp_path / "adapter")
    assert right(adapted.predict(place / "more")) > 0.8


def test_paths_in_a_table_are_pictures(run: unalike.Run, place: Path, tmp_path: Path) -> None:
    table = place / "paths.csv"
    table.write_text("file,label\n" + "".join(f"shots/{name}/0.png,{name}\n" for name in COLOURS))
    adapted = run.adapt(table, out=tmp_path / "adapter")
    assert adapted.table == {}
    assert right(adapted.predict(place / "more")) > 0.8


def test_what_cannot_be_used_is_told(run: unalike.Run, named: unalike.Run, place: Path, tmp_path: Path) -> None:
    def shots(text: str) -> Path:
        path = tmp_path / "some.csv"
        path.write_text(text)
        return path

    out = tmp_path / "adapter"
    with pytest.raises(DataError, match=r"1 of the 2 entries .* such as 'red/77.png'.*Ids of the run look like"):
        run.adapt(shots("id,label\nred/0.png,red\nred/77.png,blue\n"), out=out)
    with pytest.raises(DataError, match="no row that can be read of violet"):
        run.adapt(shots("id,label\nred/0.png,red\nblue/0.png,blue\n,violet\n"), out=out)
    for name in ("red", "violet"):
        (tmp_path / "folders" / name).mkdir(parents=True)
    shutil.copytree(place / "shots" / "blue", tmp_path / "folders" / "blue")
    shutil.copytree(place / "shots" / "red", tmp_path / "folders" / "red", dirs_exist_ok=True)
    with pytest.raises(DataError, match="a sub-folder for violet, but nothing to learn from in it"):
        run.adapt(tmp_path / "folders", out=out)
    with pytest.raises(DataError, match="expected two classes or more"):
        run.adapt(shots("id,label\nred/0.png,red\nred/1.png,red\n"), out=out)
    with pytest.raises(DataError, match="no column 'label'; it has id, colour"):
        run.adapt(shots("id,colour\nred/0.png,red\n"), out=out)
    with pytest.raises(DataError, match="no labels"):
        run.adapt(place / "shots" / "red", out=out)
    with pytest.raises(SettingsError, match="simclr is no adapter"):
        run.adapt(place / "shots", system="simclr", out=out)
    with pytest.raises(RunError, match="no adapter in"):
        run.adapted(tmp_path / "nowhere")
    run.adapt(place / "shots", out=out)
    with pytest.raises(RunError, match="vectors of another run"):
        named.adapted(out)
    (out / "adapter.safetensors").write_bytes(b"damage")
    with pytest.raises(RunError, match="damaged"):
        run.adapted(out)


def test_the_command_line_fits_and_labels(run: unalike.Run, place: Path) -> None:
    text = command("adapt", "run", "--shots", "shots", "--system", "tip-adapter", "--beta", "3", cwd=place)
    assert "1 shot" in text
    assert "floor: chance" in text
    assert json.loads((run.folder / "adapter" / "adapter.json").read_text())["settings"]["beta"] == 3
    command("adapt", "run", "--predict", "more", cwd=place)
    with (place / "predicted.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    assert np.mean([row["id"].split("/")[0] == row["label"] for row in rows]) > 0.8
    command("adapt", "run", "--predict", "more", "--to", "found.parquet", cwd=place)
    assert pq.read_table(place / "found.parquet")["label"].to_pylist() == [row["label"] for row in rows]
    assert "needs labelled rows" in command("adapt", "run", cwd=place, code=2)
    assert "no run directory" in command("adapt", "nothing", "--shots", "shots", cwd=place, code=2)
