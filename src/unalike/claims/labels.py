"""What claims about many labels are measured by: which labels a held-out text finds first, among all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unalike import evaluation
from unalike.records import needs

if TYPE_CHECKING:  # system files name these metrics, and the list of systems imports no torch
    from torch import Tensor

    from unalike.claims.trial import Side, Trial

KEPT = 5


def sets_of(side: Side) -> tuple[tuple[np.ndarray, np.ndarray], int, int]:
    """The labels of a side's rows, how many rows there are, and how many labels. New labels are left out."""
    rows = side.inputs.prepared["labels"]
    packed, numbers = rows.whole, rows.rows  # type: ignore[attr-defined]
    return packed.pairs(numbers), len(numbers), packed.labels


def ranking(trial: Trial) -> evaluation.LabelRanking:
    """The labels that the trained model puts first for the scored rows; worked out once a trial."""
    if "labels" not in trial.scratch:
        import torch

        assert trial.learner is not None
        score = trial.learner.encoders["labels"].scorer()  # type: ignore[operator]
        vectors = trial.scored.vectors("text")
        truth, rows, labels = sets_of(trial.scored)
        trial.scratch["labels"] = evaluation.rank_labels(
            lambda some: score(torch.from_numpy(vectors[some])).numpy(), truth, rows, labels, keep=KEPT
        )
    return trial.scratch["labels"]


def label_scores(trial: Trial, most: int = 2000) -> tuple[Tensor, Tensor]:
    """Scores ``(Q, labels)`` of the first scored rows, without temperature, and which labels are right, bool."""
    import torch

    assert trial.learner is not None
    inputs = trial.scored.inputs
    rows = np.arange(min(most, len(inputs)))
    score = trial.learner.encoders["labels"].scorer()  # type: ignore[operator]
    right = inputs.prepared["labels"].take(rows).to_dense() > 0
    return score(torch.from_numpy(trial.scored.vectors("text")[rows])), right


@needs("learner")
def precision_at_1(trial: Trial) -> float:
    """Share of the scored rows whose first label is right."""
    return float(ranking(trial).precision(1).mean())


@needs("learner")
def precision_at_5(trial: Trial) -> float:
    """Share of the first five labels of the scored rows that are right; of all where there are fewer."""
    found = ranking(trial)
    return float(found.precision(min(KEPT, found.labels)).mean())


@needs("learner")
def psp_at_5(trial: Trial) -> float:
    """The same, rare labels counting for more: by their propensities in the training rows."""
    (_, labels), rows, count = sets_of(trial.reference)
    weights = evaluation.propensities(np.bincount(labels, minlength=count), rows)
    return ranking(trial).psp(min(KEPT, count), weights)


@needs("learner")
def over_neighbours(trial: Trial) -> float:
    """P@1, less that of the labels of the ten training texts that share most of a text's tokens, weighted by TF-IDF."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer

    def tokens(side: Side, width: int) -> sparse.csr_matrix:
        packed = side.inputs.prepared["text"]
        seen = packed.take(np.arange(len(side)))
        rows, places = (part.numpy() for part in seen.mask.nonzero(as_tuple=True))
        values = seen.ids.numpy()[rows, places]
        return sparse.csr_matrix((np.ones(len(values), np.float32), (rows, values)), shape=(len(side), width))

    width = 1 + max(int(side.inputs.prepared["text"].whole.values.max()) for side in (trial.scored, trial.reference))  # type: ignore[attr-defined]
    known = tokens(trial.reference, width)
    weigh = TfidfTransformer(sublinear_tf=True).fit(known)
    learnt, _, _ = sets_of(trial.reference)
    truth, rows, labels = sets_of(trial.scored)
    vote = evaluation.neighbours_labels(
        weigh.transform(tokens(trial.scored, width)), weigh.transform(known), learnt, labels
    )
    return precision_at_1(trial) - float(evaluation.rank_labels(vote, truth, rows, labels, keep=1).precision(1).mean())


FIRST_LABELS: Mapping[str, Callable[[Trial], float]] = {
    "P@1": precision_at_1,
    "P@5": precision_at_5,
    "PSP@5": psp_at_5,
}
"""What systems of many labels are compared by."""
