"""What claims about recommenders are measured by: the place of the next item among all items of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unalike import evaluation
from unalike.records import needs

if TYPE_CHECKING:  # system files name these metrics, and the list of systems imports no torch
    from unalike.claims.trial import Side, Trial
    from unalike.encoders.sasrec import PackedClicks


def asked(side: Side) -> tuple[evaluation.NextItems, PackedClicks, np.ndarray]:
    """What the rows of a side are asked: their next item. With the prepared column, and their row numbers in it."""
    rows = side.inputs.prepared["clicks"]
    packed, numbers = rows.whole, rows.rows  # type: ignore[attr-defined]
    question = evaluation.NextItems(
        packed.targets[numbers], packed.items, lambda part: packed.flat(numbers[part]), packed.returning
    )
    return question, packed, numbers


def ranks(trial: Trial) -> evaluation.Ranks:
    """The ranks of the next items of the scored rows, by the trained model; worked out once a trial."""
    import torch

    if "ranks" not in trial.scratch:
        assert trial.learner is not None
        question, packed, numbers = asked(trial.scored)
        encoder = trial.learner.encoders["clicks"]

        @torch.no_grad()
        def scores(part: np.ndarray) -> np.ndarray:
            return encoder.scores(encoder(packed.take(numbers[part])).vector).numpy()  # type: ignore[operator]

        trial.scratch["ranks"] = question.ranks(scores)
    return trial.scratch["ranks"]


def neighbour_ranks(trial: Trial) -> evaluation.Ranks:
    """The ranks of the same items by item-based nearest neighbours of the same training events."""
    question, packed, numbers = asked(trial.scored)
    learnt = packed.flat(trial.reference.inputs.prepared["clicks"].rows)  # type: ignore[attr-defined]
    return question.ranks(evaluation.item_knn(learnt, packed.items, lambda part: packed.flat(numbers[part])))


@needs("learner")
def hr_at_10(trial: Trial) -> float:
    """Share of the rows whose next item is among the first ten of the whole catalogue."""
    return float(evaluation.recall_at_k(ranks(trial), 10).mean())


@needs("learner")
def next_item_ndcg_at_10(trial: Trial) -> float:
    """NDCG of the first ten of the whole catalogue, of the one item that was chosen next."""
    return float(evaluation.ndcg(ranks(trial), 10).mean())


def hr_over_neighbours(trial: Trial) -> float:
    """HR@10, less that of item-based nearest neighbours."""
    return hr_at_10(trial) - float(evaluation.recall_at_k(neighbour_ranks(trial), 10).mean())


NEXT_ITEM: Mapping[str, Callable[[Trial], float]] = {"HR@10": hr_at_10, "NDCG@10": next_item_ndcg_at_10}
"""What recommenders are compared by."""
