"""From series files to a run that can be searched, embedded and scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike.errors import DataError


def write(folder: Path, rows: int = 10) -> Path:
    rng = np.random.default_rng(0)
    for kind, pace in (("slow", 9), ("fast", 3)):
        (folder / kind).mkdir(parents=True)
        for number in range(rows):
            steps = 20 + 3 * (number % 4)
            wave = np.sin((np.arange(steps) + number) * 2 * np.pi / pace) + 0.1 * rng.normal(size=steps)
            lines = ["time,heat", *(f"{t},{value:.4f}" for t, value in enumerate(wave))]
            (folder / kind / f"{number}.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("system", ["ts2vec", "autotcl"])
def test_a_folder_of_series(tmp_path: Path, system: str) -> None:
    run = unalike.fit(write(tmp_path / "series"), system=system, steps=60, holdout=0.3, seed=1, out=tmp_path / "run")
    assert any("differ in length" in note for note in run.record["notes"])
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    scores = {score.name: score for score in run.scores}
    assert scores["knn_accuracy/series"].value > 0.8, "waves of different pace are told apart"
    assert {"raw values", "untrained encoder"} <= set(scores["knn_accuracy/series"].floors)
    again = unalike.load(tmp_path / "run").embed(tmp_path / "series")
    np.testing.assert_allclose(again.vectors, run.vectors["series"], atol=1e-5)
    hit = run.search("slow/3.csv")[0]
    assert hit.label == "slow"
    (tmp_path / "other").mkdir()
    for number in range(2):
        (tmp_path / "other" / f"{number}.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="series of 2 channels were given; this encoder reads 1"):
        run.embed(tmp_path / "other")


def wave(pace: float, steps: int = 24, channels: int = 1) -> np.ndarray:
    return np.stack([np.sin((np.arange(steps) + 0.4) * 2 * np.pi / pace) * (1 - 2 * c) for c in range(channels)])


def written(path: Path, columns: dict[str, np.ndarray]) -> Path:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(f"{value:.6f}" for value in row) for row in rows)]) + "\n")
    return path


def test_a_search_by_the_file_of_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = unalike.fit(write(tmp_path / "series"), system="ts2vec", steps=60, seed=1, out=tmp_path / "run")
    slow = wave(9)
    wanted = run.embed({"series": [slow]}).vectors[0]
    backwards = {"time": np.arange(24.0)[::-1], "heat": slow[0, ::-1]}
    np.save(tmp_path / "new.npy", slow[0])
    lines = ["@classLabel false", "@data", ",".join(f"{value:.6f}" for value in slow[0])]
    (tmp_path / "new.ts").write_text("\n".join(lines))
    for path in (written(tmp_path / "new.csv", backwards), tmp_path / "new.npy", tmp_path / "new.ts"):
        np.testing.assert_allclose(run.query(path)[0], wanted, atol=1e-4)
        assert [hit.label for hit in run.search(str(path), 3)] == ["slow"] * 3
    # Inside the folder a name is that of a row, whose own vector is asked and which is no hit of itself.
    monkeypatch.chdir(tmp_path / "series")
    assert run.read_as("slow/3.csv") == "row"
    assert "slow/3.csv" not in [hit.id for hit in run.search("slow/3.csv")]
    assert run.search("slow/3.csv", by="series")[0].id == "slow/3.csv"

    written(tmp_path / "two.csv", {"a": slow[0], "b": slow[0]})
    (tmp_path / "words.csv").write_text("heat\nwarm\ncold\n")
    (tmp_path / "empty.csv").write_text("heat\n")
    (tmp_path / "many.ts").write_text("\n".join([*lines, lines[-1]]))
    np.save(tmp_path / "cube.npy", np.zeros((2, 3, 4)))
    for name, reason in (
        ("two.csv", "series of 2 channels were given; this encoder reads 1"),
        ("words.csv", "words.csv cannot be read as a series: the column 'heat' is no channel of numbers"),
        ("empty.csv", "0 steps of 1 channels"),
        ("many.ts", "holds 2 series; expected one"),
        ("cube.npy", r"an array of float64, \(2, 3, 4\)"),
        ("none.csv", "there is no file '.*none.csv', and no row of that id"),
        ("series", "Search by a row's id, such as .* or by the file of a series"),
    ):
        with pytest.raises(DataError, match=reason):
            run.search(str(tmp_path / name))


def test_the_file_of_a_series_has_the_columns_of_the_table(tmp_path: Path) -> None:
    lines = ["machine,load,heat,state"]
    for number in range(16):
        pace = (9, 3)[number % 2]
        both = wave(pace, 20 + number, 2)
        lines += [f"m{number},{load:.5f},{heat:.5f},{pace}" for load, heat in both.T]
    (tmp_path / "long.csv").write_text("\n".join(lines))
    run = unalike.fit(
        str(tmp_path / "long.csv"),
        roles={"series": "load,heat"},
        id="machine",
        label="state",
        system="ts2vec",
        steps=40,
        out=tmp_path / "run",
    )
    new = wave(9, 25, 2)
    wanted = run.embed({"series": [new]}).vectors[0]
    path = written(tmp_path / "new.csv", {"heat": new[1], "other": new[0], "load": new[0]})
    np.testing.assert_allclose(run.query(str(path))[0], wanted, atol=1e-4)
    for name, text, reason in (
        ("some.csv", "heat,cold\n1,2\n", "no column load; a series here has load, heat"),
        ("other.csv", "a,b\n1,2\n", "no column load, heat"),
        ("two.csv", "machine,load,heat\na,1,2\nb,1,2\n", "holds 2 series, by its column machine"),
        ("none.csv", "load,heat\n", "has no rows"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=reason):
            run.search(str(tmp_path / name))


def test_a_row_of_a_table_is_asked_for(tmp_path: Path) -> None:
    names = [f"t{t}" for t in range(12)]
    rows = [wave((9, 3)[number % 2], 12 + number)[0, number:] for number in range(16)]
    lines = [",".join([*names, "state"])]
    lines += [",".join([*(f"{v:.5f}" for v in row), f"s{number % 2}"]) for number, row in enumerate(rows)]
    (tmp_path / "wide.csv").write_text("\n".join(lines))
    run = unalike.fit(
        str(tmp_path / "wide.csv"),
        roles={"series": ",".join(names)},
        label="state",
        system="ts2vec",
        steps=40,
        out=tmp_path / "run",
    )
    one = written(tmp_path / "one.csv", dict(zip(names, np.round(rows[5], 5)[:, None], strict=True)))
    tall = written(tmp_path / "tall.csv", {"any": np.round(rows[5], 5)})
    for path in (one, tall):
        assert run.search(str(path))[0].row == 5
    with pytest.raises(DataError, match="holds 16 series; expected one"):
        run.search(str(tmp_path / "wide.csv"))


def test_series_are_the_default_reading_of_such_data() -> None:
    from unalike.data import open_collection
    from unalike.runs.plan import default_system

    assert default_system(open_collection({"series": [np.arange(5.0), np.arange(7.0)]})) == "ts2vec"


def test_a_part_of_a_set_is_named_with_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    from unalike.data import gathering, opening

    asked = {}
    monkeypatch.setattr(opening, "open_set", lambda name, **options: asked.update(name=name, **options))
    gathering.gather("aeon:GunPoint")
    assert asked == {"name": "aeon", "dataset": "GunPoint"}
    assert not gathering.known_set("nothing:GunPoint")
