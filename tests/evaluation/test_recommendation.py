"""Ranks of next items against plain loops, their metrics against trec_eval, and the rules that learn nothing."""

from __future__ import annotations

import numpy as np
import pytest

from unalike.errors import DataError
from unalike.evaluation import NextItems, item_knn, most_popular, ndcg, next_item_scores, recall_at_k

ITEMS = 23


def world(seed: int = 0, rows: int = 40):
    generator = np.random.default_rng(seed)
    histories = [generator.integers(0, ITEMS, generator.integers(1, 9)) for _ in range(rows)]
    targets = generator.integers(0, ITEMS, rows)
    scores = generator.normal(size=(rows, ITEMS)).round(1)  # with ties

    def history(chosen):
        owner = np.repeat(np.arange(len(chosen)), [len(histories[row]) for row in chosen])
        return owner, np.concatenate([histories[row] for row in chosen])

    return histories, targets, scores, history


def order_of(scores, history, target, returning):
    """The catalogue for one row, best first."""
    seen = set() if returning else set(history) - {target}
    return sorted((item for item in range(ITEMS) if item not in seen), key=lambda item: (-scores[item], item))


@pytest.mark.parametrize("returning", [False, True])
def test_ranks_against_plain_loops(returning: bool) -> None:
    histories, targets, scores, history = world()
    asked = NextItems(targets, ITEMS, history, returning)
    found = asked.ranks(lambda rows: scores[rows])
    expected = [
        order_of(scores[row], histories[row], targets[row], returning).index(targets[row]) + 1
        for row in range(len(targets))
    ]
    assert found.ranks.tolist() == expected


def test_metrics_against_trec_eval() -> None:
    import pytrec_eval

    histories, targets, scores, history = world(1)
    found = NextItems(targets, ITEMS, history).ranks(lambda rows: scores[rows])
    truth, run = {}, {}
    for row, target in enumerate(targets):
        order = order_of(scores[row], histories[row], target, False)
        truth[str(row)] = {str(target): 1}
        # trec_eval orders ties by name: hand it the order as scores.
        run[str(row)] = {str(item): float(len(order) - place) for place, item in enumerate(order)}
    evaluator = pytrec_eval.RelevanceEvaluator(truth, {"success.5,10", "ndcg_cut.5,10"})
    results = evaluator.evaluate(run)
    for k in (5, 10):
        hits = [results[str(row)][f"success_{k}"] for row in range(len(targets))]
        gains = [results[str(row)][f"ndcg_cut_{k}"] for row in range(len(targets))]
        assert recall_at_k(found, k) == pytest.approx(hits)
        assert ndcg(found, k) == pytest.approx(gains)


def test_a_constant_model_scores_as_chance_and_a_new_item_is_a_miss() -> None:
    targets = np.arange(ITEMS)
    asked = NextItems(targets, ITEMS, lambda rows: (np.zeros(0, int), np.zeros(0, int)))
    ranks = asked.ranks(lambda rows: np.zeros((len(rows), ITEMS)))
    assert recall_at_k(ranks, 10).mean() == pytest.approx(10 / ITEMS)
    new = NextItems(np.array([-2]), ITEMS, lambda rows: (np.zeros(0, int), np.zeros(0, int)))
    assert new.ranks(lambda rows: np.zeros((1, ITEMS))).ranks.tolist() == [ITEMS + 1]


def test_wrong_scores_are_refused() -> None:
    asked = NextItems(np.array([1]), 3, lambda rows: (np.zeros(0, int), np.zeros(0, int)))
    with pytest.raises(DataError, match="expected finite numbers, one for each of 3 items"):
        asked.ranks(lambda rows: np.array([[0.0, np.nan, 1.0]]))
    with pytest.raises(DataError, match="expected finite"):
        asked.ranks(lambda rows: np.zeros((1, 4)))
    with pytest.raises(DataError, match="no row asks"):
        NextItems(np.zeros(0, int), 3, asked.history).ranks(lambda rows: np.zeros((0, 3)))


def test_rules_that_learn_nothing_against_plain_counts() -> None:
    histories, _, _, history = world(2)
    rows = np.arange(len(histories))
    learnt = history(rows)
    held = np.zeros((len(histories), ITEMS))
    for row, items in enumerate(histories):
        held[row, items] = 1
    norms = np.maximum(np.linalg.norm(held, axis=0), 1e-12)
    alike = held.T @ held / norms / norms[:, None]
    np.fill_diagonal(alike, 0)
    for item in range(ITEMS):
        alike[item, np.argsort(-alike[item], kind="stable")[4:]] = 0
    found = item_knn(learnt, ITEMS, history, k=4)(rows)
    # Where neighbours are equally near, which of them are kept is open: their sum is not.
    assert found.sum(1) == pytest.approx((held @ alike).sum(1))
    full = item_knn(learnt, ITEMS, history, k=ITEMS)(rows[:7])
    plain = held.T @ held / norms / norms[:, None]
    np.fill_diagonal(plain, 0)
    assert full == pytest.approx(held[:7] @ plain)
    counts = np.bincount(np.concatenate(histories), minlength=ITEMS)
    assert most_popular(learnt, ITEMS)(rows[:2]).tolist() == [counts.tolist()] * 2


@pytest.mark.parametrize("returning", [False, True])
def test_chance_is_what_random_scores_reach(returning: bool) -> None:
    _, targets, _, history = world(3, rows=200)
    asked = NextItems(targets, ITEMS, history, returning)
    generator = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {}
    for _ in range(40):
        found = next_item_scores(
            asked, lambda rows: generator.normal(size=(len(rows), ITEMS)), history(np.arange(200)), k=4
        )
        for score in found:
            drawn.setdefault(score.name, []).append(score.value)
    for score in found:
        assert np.mean(drawn[score.name]) == pytest.approx(score.floors["chance"], abs=0.012)
