"""Ranks and retrieval metrics against trec_eval, pytorch-metric-learning, sorting, and simulated chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unalike.errors import DataError, SettingsError
from unalike.evaluation import Ranks, Relevance, rank_relevant, ranking, retrieval
from unalike.search import top_k

TREC = {
    "recall@1": "success_1",
    "recall@5": "success_5",
    "full_recall@5": "recall_5",
    "mrr": "recip_rank",
    "ndcg": "ndcg",
    "ndcg@5": "ndcg_cut_5",
    "map": "map",
    "r_precision": "Rprec",
}


def by_trec_eval(scores, relevant):
    """trec_eval's numbers. It breaks ties by the later name, so rows are named backwards."""
    import pytrec_eval

    def name(row):
        return f"{len(scores[0]) - row:06d}"

    judged = {str(q): {name(row): int(gain) for row, gain in rows.items()} for q, rows in enumerate(relevant) if rows}
    run = {q: {name(row): float(score) for row, score in enumerate(scores[int(q)])} for q in judged}
    found = pytrec_eval.RelevanceEvaluator(
        judged, {"success", "recall", "recip_rank", "ndcg", "ndcg_cut", "map", "Rprec"}
    )
    return found.evaluate(run)


def as_pairs(relevant, corpus):
    pairs = [(q, row, gain) for q, rows in enumerate(relevant) for row, gain in rows.items()]
    queries, rows, gains = (np.array(side) for side in zip(*pairs, strict=True))
    return Relevance.from_pairs(queries, rows, (len(relevant), corpus), gains)


