"""Learning from sets of labels and asking which labels a text has, as a user does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unalike
from unalike import cli
from unalike.data import open_collection
from unalike.data.gathering import gather
from unalike.encoders import LabelReader
from unalike.errors import DataError

THINGS = {"apple": "fruit", "pear": "fruit", "saw": "tool", "hammer": "tool", "gull": "bird", "owl": "bird"}
COLOURS = ("red", "green", "blue")


def rows(count: int = 180) -> list[dict]:
    things = list(THINGS)
    found = []
    for number in range(count):
        thing, colour = things[number % 6], COLOURS[number // 6 % 3]
        labels = [f"kind: {THINGS[thing]}", f"colour, {colour}", thing]
        found.append({"id": f"r{number}", "description": f"a {colour} {thing}, no. {number}", "tags": labels})
    found[5]["tags"], found[9]["tags"] = None, []
    found[7]["tags"] = [*found[7]["tags"], " ", ""]
    return found


def write(path: Path, table: list[dict]) -> Path:
    columns = {name: [row[name] for row in table] for name in ("id", "description")}
    tags = pa.array([row["tags"] for row in table], pa.list_(pa.string()))
    pq.write_table(pa.table({**columns, "tags": tags}), path)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    write(folder / "items.parquet", rows())
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> unalike.Run:
    return unalike.fit(
        place / "items.parquet",
        roles={"text": "description", "labels": "tags"},
        id="id",
        system="dexml",
        steps=120,
        batch_size=32,
        learning_rate=3e-3,
        out=place / "run",
    )


def test_labels_are_found_among_all_and_stand_beside_their_floors(run: unalike.Run) -> None:
    scores = {score.name: score for score in run.scores}
    assert set(scores) == {f"labels of a text, {name}" for name in ("P@1", "P@5", "R@5", "PSP@5")}
    first, recall = scores["labels of a text, P@1"], scores["labels of a text, R@5"]
    assert first.value > 0.9 and recall.value > 0.9
    assert scores["labels of a text, P@5"].value <= 0.6 + 1e-9  # of five, three are right
    assert "no more than 60.0%" in scores["labels of a text, P@5"].reading
    assert set(first.floors) == {"chance", "commonest labels", "neighbours' labels"}
    assert first.value > first.floors["commonest labels"] + 0.2
    assert 0 < scores["labels of a text, PSP@5"].value <= 1
    assert "2 of 180 rows have no labels and are left out" in run.record["notes"]
    assert "2 labels are empty and left out" in run.record["notes"]


def test_a_search_gives_the_labels_of_a_new_text(run: unalike.Run) -> None:
    hits = run.search("one green owl", 3)
    assert {hit.id for hit in hits} == {"kind: bird", "colour, green", "owl"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    row = run.items.ids.index("r12")
    assert {hit.id for hit in run.search("r12", 3)} == set(run.items.label_sets[row] or ())
    assert len(run.search("a saw", 99)) == 12
    assert all(hit.text and hit.text.startswith("in ") for hit in hits)


def test_a_loaded_run_says_the_same(run: unalike.Run) -> None:
    again = unalike.load(run.folder)
    assert [(hit.id, hit.score) for hit in again.search("a blue gull")] == [
        (hit.id, hit.score) for hit in run.search("a blue gull")
    ]
    assert again.embed(["a pear"]).vectors.shape == (1, 256)


def test_other_data_with_labels_that_are_new(run: unalike.Run, place: Path) -> None:
    table = [row for row in rows() if row["tags"]][:40]
    for number, row in enumerate(table):
        if number % 2:
            row["description"], row["tags"] = f"a walnut, no. {number}", ["walnut", "kind: fruit"]
    table.append({"id": "none", "description": "nothing is known", "tags": None})
    found = {score.name: score for score in run.evaluate(write(place / "new.parquet", table))}
    assert found["labels of a text, P@1"].n == 40
    unseen = found["labels never trained on, R@5"]
    assert unseen.n == 20 and unseen.floors["chance"] == pytest.approx(5 / 13)
    assert "1 labels stand in no training row" in unseen.reading
    with pytest.raises(DataError, match="no labels to compare with; name their column with --labels COLUMN"):
        run.evaluate(place / "new.parquet", roles={"text": "description"})
    assert all(hit.id != "walnut" for hit in run.search("a walnut", 99))
    pq.write_table(pq.read_table(place / "new.parquet").drop_columns(["tags"]), place / "bare.parquet")
    assert run.embed(place / "bare.parquet").vectors.shape == (41, 256)
    with pytest.raises(DataError, match="no labels to compare with"):
        run.evaluate(place / "bare.parquet")


def test_labels_with_weights_of_their_own_do_not_know_new_ones(place: Path) -> None:
    made = unalike.fit(
        place / "items.parquet",
        roles={"text": "description", "labels": "tags"},
        id="id",
        system="one-vs-all",
        steps=40,
        batch_size=32,
        out=place / "weights",
    )
    assert {name.split(".")[0] for name in made.learner.module.state_dict()} == {"encoder", "labels"}
    table = [{"id": str(n), "description": f"a walnut, no. {n}", "tags": ["walnut", "kind: fruit"]} for n in range(6)]
    found = {score.name: score for score in made.evaluate(write(place / "walnuts.parquet", table))}
    assert found["labels never trained on, R@5"].value == 0
    assert "cannot find them" in found["labels never trained on, R@5"].reading
    assert found["labels of a text, R@5"].value <= 0.5


def test_as_it_is_typed_with_texts_in_csv(place: Path, capsys: pytest.CaptureFixture) -> None:
    lines = ["id,description,tags"]
    lines += [f'{row["id"]},"{row["description"]}","{"; ".join(row["tags"] or ())}"' for row in rows(60)]
    (place / "items.csv").write_text("\n".join(lines) + "\n")
    words = f"fit {place / 'items.csv'} --text description --labels tags --id id --steps 4 --out {place / 'typed'}"
    cli.main(words.split())
    printed = capsys.readouterr().out
    assert "dexml on 58 rows" in printed
    assert "the labels of a row are parted at ';'" in printed.replace("\n", " ")
    assert "labels of a text, P@1" in printed and "PSP@5" in printed
    cli.main(["search", str(place / "typed"), "a red saw", "-k", "2"])
    assert "rows" in capsys.readouterr().out
    cli.main(["evaluate", str(place / "typed")])
    assert "neighbours' labels" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["search", str(place / "typed"), "a red saw", "--html", str(place / "page.html")])
    assert "leave --html out" in capsys.readouterr().err.replace("\n", " ")
    report = (place / "typed" / "report.html").read_text(encoding="utf-8")
    assert "--labels tags" in report and "PSP@5" in report and "sets of labels" in report


def test_what_cannot_be_learned_from_says_why(place: Path) -> None:
    empty = [{**row, "tags": None} for row in rows(20)]
    write(place / "empty.parquet", empty)
    roles = {"text": "description", "labels": "tags"}
    with pytest.raises(DataError, match=r"Missing: labels.*--labels COLUMN"):
        unalike.fit(place / "empty.parquet", roles=roles, system="dexml", out=place / "no")
    one = [{**row, "tags": ["same"]} for row in rows(20)]
    with pytest.raises(DataError, match="1 different label; at least two are needed"):
        unalike.fit(write(place / "one.parquet", one), roles=roles, system="dexml", out=place / "no2")
    with pytest.raises(DataError, match="has labels and nothing that they label"):
        unalike.fit(place / "items.parquet", roles={"labels": "tags"}, system="dexml", out=place / "no3")
    with pytest.raises(DataError, match=r"Missing: labels"):
        unalike.fit(["a text", "another", "a third", "the last"], system="dexml", out=place / "no4")


def test_a_frame_in_memory_and_a_chosen_system(tmp_path: Path) -> None:
    import pandas as pd

    made = unalike.fit(
        pd.DataFrame(rows(40)), roles={"text": "description", "labels": "tags"}, steps=2, out=tmp_path / "a"
    )
    assert made.spec.system == "dexml"
    assert isinstance(made.learner.encoders["labels"], LabelReader)
    frame = pd.DataFrame(rows(40)).rename(columns={"tags": "words"})
    other = unalike.fit(frame, roles={"text": "description", "labels:own": "words"}, steps=2, out=tmp_path / "b")
    assert other.scores and other.items.label_sets[0]
    opened = open_collection({"text": ["a", "b"], "labels": [["x"], ["y"]]})
    assert np.array_equal(opened["labels"].present, [True, True])


def test_two_systems_are_compared_by_their_labels(place: Path, capsys: pytest.CaptureFixture) -> None:
    words = f"compare dexml one-vs-all --data {place / 'items.parquet'} --text description --labels tags --seeds 2"
    cli.main([*words.split(), *["--steps", "2", "--batch-size", "32", "--no-tuning", "--jobs", "1"]])
    printed = capsys.readouterr().out
    assert "P@1" in printed and "PSP@5" in printed
    assert "looks" not in printed


def test_the_tags_of_a_known_set_are_labels() -> None:
    emoji = gather("emoji", roles={"labels": "tags:en"})
    assert emoji["labels"][0] == sorted(emoji.row(0)["tags:en"].split(", "))
    assert emoji.roles("text") == gather("emoji").roles("text")
    with pytest.raises(DataError, match="'text:en' of emoji holds no sets of labels; its roles of tags: tags:bn, "):
        gather("emoji", roles={"labels": "text:en"})
    with pytest.raises(DataError, match="no role 'tagz'"):
        gather("emoji", roles={"labels": "tagz"})


def test_predict_ranks_the_labels_of_every_new_text(run: unalike.Run, tmp_path: Path) -> None:
    texts = ["a red saw, no. 777", "a blue gull, no. 778"]
    pq.write_table(pa.table({"id": ["one", "two"], "description": texts}), tmp_path / "new.parquet")
    found = run.predict(tmp_path / "new.parquet", id="id", k=3)
    assert found.ids == ["one", "two"]
    ranked = [{each.id for each in ranking or ()} for ranking in found.rankings]
    assert ranked == [{"kind: tool", "colour, red", "saw"}, {"kind: bird", "colour, blue", "gull"}]
    first = found.rankings[0]
    assert first is not None
    assert [each.id for each in first] == [hit.id for hit in run.search(texts[0], 3)]
    table = pq.read_table(found.save(tmp_path / "labels.parquet"))
    assert table.column_names == ["id", "rank", "label", "score"]
    assert table["id"].to_pylist() == ["one"] * 3 + ["two"] * 3
