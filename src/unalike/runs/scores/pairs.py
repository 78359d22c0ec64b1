"""Pairs scored as pairs: how often one side finds the other among all that the data hold, beside search by words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unalike import evaluation
from unalike.data import TextColumn
from unalike.errors import MissingExtra
from unalike.evaluation import Relevance, Retrieval, Score
from unalike.runs.pairs import sides
from unalike.runs.same import sameness
from unalike.runs.scores.scene import MOST_QUERIES, Scene, floor_of, held_out_rows
from unalike.runs.spec import Spec

MEASURES = {"recall@1": "R@1", "recall@10": "R@10", "mrr": "MRR", "ndcg@10": "nDCG@10"}


def as_pairs(scene: Scene, spec: Spec) -> list[Score]:
    """Where a system learns from pairs of texts: held-out questions against all answers, and back."""
    found = sides(spec)
    if found is None or not set(found) <= set(scene.spaces[""]):
        return []
    return [score for asked, told in (found, found[::-1]) for score in _one_way(scene, spec, asked, told)]


def _one_way(scene: Scene, spec: Spec, asked: str, told: str) -> list[Score]:
    read = [role for role in spec.roles["text"] if role in scene.collection]
    same = sameness(scene.collection, {"text": read}, group=False)
    assert same is not None
    rows = held_out_rows(scene.collection)
    rows = rows[scene.present(asked)[rows]]
    # One text that several rows hold asks once, and answers once.
    rows = rows[np.sort(np.unique(same.codes[asked][rows], return_index=True)[1])][:MOST_QUERIES]
    held = np.flatnonzero(scene.present(told))
    _, first, item = np.unique(same.codes[told][held], return_index=True, return_inverse=True)
    gallery = held[first]
    if len(rows) < 2 or len(gallery) < 2:
        return []
    pairs = Relevance.from_shared(same.table[rows], same.table[held])
    queries, members, _ = pairs.pairs(0, len(rows))
    right = Relevance.from_pairs(queries, item[members], (len(rows), len(gallery)))
    measures = list(MEASURES)
    results = {
        name: evaluation.retrieval(space[asked][rows], space[told][gallery], right, measures=measures)
        for name, space in scene.spaces.items()
        if name != floor_of(asked) and {asked, told} <= set(space)
    }
    results |= _by_words(scene, (asked, rows), (told, gallery), right)
    return [_score(results, measure, f"{asked} finds {told}", len(gallery)) for measure in measures]


def _by_words(
    scene: Scene, asked: tuple[str, np.ndarray], told: tuple[str, np.ndarray], right: Relevance
) -> dict[str, Retrieval]:
    """The same by n-grams, and by BM25 where bm25s is installed."""
    columns = [scene.collection[role] for role, _ in (asked, told)]
    assert all(isinstance(column, TextColumn) for column in columns)
    queries, documents = (
        [str(column[int(row)]) for row in rows] for column, (_, rows) in zip(columns, (asked, told), strict=True)
    )
    ours, theirs = (evaluation.text_vectors(texts, fit_on=documents) for texts in (queries, documents))
    found = {floor_of("text"): evaluation.retrieval(ours, theirs, right, measures=list(MEASURES))}
    try:
        return found | {"BM25": evaluation.bm25_retrieval(queries, documents, right, measures=list(MEASURES))}
    except MissingExtra:
        return found


def _score(results: Mapping[str, Retrieval], measure: str, what: str, count: int) -> Score:
    mine, short = results[""], MEASURES[measure]
    value = mine.mean(measure)
    floors = {"chance": mine.chance[measure]} | {name: each.mean(measure) for name, each in results.items() if name}
    readings: Mapping[str, str] = {
        "recall@1": f"{100 * value:.0f}% find a right one first, of {count:,}.",
        "recall@10": f"{100 * value:.0f}% find a right one among the first 10 of {count:,}.",
        "mrr": f"One over the rank of the first right one is {value:.2f} on average.",
        "ndcg@10": f"What is right stands high among the first 10 of {count:,} to {value:.2f}; 1 is all of it on top.",
    }
    return Score(
        f"{what}, {short}",
        value,
        floors,
        n=len(mine.queries),
        reading=readings[measure],
        interval=evaluation.bootstrap_interval(mine.values[measure]),
    )