@settings(max_examples=60, deadline=None)
@given(
    queries=st.integers(1, 12),
    corpus=st.integers(1, 60),
    share=st.floats(0, 1),
    whole=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_equals_trec_eval_with_ties_and_gains(queries, corpus, share, whole, seed):
    pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(seed)
    # Whole numbers give many equal scores, exactly.
    draw = (lambda *shape: rng.integers(-2, 3, shape)) if whole else (lambda *shape: rng.normal(size=shape))
    asked, held = draw(queries, 4).astype(np.float32), draw(corpus, 4).astype(np.float32)
    relevant = [
        {int(row): int(rng.integers(1, 4)) for row in np.flatnonzero(rng.random(corpus) < share * rng.random())}
        for _ in range(queries)
    ]
    relevant[0][int(rng.integers(corpus))] = 2
    found = retrieval(asked, held, as_pairs(relevant, corpus), measures=list(TREC), metric="dot")
    scores = np.array([[np.dot(q, x) for x in held] for q in asked]) if whole else asked @ held.T
    expected = by_trec_eval(scores, relevant)
    assert found.queries.tolist() == [q for q, rows in enumerate(relevant) if rows]
    for ours, theirs in TREC.items():
        reference = [expected[str(q)][theirs] for q in found.queries]
        np.testing.assert_allclose(found.values[ours], reference, atol=1e-6, err_msg=ours)


@pytest.mark.parametrize("few", [0, 2, 10_000])
@pytest.mark.parametrize("exclude_self", [False, True])
def test_counting_sorting_and_top_k_agree(few, exclude_self, monkeypatch):
    monkeypatch.setattr(ranking, "_FEW", few)
    monkeypatch.setattr(ranking, "_SCORES_AT_ONCE", 7000)
    monkeypatch.setattr(ranking, "_SORTED_AT_ONCE", 1000)
    rng = np.random.default_rng(0)
    held = rng.integers(-2, 3, (300, 4)).astype(np.float32)
    labels = rng.integers(-1, 60, 300)
    relevance = Relevance.from_groups(labels, labels)
    order = top_k(held, held, 300, exclude_self=exclude_self)[1]
    strips = list(rank_relevant(held, held, relevance, exclude_self=exclude_self))
    assert len(strips) > 3
    seen = []
    for strip in strips:
        assert strip.candidates == 300 - exclude_self
        for place, query in enumerate(strip.queries):
            wanted = set(np.flatnonzero(labels == labels[query])) - ({query} if exclude_self else set())
            expected = [rank for rank, row in enumerate(order[query], 1) if row in wanted]
            assert strip.ranks[strip.offsets[place] : strip.offsets[place + 1]].tolist() == expected
            seen.append(query)
    alone = {q for q in range(300) if (labels == labels[q]).sum() - exclude_self < 1}
    assert seen == [q for q in range(300) if labels[q] >= 0 and q not in alone]


def test_map_at_r_equals_pytorch_metric_learning():
    calculator = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 90)
    vectors = (rng.normal(size=(90, 8)) + 1.5 * np.eye(8)[labels]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = Relevance.from_groups(labels, labels)
    found = retrieval(vectors, vectors, relevance, measures=["map@r", "r_precision", "recall@1"], exclude_self=True)
    reference = calculator.AccuracyCalculator(device=torch.device("cpu")).get_accuracy(
        torch.from_numpy(vectors), torch.from_numpy(labels)
    )
    assert found.mean("map@r") == pytest.approx(reference["mean_average_precision_at_r"], abs=1e-6)
    assert found.mean("r_precision") == pytest.approx(reference["r_precision"], abs=1e-6)
    assert found.mean("recall@1") == pytest.approx(reference["precision_at_1"], abs=1e-6)


MEASURES = ["recall@1", "recall@3", "full_recall@3", "mrr", "ndcg", "ndcg@3", "map", "map@r", "r_precision"]


@pytest.mark.parametrize("relevant", [1, 2, 5, 9, 12])
def test_chance_equals_the_mean_over_all_orders(relevant):
    rng = np.random.default_rng(0)
    corpus, draws = 12, 6000
    # A query for each random order of the corpus: rows on a line, read by a weight that only that query has.
    orders = np.argsort(rng.random((draws, corpus)), axis=1)
    scores = np.argsort(-orders, axis=1).astype(np.float32)
    gains = np.tile(np.arange(1, relevant + 1), draws)
    relevance = Relevance.from_pairs(
        np.repeat(np.arange(draws), relevant), np.tile(np.arange(relevant), draws), (draws, corpus), gains
    )
    found = retrieval(scores, np.eye(corpus, dtype=np.float32), relevance, measures=MEASURES, metric="dot")
    for measure in MEASURES:
        error = found.values[measure].std() / np.sqrt(draws)
        assert found.mean(measure) == pytest.approx(found.chance[measure], abs=4 * error + 1e-9), measure


def test_chance_of_one_relevant_row_by_hand():
    found = retrieval(np.eye(4), np.eye(4), measures=["recall@1", "recall@3", "recall@9", "mrr", "map"])
    assert found.chance["recall@1"] == pytest.approx(1 / 4)
    assert found.chance["recall@3"] == pytest.approx(3 / 4)
    assert found.chance["recall@9"] == 1
    assert found.chance["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert found.chance["map"] == pytest.approx(found.chance["mrr"])


def test_a_collapsed_space_scores_as_chance_does():
    vectors = np.ones((200, 16))
    found = retrieval(vectors, vectors, measures=["recall@1", "recall@10", "mrr"])
    for measure, values in found.values.items():
        assert values.mean() == pytest.approx(found.chance[measure]), measure


def test_groups_and_pairs_say_the_same():
    labels = np.array([3, 1, 3, -1, 1, 3])
    groups = Relevance.from_groups([1, 3, -1, 9], labels)
    pairs = Relevance.from_pairs(np.array([0, 0, 1, 1, 1]), np.array([4, 1, 0, 5, 2]), (4, 6))
    for query in range(4):
        assert groups.of(query).tolist() == pairs.of(query).tolist()
    assert [side.tolist() for side in groups.pairs(0, 4)] == [side.tolist() for side in pairs.pairs(0, 4)]
    rows = [side.tolist() for side in Relevance.from_groups(labels, labels).pairs(1, 4, exclude_self=True)]
    assert rows == [[0, 1, 1], [4, 0, 5], [1, 1, 1]]
    nothing = Relevance.from_groups([1, 2], [-1, -1])
    assert nothing.of(0).tolist() == [] and len(nothing.pairs(0, 2)[0]) == 0


def test_names_match_across_the_sides():
    relevance = Relevance.from_groups(["sun", None, "sea"], ["sea", "sun", None, "sun"])
    assert [relevance.of(query).tolist() for query in range(3)] == [[1, 3], [], [0]]


def test_repeated_pairs_count_once_with_the_larger_gain():
    relevance = Relevance.from_pairs(np.array([0, 0, 0]), np.array([1, 1, 2]), (1, 3), np.array([1.0, 3.0, 0.0]))
    assert relevance.of(0).tolist() == [1] and relevance.gains.tolist() == [3.0]


def test_refuses_what_cannot_be_ranked():
    eye = np.eye(3)
    with pytest.raises(DataError, match="no query has a relevant row"):
        retrieval(eye, eye, Relevance.from_groups([1, 1, 1], [2, 2, 2]))
    with pytest.raises(DataError, match="one space"):
        retrieval(eye, np.eye(4))
    with pytest.raises(DataError, match="a relevance of 2 queries"):
        retrieval(eye, eye, Relevance.diagonal(2))
    with pytest.raises(DataError, match="NaN"):
        retrieval(np.full((3, 3), np.nan), eye)
    with pytest.raises(DataError, match="its own queries"):
        retrieval(eye[:2], eye, Relevance.from_groups([0, 1], [0, 1, 2]), exclude_self=True)
    with pytest.raises(SettingsError, match="'precision@3'"):
        retrieval(eye, eye, measures=["precision@3"])
    with pytest.raises(SettingsError, match="'recall@0'"):
        retrieval(eye, eye, measures=["recall@0"])
    with pytest.raises(SettingsError, match="'euclidean'"):
        retrieval(eye, eye, metric="euclidean")
    with pytest.raises(DataError, match="corpus rows reach from 0 to 3; expected 0 to 2"):
        Relevance.from_pairs(np.array([0, 1]), np.array([0, 3]), (3, 3))
    with pytest.raises(DataError, match="negative"):
        Relevance.from_pairs(np.array([0]), np.array([0]), (1, 1), np.array([-1.0]))
    with pytest.raises(DataError, match="names and labels without"):
        Relevance.from_groups(["a"], [1])


def test_metrics_take_ranks_from_anywhere():
    from unalike.evaluation import average_precision, average_precision_at_r, mrr, ndcg

    ranks = Ranks(np.arange(2), np.array([0, 3, 4]), np.array([1, 3, 8, 2]), np.ones(4), candidates=10)
    assert mrr(ranks).tolist() == [1, 0.5]
    np.testing.assert_allclose(average_precision(ranks), [(1 + 2 / 3 + 3 / 8) / 3, 1 / 2])
    np.testing.assert_allclose(average_precision_at_r(ranks), [(1 + 2 / 3) / 3, 0])
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    np.testing.assert_allclose(ndcg(ranks), [(1 + 1 / 2 + 1 / np.log2(9)) / ideal, 1 / np.log2(3)])
