"""Learning from clicks and asking what comes next, as a user does it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import unalike
from unalike import cli
from unalike.data import Collection, open_clicks
from unalike.encoders import SASRec
from unalike.errors import DataError, SettingsError

EVENTS = {"user": "who", "item": "what", "time": "when"}
CYCLE = 30


def write(path: Path, rows: list[tuple]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["who", "what", "when"])
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody walks round a circle of items, one way, and from a place of their own."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [
        (f"u{user}", f"i{(user + step) % CYCLE}", 100 * step + user)
        for user in range(60)
        for step in range(5 + user % 4)
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    write(folder / "clicks.csv", [rows[place] for place in order] + [("lonely", "i3", 7), ("", "i4", 8)])
    (folder / "items.csv").write_text(
        "what,title\n" + "".join(f"i{item},Thing {item}\n" for item in range(CYCLE)), encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def run(shop: Path) -> unalike.Run:
    return unalike.fit(
        shop / "clicks.csv",
        roles=EVENTS | {"items": str(shop / "items.csv")},
        system="sasrec",
        steps=120,
        batch_size=60,
        learning_rate=5e-3,
        out=shop / "run",
    )


def test_the_next_item_is_learned_and_stands_beside_its_floors(run: unalike.Run) -> None:
    scores = {score.name: score for score in run.scores}
    found = scores["next item, HR@5"]
    assert found.n == 60
    assert found.value > 0.9
    assert set(found.floors) == {"chance", "most popular", "item neighbours"}
    assert found.value > 2 * found.floors["most popular"]
    assert scores["next item, NDCG@10"].value > 0.8
    assert any("single event" in note for note in run.record["notes"])
    assert any("without user (who): 1 event" in note for note in run.record["notes"])


def test_search_goes_on_where_the_user_stands_and_names_things(run: unalike.Run) -> None:
    """User 7 has eight events, the last of which was held out: the next is the one after that."""
    hits = run.search("u7", 3)
    assert hits[0].id == f"i{(7 + 8) % CYCLE}"
    assert hits[0].text == f"Thing {(7 + 8) % CYCLE}"
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert not {hit.id for hit in run.search("u7", 99)} & {f"i{(7 + step) % CYCLE}" for step in range(8)}


def test_search_goes_on_after_items_by_id_or_name(run: unalike.Run) -> None:
    expected = [hit.id for hit in run.search(["i2", "i3", "i4"], 3)]
    assert expected[0] == "i5"
    assert [hit.id for hit in run.search("i2, i3, i4", 3)] == expected
    assert [hit.id for hit in run.search("Thing 2, thing 3, THING 4", 3)] == expected


@pytest.mark.parametrize("query", ["nobody", "lonely", "i2, i99", "", "u7, training"])
def test_a_query_that_is_unknown_says_what_there_is(run: unalike.Run, query: str) -> None:
    with pytest.raises(DataError, match=r"no item .*Users look like 'u\d+', items like 'i\d+' or 'Thing \d+'"):
        run.search(query)


def test_a_loaded_run_says_the_same_and_its_encoder_knows_the_items(run: unalike.Run) -> None:
    again = unalike.load(run.folder)
    encoder = again.learner.encoders["clicks"]
    assert isinstance(encoder, SASRec)
    assert len(encoder.vocabulary) == CYCLE
    assert [(hit.id, hit.score) for hit in again.search("u7", 4)] == [
        (hit.id, hit.score) for hit in run.search("u7", 4)
    ]


def test_embed_gives_a_vector_a_user_and_counts_new_items(run: unalike.Run, shop: Path) -> None:
    new = write(shop / "new.csv", [("a", "i1", 1), ("a", "i2", 2), ("b", "unheard", 1), ("c", "i1", 1), ("c", "x", 2)])
    with pytest.warns(UserWarning, match="2 of 5 events choose 2 items that were never trained on"):
        found = run.embed(new)
    assert found.ids == ["a", "b", "c"]
    assert np.isnan(found.vectors).all(axis=1).tolist() == [False, True, False]
    assert np.linalg.norm(found.vectors[0]) == pytest.approx(1, abs=1e-5)


def test_evaluate_on_other_users(run: unalike.Run, shop: Path) -> None:
    other = write(shop / "other.csv", [(f"n{n}", f"i{(n + s) % CYCLE}", s) for n in range(20) for s in range(4)])
    scores = {score.name: score for score in run.evaluate(other)}
    assert scores["next item, HR@5"].n == 20
    assert scores["next item, HR@5"].value > 0.9
    single = write(shop / "single.csv", [("a", "i1", 1), ("b", "i2", 2)])
    with pytest.raises(DataError, match="no user with two events"):
        run.evaluate(single)


def test_training_sees_no_held_out_event(shop: Path) -> None:
    """With other last events every weight ends the same."""
    states = []
    for number, last in enumerate(("i0", "i5")):
        rows = [(f"u{u}", f"i{(u + s) % CYCLE}", s) for u in range(CYCLE) for s in range(4)]
        rows += [(f"u{u}", last, 10 + s) for u in range(CYCLE) for s in range(2)]
        path = write(shop / f"leak{number}.csv", rows)
        made = unalike.fit(path, roles=EVENTS, system="mclrec", steps=2, batch_size=12, out=shop / f"leak{number}")
        states.append(made.learner.module.state_dict())
    assert all(bool((states[0][name] == states[1][name]).all()) for name in states[0])


def test_nothing_is_held_out_when_asked(shop: Path) -> None:
    made = unalike.fit(shop / "clicks.csv", roles=EVENTS, system="cl4srec", holdout=0, steps=2, out=shop / "all")
    assert made.scores == []
    assert len(made.search("u7", 2)) == 2


def test_what_lacks_is_told(shop: Path) -> None:
    with pytest.raises(SettingsError, match="--user COLUMN --item COLUMN"):
        unalike.fit(shop / "clicks.csv", roles={"item": "what"}, system="sasrec", out=shop / "x1")
    with pytest.raises(DataError, match="no column 'whom' for the user of an event; it has who, what, when"):
        unalike.fit(shop / "clicks.csv", roles=EVENTS | {"user": "whom"}, system="sasrec", out=shop / "x2")
    with pytest.raises(DataError, match="Missing: clicks"):
        unalike.fit(["milk", "bread", "tea", "cup"], system="sasrec", out=shop / "x3")
    with pytest.raises(SettingsError, match="one row a user, with the user's id; leave out --label what"):
        unalike.fit(shop / "clicks.csv", roles=EVENTS, label="what", system="sasrec", out=shop / "x5")
    with pytest.raises(DataError, match="has no events of users and items"):
        unalike.fit("digits", roles=EVENTS, system="sasrec", out=shop / "x4")


def test_the_commands(shop: Path, run: unalike.Run, capsys: pytest.CaptureFixture) -> None:
    columns = ["--user", "who", "--item", "what", "--time", "when"]
    cli.main(["fit", str(shop / "clicks.csv"), *columns, "--steps", "2", "--out", str(shop / "typed")])
    printed = capsys.readouterr().out
    assert "sasrec on 180 rows of clicks" in printed
    assert "HR@10" in printed
    assert f"unalike search {shop / 'typed'} u" in printed.replace("\n", "")
    cli.main(["search", str(run.folder), "u7", "-k", "1"])
    assert f"Thing {(7 + 8) % CYCLE}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["search", str(run.folder), "u7", "--html", str(shop / "page.html")])
    assert "leave --html out" in capsys.readouterr().err.replace("\n", " ")
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert all(words in report for words in ("--user who", "--item what", "--time when", "--items "))


def test_two_systems_are_compared_by_the_next_item(shop: Path, capsys: pytest.CaptureFixture) -> None:
    words = f"compare cl4srec sasrec --data {shop / 'clicks.csv'} --user who --item what --time when --seeds 2"
    cli.main([*words.split(), *["--steps", "2", "--batch-size", "32", "--no-tuning", "--jobs", "1"]])
    printed = capsys.readouterr().out
    assert "HR@10" in printed
    assert "NDCG@10" in printed
    assert "looks" not in printed


def test_items_that_come_back_stay_candidates(tmp_path: Path) -> None:
    rows = [(f"u{u}", f"i{(u + s) % 3}", s) for u in range(12) for s in range(7)]
    made = unalike.fit(
        write(tmp_path / "again.csv", rows), roles=EVENTS, system="sasrec", steps=60, out=tmp_path / "run"
    )
    encoder = made.learner.encoders["clicks"]
    assert isinstance(encoder, SASRec) and encoder.returning
    assert {hit.id for hit in made.search("u0", 3)} == {"i0", "i1", "i2"}


def test_a_frame_in_memory(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame([(f"u{u}", f"i{s}", s) for u in range(6) for s in range(4)], columns=["who", "what", "when"])
    opened = open_clicks(frame, user="who", item="what", time="when", name="frame")
    assert isinstance(opened, Collection)
    made = unalike.fit(frame, roles=EVENTS, system="sasrec", steps=2, out=tmp_path / "run")
    assert len(made.items.ids) == 18


def test_predict_ranks_the_next_items_of_every_user_of_new_data(run: unalike.Run, tmp_path: Path, capsys) -> None:
    rows = [(f"n{user}", f"i{(user + step) % CYCLE}", step) for user in (3, 8) for step in range(4)]
    data = write(tmp_path / "new.csv", [*rows, ("stranger", "i99", 1)])
    found = run.predict(data, roles=EVENTS, k=3)
    by_user = dict(zip(found.ids, found.rankings, strict=True))
    for user in (3, 8):
        ranking = by_user[f"n{user}"]
        assert ranking is not None
        assert ranking[0].id == f"i{(user + 4) % CYCLE}"
        assert ranking[0].name == f"Thing {(user + 4) % CYCLE}"
        assert len(ranking) == 3
        assert not {each.id for each in ranking} & {f"i{(user + step) % CYCLE}" for step in range(4)}
    assert by_user["stranger"] is None
    assert found.unread == ["stranger"]
    cli.main(["predict", str(run.folder), str(data), "--out", str(tmp_path / "next.csv"), "-k", "2"])
    assert "1 of 3 rows could not be read" in " ".join(capsys.readouterr().out.split())
    lines = list(csv.DictReader((tmp_path / "next.csv").open()))
    assert [(line["id"], line["rank"]) for line in lines if line["id"] == "n3"] == [("n3", "1"), ("n3", "2")]
    assert [line["item"] for line in lines if line["id"] == "stranger"] == [""]
    with pytest.raises(SettingsError, match="at least one item"):
        run.predict(data, k=0)


def test_predict_and_search_agree_on_what_comes_next(run: unalike.Run, tmp_path: Path) -> None:
    data = write(tmp_path / "one.csv", [("someone", item, step) for step, item in enumerate(("i4", "i5", "i6"))])
    [ranking] = run.predict(data, k=4).rankings
    hits = run.search("i4, i5, i6", 4)
    assert ranking is not None
    assert [each.id for each in ranking] == [hit.id for hit in hits]
    np.testing.assert_allclose([each.score for each in ranking], [hit.score for hit in hits], rtol=1e-5)
