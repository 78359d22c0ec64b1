"""Which scores belong together: those of labels, of pairs of roles, and of the shape of one role's space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unalike.evaluation.bench import MODEL, Bench, Facts, Reading, Result, Space, make_scores, take
from unalike.evaluation.clustering import agreement, chance_agreement, cluster
from unalike.evaluation.gaps import modality_gap, modality_separability
from unalike.evaluation.geometry import (
    alignment,
    effective_rank,
    even_uniformity,
    hubness,
    tolerance,
    uniformity,
)
from unalike.evaluation.inputs import matrix, sample_rows
from unalike.evaluation.measures import Retrieval, retrieval
from unalike.evaluation.neighbours import correct, knn_predict
from unalike.evaluation.probes import linear_probe
from unalike.evaluation.relevance import Relevance
from unalike.evaluation.score import Score
from unalike.evaluation.zeroshot import zero_shot_correct

# Of more rows than these, a sample is asked, always the same; what is searched stays whole.
_ROWS_TO_PROBE, _QUERIES_TO_RANK, _ROWS_TO_SORT = 20_000, 10_000, 5_000

STRENGTHS = (0.001, 0.01, 0.1)
"""Regularisation that the linear probe may choose: the weaker, the longer its solver runs, for every floor."""


def label_scores(bench: Bench, data: Facts, role: str) -> list[Score]:
    """Probes, zero-shot classification, clustering and the purity of neighbourhoods."""
    if data.labels is None:
        return []
    rows = np.flatnonzero(data.rows(role) & (data.labels >= 0))
    rows = rows[sample_rows(len(rows), _ROWS_TO_PROBE, None)]
    if len(rows) < 2:
        return []
    truth = data.labels[rows]
    scores = []
    if role in bench.model.train and len(data.train_rows(role)):
        scores += _probes(bench, data, role, rows, truth)
    else:
        scores += _left_out(bench, role, rows, truth)
    if bench.model.classes is not None and truth.max() < len(bench.model.classes):
        scores += _named(bench, role, rows, truth)
    classes = len(np.unique(truth))
    if 2 <= classes < len(rows):
        scores += _clusters(bench, role, rows, truth)
    few = rows[sample_rows(len(rows), _ROWS_TO_SORT, None)]
    if len(np.unique(data.labels[few])) < len(few):
        scores += _classes(bench, role, few, data.labels[few])
    return scores


def _probes(bench: Bench, data: Facts, role: str, rows: np.ndarray, truth: np.ndarray) -> list[Score]:
    assert data.train_labels is not None
    learnt = data.train_rows(role)
    codes = data.train_labels[learnt]
    few = sample_rows(len(learnt), _ROWS_TO_PROBE, None)
    several = len(np.unique(codes[few])) >= 2

    def metric(space: Space) -> dict[str, Result]:
        known, asked = take(space.train[role], learnt), take(space.vectors[role], rows)
        found: dict[str, Result] = {"knn_accuracy": correct(knn_predict(known, codes, asked), truth)}
        if several:
            probe = linear_probe(take(known, few), codes[few], asked, truth, strengths=STRENGTHS, folds=2)
            found["linear_probe"] = correct(probe.predictions, truth)
        return found

    chance = {"chance": float((truth == np.bincount(codes).argmax()).mean())}
    readings = {
        "knn_accuracy": Reading(
            "{percent} of the rows get their class from a vote of the 20 training rows most like them.", chance
        ),
        "linear_probe": Reading(
            f"A linear classifier on {len(few):,} training vectors names the class of {{percent}} of the rows.", chance
        ),
    }
    return make_scores(role, bench.measure(metric, role, train=True), readings, len(rows))


def _left_out(bench: Bench, role: str, rows: np.ndarray, truth: np.ndarray) -> list[Score]:
    def metric(space: Space) -> dict[str, Result]:
        return {"knn_accuracy": correct(knn_predict(take(space.vectors[role], rows), truth), truth)}

    chance = {"chance": float((truth == np.bincount(truth).argmax()).mean())}
    text = "{percent} of the rows get their class from a vote of the 20 other rows most like them."
    return make_scores(role, bench.measure(metric, role), {"knn_accuracy": Reading(text, chance)}, len(rows))


def _named(bench: Bench, role: str, rows: np.ndarray, truth: np.ndarray) -> list[Score]:
    def metric(space: Space) -> dict[str, Result]:
        assert space.classes is not None
        return {"zero_shot": zero_shot_correct(take(space.vectors[role], rows), space.classes, truth)}

    assert bench.model.classes is not None
    names = len(bench.model.classes)
    text = f"{{percent}} of the rows are most like the name of their own class, of {names} names."
    results = bench.measure(metric, role, classes=True)
    return make_scores(role, results, {"zero_shot": Reading(text, {"chance": 1 / names})}, len(rows))


def _clusters(bench: Bench, role: str, rows: np.ndarray, truth: np.ndarray) -> list[Score]:
    count = len(np.unique(truth))
    found = {name: cluster(take(space.vectors[role], rows), count) for name, space in bench.having(role)}
    results = {
        name: {"nmi": reached.nmi, "ari": reached.ari, "cluster_accuracy": reached.accuracy}
        for name, reached in ((name, agreement(clusters, truth)) for name, clusters in found.items())
    }
    chance = chance_agreement(found[MODEL], truth)
    readings = {
        "nmi": Reading("Clusters and classes share {percent} of their information.", {"chance": chance.nmi}),
        "ari": Reading("Clusters and classes agree on {percent} of what chance leaves open.", {"chance": chance.ari}),
        "cluster_accuracy": Reading(
            f"{{percent}} of the rows are in the cluster that is matched with their class, of {count}.",
            {"chance": chance.accuracy},
        ),
    }
    return make_scores(role, results, readings, len(rows))


def _classes(bench: Bench, role: str, rows: np.ndarray, truth: np.ndarray) -> list[Score]:
    relevance = Relevance.from_groups(truth, truth)
    measured: list[Retrieval] = []

    def metric(space: Space) -> dict[str, Result]:
        own = take(space.vectors[role], rows)
        measured.append(retrieval(own, own, relevance, measures=["map@r"], exclude_self=True))
        return {**measured[-1].values, "tolerance": tolerance(own, truth)}

    results = bench.measure(metric, role)
    readings = {
        "map@r": Reading(
            "As far as its class should reach, the ranking around a row is {percent} as pure as it could be.",
            {"chance": measured[0].chance["map@r"]},
        ),
        "tolerance": Reading(
            "Two rows of one class have a cosine of {value} on average; at 1 nothing would tell them apart."
        ),
    }
    return make_scores(role, results, readings, len(rows))


def pair_scores(bench: Bench, data: Facts, first: str, second: str) -> list[Score]:
    """Retrieval both ways, and how two roles lie to each other."""
    both = np.flatnonzero(data.rows(first) & data.rows(second))
    if len(both) < 2:
        return []

    def metric(space: Space) -> dict[str, Result]:
        one, other = (take(space.vectors[role], both) for role in (first, second))
        found: dict[str, Result] = {"alignment": alignment(one, other), "modality_gap": modality_gap(one, other)}
        if len(both) >= 4:
            found["modality_separability"] = modality_separability(one, other)
        return found

    readings = {
        "alignment": Reading(
            "The two sides of a pair lie at a mean squared distance of {value}; unrelated directions have 2.",
            {"collapsed": 0.0},
            higher_is_better=False,
        ),
        "modality_gap": Reading(
            f"The centres of {first} and {second} lie {{value}} apart, of 2 at most.",
            {"collapsed": 0.0},
            higher_is_better=False,
        ),
        "modality_separability": Reading(
            f"A linear classifier tells {first} from {second} in {{percent}} of unseen rows; at 50% it cannot.",
            {"chance": 0.5},
            higher_is_better=False,
        ),
    }
    return [
        *_ranking(bench, data, first, second, both),
        *_ranking(bench, data, second, first, both),
        *make_scores(f"{first}~{second}", bench.measure(metric, first, second), readings, len(both)),
    ]


def _ranking(bench: Bench, data: Facts, asked: str, found: str, both: np.ndarray) -> list[Score]:
    """One role asked for by the other, among distinct items: whatever belongs to a query's item is right."""
    queries, owner = np.unique(data.item(asked)[both], return_index=True, return_inverse=True)[1:]
    gallery, member = np.unique(data.item(found)[both], return_index=True, return_inverse=True)[1:]
    relevance = Relevance.from_pairs(owner, member, shape=(len(queries), len(gallery)))
    chosen = sample_rows(len(queries), _QUERIES_TO_RANK, None)
    relevance = replace(relevance, group=relevance.group[chosen])
    asking, answering = both[queries[chosen]], both[gallery]
    measured: list[Retrieval] = []

    def metric(space: Space) -> dict[str, Result]:
        sides = take(space.vectors[asked], asking), take(space.vectors[found], answering)
        measured.append(retrieval(*sides, relevance))
        return {**measured[-1].values}

    results = bench.measure(metric, asked, found)
    chance = measured[0].chance
    readings = {
        f"recall@{k}": Reading(
            f"{{percent}} of the queries have a right answer among the first {k} of {len(gallery):,}.",
            {"chance": chance[f"recall@{k}"]},
        )
        for k in (1, 5, 10)
    }
    readings["mrr"] = Reading(
        "One over the rank of the first right answer is {value} on average.", {"chance": chance["mrr"]}
    )
    return make_scores(f"{asked}>{found}", results, readings, len(chosen))


