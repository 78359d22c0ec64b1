"""Collections: rows, roles, splits, and what may be skipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.data import ArrayColumn, Collection, Failure, LabelColumn, Skipped, TextColumn, skip_unreadable
from unalike.errors import DataError


def talk(**changes: object) -> Collection:
    columns = {
        "text": TextColumn(["hi", "hello", None, "bye", "hi"]),
        "text:de": TextColumn(["hallo", "hallo", "na", "tschüs", "hallo"]),
        "label": LabelColumn([0, 0, 0, 1, -1], ["greeting", "farewell"]),
    }
    return Collection(columns, name="talk", **changes)


def test_rows_and_roles() -> None:
    collection = talk(ids=list("abcde"))
    assert len(collection) == 5
    assert collection.roles() == ["text", "text:de", "label"]
    assert collection.roles("text") == ["text", "text:de"]
    assert collection["text:de"][0] == "hallo"
    assert "text" in collection
    assert "image" not in collection
    assert collection.row(2) == {"id": "c", "text": None, "text:de": "na", "label": "greeting"}
    assert collection.label is collection["label"]
    assert Collection({"text": TextColumn(["a"])}, name="a").label is None
    assert talk().ids == ["0", "1", "2", "3", "4"]
    assert repr(collection) == "Collection('talk', 5 rows, roles text, text:de, label)"
    with pytest.raises(DataError, match="talk has no role 'image'; it has text, text:de, label"):
        collection["image"]


def test_the_target_is_the_named_or_the_only_single_number() -> None:
    angle, age, pixels = ArrayColumn([[1], [2]]), ArrayColumn([[3], [4]]), ArrayColumn([[5, 6], [7, 8]])
    assert Collection({"array:angle": angle, "array": pixels}, name="a").target is angle
    assert Collection({"array:angle": angle, "array:target": age}, name="a").target is age
    assert Collection({"array:angle": angle, "array:age": age}, name="a").target is None
    assert Collection({"array": angle, "array:target": pixels}, name="a").target is None


def test_columns_must_fit() -> None:
    with pytest.raises(DataError, match="text has 1, text:de has 2"):
        Collection({"text": TextColumn(["a"]), "text:de": TextColumn(["a", "b"])}, name="a")
    with pytest.raises(DataError, match="role 'image' is held by a column of the kind 'text'"):
        Collection({"image": TextColumn(["a"])}, name="a")
    with pytest.raises(DataError, match="at least one column"):
        Collection({}, name="a")
    with pytest.raises(DataError, match=r"groups have the shape \(1,\)"):
        talk(groups=[1])


def test_ids_name_one_row() -> None:
    with pytest.raises(DataError, match="2 rows repeat the id of another row: 'a', 'b'"):
        talk(ids=["a", "b", "a", "b", "c"])
    with pytest.raises(DataError, match="1 ids for 5 rows"):
        talk(ids=["a"])


def test_splits() -> None:
    collection = talk(splits={"train": [3, 0], "test": np.array([4])})
    train = collection.split("train")
    assert train.ids == ["3", "0"]
    assert train.splits == {}
    assert list(train["text"]) == ["bye", "hi"]
    with pytest.raises(DataError, match="talk has no split 'dev'; it has train, test"):
        collection.split("dev")
    for splits, words in [
        ({"train": [5]}, "not a list of row numbers below 5"),
        ({"train": [-1]}, "not a list of row numbers below 5"),
        ({"train": [0, 0]}, "holds a row twice"),
        ({"train": [0], "test": [0]}, "'test' holds a row twice, or a row of another split"),
    ]:
        with pytest.raises(DataError, match=words):
            talk(splits=splits)


def test_groups_never_cross_a_split() -> None:
    groups = [7, 7, 8, 8, 9]
    assert talk(groups=groups, splits={"train": [0, 1, 4], "test": [2]}).splits
    with pytest.raises(DataError, match="1 groups are cut by the splits, such as group 7"):
        talk(groups=groups, splits={"train": [0, 4], "test": [1]})


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), unique=True))
def test_selection_keeps_everything_in_step(rows: list[int]) -> None:
    collection = talk(splits={"train": [0, 1], "test": [2, 4]}, groups=[5, 5, 6, 7, 6], skipped=[Skipped("x", "y")])
    chosen = collection.select(rows)
    assert chosen.ids == [str(row) for row in rows]
    assert [chosen.row(i) for i in range(len(rows))] == [collection.row(row) for row in rows]
    assert chosen.groups is not None
    assert chosen.groups.tolist() == [[5, 5, 6, 7, 6][row] for row in rows]
    assert chosen.skipped == collection.skipped
    for split, before in collection.splits.items():
        assert {chosen.ids[i] for i in chosen.splits[split]} == {str(row) for row in before} & set(chosen.ids)


def test_selection_by_mask_and_twice() -> None:
    assert talk().select(np.array([True, False, False, True, False])).ids == ["0", "3"]
    with pytest.raises(DataError, match="repeat the id"):
        talk().select([0, 0])


def test_replace_and_rename() -> None:
    collection = talk(notes=["a note"])
    renamed = collection.rename({"text": "text:en"})
    assert renamed.roles() == ["text:en", "text:de", "label"]
    assert renamed.notes == ("a note",)
    assert collection.with_columns({"array": ArrayColumn(np.zeros((5, 1)))}).roles("array") == ["array"]
    assert collection.replace(name="b", splits={"train": [0]}).splits["train"].tolist() == [0]
    with pytest.raises(DataError, match="the same role"):
        collection.rename({"text": "text:de"})
    with pytest.raises(DataError, match="no role 'image'"):
        collection.rename({"image": "text:en"})


def test_repeated_entries() -> None:
    groups, rows = talk().repeated("text")
    assert groups.tolist() == [0, 1, -1, 2, 0]
    assert rows == 2
    assert talk().repeated("text:de").rows == 3
    assert Collection({"text": TextColumn([None, None])}, name="a").repeated("text").rows == 0


def test_fingerprint() -> None:
    base = talk()
    assert base.fingerprint() == talk().fingerprint() == base.replace(name="other", notes=["x"]).fingerprint()
    others = [
        talk(ids=list("abcde")),
        base.rename({"text": "text:en"}),
        base.rename({"text:de": "text:fr"}),
        base.select([1, 0, 2, 3, 4]),
        base.replace(splits={"train": [0]}),
        base.replace(splits={"train": [1]}),
        base.replace(groups=[0, 1, 2, 3, 4]),
        base.with_columns({"label": LabelColumn([0, 0, 0, 1, 1], ["greeting", "farewell"])}),
    ]
    assert len({each.fingerprint() for each in [base, *others]}) == len(others) + 1


class TestSkipping:
    def many(self) -> Collection:
        return Collection({"text": TextColumn([str(i) for i in range(300)])}, name="many")

    def test_up_to_one_percent_is_skipped_counted_and_listed(self) -> None:
        left = skip_unreadable(self.many(), {5: Failure("torn"), 2: Failure("wet"), 299: Failure("lost")})
        assert len(left) == 297
        assert left.skipped == (Skipped("2", "wet"), Skipped("5", "torn"), Skipped("299", "lost"))
        assert "5" not in left.ids
        assert left.notes == ("3 of 300 items cannot be read and are skipped, such as 2 (wet)",)

    def test_more_stops(self) -> None:
        with pytest.raises(DataError, match=r"(?s)4 of 300 items of many cannot be read \(1.3%; up to 1.0%.*  0: torn"):
            skip_unreadable(self.many(), dict.fromkeys(range(4), Failure("torn")))
        with pytest.raises(DataError, match="and 5 more"):
            skip_unreadable(self.many(), dict.fromkeys(range(10), Failure("torn")))

    def test_what_was_skipped_before_counts(self) -> None:
        left = skip_unreadable(self.many(), dict.fromkeys(range(2), Failure("torn")))
        assert len(skip_unreadable(left, {0: Failure("torn")})) == 297
        with pytest.raises(DataError, match="4 of 300"):
            skip_unreadable(left, dict.fromkeys(range(2), Failure("torn")))

    def test_tolerance(self) -> None:
        assert len(skip_unreadable(talk(), {0: Failure("torn")}, tolerance=0.2)) == 4
        with pytest.raises(DataError, match="1 of 5"):
            skip_unreadable(talk(), {0: Failure("torn")}, tolerance=0.19)
        with pytest.raises(DataError, match="5 of 5"):
            skip_unreadable(talk(), dict.fromkeys(range(5), Failure("torn")), tolerance=1.0)

    def test_nothing_to_skip(self) -> None:
        collection = talk()
        assert skip_unreadable(collection, {}) is collection
