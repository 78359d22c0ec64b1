"""Runs that learned from pairs of texts: scored and searched as pairs."""

from __future__ import annotations

import numpy as np
import pytest

import unalike
from unalike.data import open_collection
from unalike.errors import DataError

WORDS = ("amber", "brick", "cedar", "delta", "ember", "flint", "grove", "haven", "ivory", "jade", "kelp", "larch")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Sixty rows: forty questions, the first twenty of which have two answers; an answer shares a rare word."""
    rows = []
    for i in range(40):
        topic = f"{WORDS[i % 12]} {WORDS[(i * 7 + 3) % 12]} {i}x"
        rows.append((f"where is {topic}?", f"it lies near {topic}"))
        if i < 20:
            rows.append((f"where is {topic}?", f"somewhere else {i}"))
    data = open_collection({"text": [q for q, _ in rows], "text:positive": [a for _, a in rows]}, name="faq")
    return unalike.fit(
        data, system="simcse-supervised", steps=20, batch_size=16, out=tmp_path_factory.mktemp("r") / "r"
    )


def test_pairs_are_scored_both_ways_beside_their_floors(run):
    scores = {score.name: score for score in run.scores}
    for way in ("text finds text:positive", "text:positive finds text"):
        for measure in ("R@1", "R@10", "MRR", "nDCG@10"):
            score = scores[f"{way}, {measure}"]
            assert {"chance", "BM25", "n-gram counts", "untrained encoder"} <= set(score.floors)
            assert 0 < score.floors["chance"] < score.floors["BM25"] <= 1
            assert score.interval[0] <= score.value <= score.interval[1]


def test_every_question_asks_once_and_any_of_its_answers_is_right(run):
    score = next(score for score in run.scores if score.name == "text finds text:positive, R@1")
    tested = np.flatnonzero(run.items.splits == "test")
    questions = {run.items.texts[row] for row in tested}
    assert score.n == len(questions)
    answers = [len([1 for text in run.items.texts if text == question]) for question in questions]
    assert score.floors["chance"] == pytest.approx(np.mean(answers) / 60)


def test_words_find_answers_and_a_role_can_be_asked_for(run):
    hits = run.search("where is amber?", 5)
    assert {hit.role for hit in hits} == {"text:positive"}
    assert all(hit.text.startswith(("it lies", "somewhere")) for hit in hits)
    again = unalike.Run.load(run.folder).search("where is amber?", 5, role="text")
    assert {hit.role for hit in again} == {"text"}
    assert all(hit.text.startswith("where is") for hit in again)
    assert {hit.role for hit in run.search("3")} == {"text"}, "a row finds rows"
    with pytest.raises(DataError, match="no vectors of 'image' to search; it has text, text:positive"):
        run.search("where", role="image")


def test_other_pairs_are_scored_as_pairs_too(run):
    other = {"text": [f"who is {word}?" for word in WORDS], "text:positive": [f"{word} is a name" for word in WORDS]}
    scores = {score.name: score for score in run.evaluate(open_collection(other, name="more"))}
    assert scores["text finds text:positive, R@1"].n == len(WORDS)
    assert scores["text finds text:positive, R@1"].floors["BM25"] == 1.0