def geometry_scores(bench: Bench, data: Facts, role: str) -> list[Score]:
    """The shape of one role's space, each distinct item once."""
    rows = np.flatnonzero(data.rows(role))
    rows = rows[np.sort(np.unique(data.item(role)[rows], return_index=True)[1])]
    if len(rows) < 2:
        return []

    def metric(space: Space) -> dict[str, Result]:
        unit = matrix(take(space.vectors[role], rows), role, unit=True)
        return {"effective_rank": effective_rank(unit), "uniformity": uniformity(unit), "hubness": hubness(unit)}

    (width,) = bench.model.widths(role)
    even = f"; spread evenly they would have {even_uniformity(width):.2f}" if width > 1 else ""
    readings = {
        "effective_rank": Reading(
            f"The vectors use about {{value}} of {min(width, len(rows))} possible dimensions.", {"collapsed": 1.0}
        ),
        "uniformity": Reading(
            f"0 is all vectors in one point; these have {{value}}{even}.", {"collapsed": 0.0}, higher_is_better=False
        ),
        "hubness": Reading(
            "How unequally rows are neighbours of others: {value}; at 0 all alike, above 1 a few answer for many.",
            higher_is_better=False,
        ),
    }
    return make_scores(role, bench.measure(metric, role), readings, len(rows))
