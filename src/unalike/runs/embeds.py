"""What a run of vectors says of new rows: the class that its labelled training rows vote for."""

from __future__ import annotations

import numpy as np

from unalike.data import Collection, LabelColumn
from unalike.data.roles import kind_of
from unalike.errors import DataError, SettingsError
from unalike.evaluation import knn_shares
from unalike.runs.opened import Opened
from unalike.runs.predicted import Classes

VOTERS = 20
"""As many as the kNN accuracy of the scores asks."""


def predict(run: Opened, collection: Collection, k: int | None) -> Classes:
    """Classes of new rows by the vote of the nearest labelled training rows, its shares as probabilities.

    Raises:
        DataError: the run has no labels, or the data nothing of a kind whose vectors it keeps.
        SettingsError: a number of ranks is given.
    """
    no_ranks(k)
    column = LabelColumn.from_values(run.items.labels())
    if not column.present.any():
        raise DataError(
            f"{run.folder} was trained on rows without labels, so it has no classes to predict; it can "
            f"{run.abilities}. Fit with labels (one subfolder per class, or --label COLUMN), or give a few labelled "
            f"rows: unalike adapt {run.folder} --shots LABELS --predict DATA"
        )
    role = run.readable(collection)[0]
    own = [each for each in run.vectors if kind_of(each) == kind_of(role)]
    if not own:
        raise DataError(
            f"{run.folder} keeps no vectors of its rows' {role}, only of {', '.join(run.vectors)}; predict from these"
        )
    own = [role] if role in own else own[:1]
    voters = (run.items.splits == "train") & column.present & run.present(own[0])
    if not voters.any():
        raise DataError(f"no training row of {run.folder} has both a label and a vector of {own[0]}: none can vote")
    vectors = run.embed_column(collection, role)
    known = np.isfinite(vectors).all(axis=1)
    shares = np.full((len(vectors), len(column.names)), np.nan)
    if known.any():
        codes = column.codes[voters]
        shares[known] = knn_shares(
            run.vectors[own[0]][voters], codes, vectors[known], classes=len(column.names), k=VOTERS
        )
    return Classes(
        ids=list(collection.ids),
        how=f"the {min(VOTERS, int(voters.sum()))} nearest of {int(voters.sum()):,} labelled training rows vote, by "
        f"their {own[0]} vectors; probabilities are shares of the vote",
        names=list(column.names),
        probabilities=shares,
    )


def no_ranks(k: int | None) -> None:
    """Raise a `SettingsError` if a number of ranks is given where every class gets its probability."""
    if k is not None:
        raise SettingsError(f"this run predicts classes, each with its probability: leave k out; given: k={k}")
