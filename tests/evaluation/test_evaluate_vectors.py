"""The whole evaluation: which scores apply, what counts as right, and floors beside everything."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from unalike.errors import DataError
from unalike.evaluation import (
    Score,
    Space,
    evaluate_vectors,
    knn_accuracy,
    linear_probe,
    panels,
    uniformity,
    zero_shot,
)

LABELLED = {"knn_accuracy", "nmi", "ari", "cluster_accuracy", "map@r", "tolerance"}
SHAPE = {"effective_rank", "uniformity", "hubness"}
RANKED = {"recall@1", "recall@5", "recall@10", "mrr"}
PAIRED = {"alignment", "modality_gap", "modality_separability"}


def by_name(scores):
    assert len({score.name for score in scores}) == len(scores)
    return {score.name: score for score in scores}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 4
    centres = 3 * rng.normal(size=(4, 10))
    image = centres[labels] + rng.normal(size=(120, 10))
    return {"labels": labels, "image": image, "text": image + 0.3 * rng.normal(size=(120, 10)), "centres": centres}


def test_geometry_alone_where_nothing_else_is_known(data):
    scores = by_name(evaluate_vectors({"image": data["image"]}))
    assert set(scores) == {f"{metric}/image" for metric in SHAPE}
    assert scores["uniformity/image"].value == pytest.approx(uniformity(data["image"]))
    assert scores["effective_rank/image"].floors == {"collapsed": 1.0}


def test_labels_bring_what_needs_labels(data):
    scores = by_name(evaluate_vectors({"image": data["image"]}, labels=data["labels"]))
    assert set(scores) == {f"{metric}/image" for metric in LABELLED | SHAPE}
    assert scores["knn_accuracy/image"].value == knn_accuracy(data["image"], data["labels"])
    assert scores["knn_accuracy/image"].floors == {"chance": 0.25}
    low, high = scores["knn_accuracy/image"].interval
    assert 0 < low <= scores["knn_accuracy/image"].value <= high


def test_training_rows_bring_the_probes(data):
    half = slice(0, 60), slice(60, 120)
    train, test = (data["image"][rows] for rows in half)
    codes, truth = (data["labels"][rows] for rows in half)
    scores = by_name(
        evaluate_vectors(
            Space(vectors={"image": torch.from_numpy(test)}, train={"image": train}, classes=data["centres"]),
            labels=truth,
            train_labels=codes,
        )
    )
    assert set(scores) == {f"{metric}/image" for metric in LABELLED | SHAPE | {"linear_probe", "zero_shot"}}
    assert scores["knn_accuracy/image"].value == knn_accuracy(train, codes, test, truth)
    probe = linear_probe(train, codes, test, truth, strengths=panels.STRENGTHS, folds=2)
    assert scores["linear_probe/image"].value == probe.value
    assert scores["zero_shot/image"].value == zero_shot(test, data["centres"], truth)
    assert scores["zero_shot/image"].floors == {"chance": 0.25}


def test_two_roles_are_searched_both_ways(data):
    scores = by_name(evaluate_vectors({"image": data["image"], "text": data["text"]}))
    ways = ("image>text", "text>image")
    expected = {f"{metric}/{way}" for metric in RANKED for way in ways}
    expected |= {f"{metric}/image~text" for metric in PAIRED}
    expected |= {f"{metric}/{role}" for metric in SHAPE for role in ("image", "text")}
    assert set(scores) == expected
    image, text = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (data["image"], data["text"]))
    hits = (image @ text.T).argmax(axis=1) == np.arange(120)
    assert scores["recall@1/image>text"].value == pytest.approx(hits.mean())
    assert scores["recall@10/text>image"].floors["chance"] == pytest.approx(10 / 120)


def test_floors_stand_beside_every_score_they_can_serve(data):
    rng = np.random.default_rng(1)
    noise = {"image": rng.normal(size=(120, 10)), "text": rng.normal(size=(120, 10))}
    pixels = {"image": rng.normal(size=(120, 50)), "text": rng.normal(size=(120, 7))}
    scores = by_name(
        evaluate_vectors(
            {"image": data["image"], "text": data["text"]},
            labels=data["labels"],
            floors={"random encoder": noise, "raw": Space(vectors=pixels)},
        )
    )
    assert scores["knn_accuracy/image"].floors == {
        "chance": 0.25,
        "random encoder": knn_accuracy(noise["image"], data["labels"]),
        "raw": knn_accuracy(pixels["image"], data["labels"]),
    }
    # Raw pictures and raw texts have no space in common, so they find nothing of each other.
    assert set(scores["recall@1/image>text"].floors) == {"chance", "random encoder"}
    assert scores["recall@1/image>text"].margin[1] > 0.3
    assert all("raw" in score.floors for name, score in scores.items() if not set("~>") & set(name))


def test_rows_that_share_a_text_are_right_for_each_other():
    pictures = np.eye(6)
    texts = np.repeat(np.eye(6)[[0, 2, 4]], 2, axis=0)
    codes = np.repeat([7, 8, 9], 2)
    scores = by_name(evaluate_vectors({"image": pictures, "text": texts}, items={"text": codes}))
    # Three texts, each with two pictures: asked by a text, either picture is right.
    assert scores["recall@1/text>image"].n == 3
    assert scores["recall@1/text>image"].value == 1
    assert scores["recall@1/text>image"].floors["chance"] == pytest.approx(2 / 6)
    assert scores["recall@1/image>text"].n == 6
    assert scores["recall@1/image>text"].floors["chance"] == pytest.approx(1 / 3)
    assert scores["recall@5/image>text"].value == 1
    assert scores["effective_rank/text"].n == 3
    # Taken for different texts, one of each two would be called wrong.
    apart = by_name(evaluate_vectors({"image": pictures, "text": texts}))
    assert apart["recall@1/text>image"].n == 6
    assert apart["recall@1/text>image"].value == 0.5


def test_missing_rows_do_not_count(data):
    present = {"text": np.arange(120) < 100, "image": np.arange(120) >= 10}
    broken = {"image": data["image"].copy(), "text": data["text"].copy()}
    broken["text"][100:] = np.nan
    broken["image"][:10] = np.nan
    scores = by_name(evaluate_vectors(broken, present=present, labels=data["labels"]))
    clean = by_name(evaluate_vectors({role: rows[10:100] for role, rows in broken.items()}))
    assert scores["mrr/image>text"].n == 90
    assert scores["mrr/image>text"].value == clean["mrr/image>text"].value
    assert scores["alignment/image~text"].value == pytest.approx(clean["alignment/image~text"].value)
    assert scores["effective_rank/image"].n == 110
    assert scores["knn_accuracy/text"].n == 100
    train = evaluate_vectors(
        Space(vectors={"image": data["image"]}, train={"image": broken["image"]}),
        labels=data["labels"],
        train_labels=data["labels"],
        train_present={"image": present["image"]},
    )
    expected = knn_accuracy(data["image"][10:], data["labels"][10:], data["image"], data["labels"])
    assert by_name(train)["knn_accuracy/image"].value == expected


def test_samples_are_taken_of_large_sets(data, monkeypatch):
    monkeypatch.setattr(panels, "_QUERIES_TO_RANK", 30)
    monkeypatch.setattr(panels, "_ROWS_TO_PROBE", 80)
    monkeypatch.setattr(panels, "_ROWS_TO_SORT", 50)
    vectors = {"image": data["image"], "text": data["text"]}
    scores, again = (by_name(evaluate_vectors(vectors, labels=data["labels"])) for _ in range(2))
    assert scores == again
    assert scores["recall@1/image>text"].n == 30
    assert scores["recall@1/image>text"].floors["chance"] == pytest.approx(1 / 120)
    assert scores["knn_accuracy/image"].n == 80 and scores["map@r/image"].n == 50


def test_many_roles_are_compared_with_the_first(data):
    vectors = {f"text:{name}": data["text"] for name in "abcde"}
    scores = by_name(evaluate_vectors(vectors))
    assert "mrr/text:a>text:e" in scores and "mrr/text:e>text:a" in scores
    assert "mrr/text:b>text:c" not in scores
    chosen = by_name(evaluate_vectors(vectors, pairs=[("text:b", "text:c")]))
    assert [name for name in chosen if name.startswith("mrr")] == ["mrr/text:b>text:c", "mrr/text:c>text:b"]


def test_a_collapsed_model_is_defined_and_no_better_than_chance(data):
    point = np.full((120, 10), 0.1)
    scores = by_name(
        evaluate_vectors(
            Space(vectors={"image": point, "text": point}, train={"image": point}, classes=np.ones((4, 10))),
            labels=data["labels"],
            train_labels=data["labels"],
        )
    )
    for name in ("knn_accuracy/image", "linear_probe/image", "zero_shot/image", "map@r/image", "cluster_accuracy/text"):
        assert scores[name].value == pytest.approx(scores[name].floors["chance"], abs=0.01), name
    for way in ("image>text", "text>image"):
        for metric in RANKED:
            score = scores[f"{metric}/{way}"]
            assert score.value == pytest.approx(score.floors["chance"]), score.name
    assert scores["effective_rank/image"].value == pytest.approx(1)
    assert scores["uniformity/image"].value == pytest.approx(0, abs=1e-6)
    assert scores["modality_separability/image~text"].value == 0.5


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_a_few_rows(rows):
    vectors = {"image": np.eye(4)[:rows], "text": np.eye(4)[:rows]}
    scores = by_name(evaluate_vectors(vectors, labels=[0, 0, 1, 1][:rows]))
    assert scores["recall@1/image>text"].value == 1
    assert "knn_accuracy/image" in scores


def test_one_class_leaves_out_what_needs_two(data):
    ones = np.zeros(120, dtype=int)
    space = Space(vectors={"image": data["image"]}, train={"image": data["image"]})
    names = set(by_name(evaluate_vectors(space, labels=ones, train_labels=ones)))
    assert "linear_probe/image" not in names and "nmi/image" not in names
    assert {"knn_accuracy/image", "tolerance/image", "map@r/image"} <= names


def test_every_score_is_read_in_a_sentence_and_survives_json(data):
    space = Space(vectors={"image": data["image"], "text": data["text"]}, train={"image": data["image"]})
    for score in evaluate_vectors(space, labels=data["labels"], train_labels=data["labels"]):
        assert score.reading.endswith(".") and not set("{}") & set(score.reading)
        assert isinstance(score.value, float) and score.n > 0
        assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score
        assert str(score).startswith(score.name)


def test_refuses_what_does_not_fit(data):
    image = {"image": data["image"]}
    for wrong, words in (
        ({"labels": [0, 1]}, "2 for labels; expected 120"),
        ({"items": {"text": np.arange(120)}}, "items name the roles text; expected of image"),
        ({"items": {"image": np.arange(3)}}, "3 for items, image"),
        ({"present": {"image": np.ones(2, dtype=bool)}}, "2 for present, image"),
        ({"floors": {"raw": {"image": np.ones((3, 2))}}}, "3 for vectors of the floor raw, image"),
        ({"pairs": [("image", "sound")]}, "two different roles"),
    ):
        with pytest.raises(DataError, match=words):
            evaluate_vectors(image, **wrong)
    with pytest.raises(DataError, match="no vectors"):
        evaluate_vectors({})
    with pytest.raises(DataError, match="nothing can be scored of 1 row"):
        evaluate_vectors({"image": np.ones((1, 2))}, labels=[0])
    with pytest.raises(DataError, match=r"row 5 of .* holds NaN"):
        evaluate_vectors({"image": np.where(np.arange(120)[:, None] == 5, np.nan, data["image"])})
    with pytest.raises(DataError, match="different lengths"):
        evaluate_vectors({"image": np.ones((4, 2)), "text": np.ones((4, 3))}, pairs=[("image", "text")])
    training = Space(vectors=image, train={"image": data["image"][:50]})
    with pytest.raises(DataError, match="60 for training labels; expected 120, and 50 for training"):
        evaluate_vectors(training, labels=data["labels"], train_labels=data["labels"][:60])


def test_scores_refuse_nan_and_half_records():
    with pytest.raises(DataError, match="value nan"):
        Score("recall@1/image", float("nan"))
    with pytest.raises(DataError, match="raw inf"):
        Score("recall@1/image", 0.5, {"raw": float("inf")})
    with pytest.raises(DataError, match=r"Score\.to_json"):
        Score.from_json({"name": "recall@1/image"})
    with pytest.raises(DataError, match=r"Score\.to_json"):
        Score.from_json({**Score("a", 1.0).to_json(), "colour": "red"})
    assert Score("a", 1.0).margin is None
    gap = Score("modality_gap/a~b", 0.3, {"random": 0.1, "raw": 0.9}, higher_is_better=False)
    assert gap.margin == ("random", pytest.approx(-0.2))
