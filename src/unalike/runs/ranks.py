"""What a run that ranks is used for: next items of a user, labels of a text, as its kind tells."""

from __future__ import annotations

from typing import Any

from unalike import training
from unalike.data import Collection
from unalike.errors import SettingsError
from unalike.evaluation import Score
from unalike.runs import clicks, labels
from unalike.runs.end import End, Part
from unalike.runs.opened import Opened
from unalike.runs.predicted import USUAL_RANKS, Ranked
from unalike.runs.query import By
from unalike.runs.search import Found


def finish(end: End) -> Part:
    """How often what is right stands among the first, on held-out rows."""
    capability = next(each for each in end.learner.serves if isinstance(each, training.Ranks))
    collection = end.ready.collection
    if capability.kind == "clicks":
        packed = end.ready.packed["clicks"]
        return Part(clicks.score(end.learner, collection, packed, end.device))  # type: ignore[arg-type]
    role = end.spec.roles["text"][0]
    return Part(labels.score(end.learner, collection, end.vectors[role], role, end.device))


def score_new(run: Opened, collection: Collection) -> list[Score]:
    """The same on other data.

    Raises:
        DataError: the data have nothing that the run ranks for.
    """
    run.readable(collection)
    return clicks.score_new(run, collection) if "clicks" in run.kinds else labels.score_new(run, collection)


def search(run: Opened, query: Any, k: int, by: By, role: str | None) -> list[Found]:
    """What one query finds: the next items of a user, the labels of a text.

    Raises:
        SettingsError: a role is named to look through.
    """
    found = "items" if "clicks" in run.kinds else "labels"
    if role is not None:
        raise SettingsError(f"{run.folder} finds {found} for a query: leave the role {role!r} out")
    return clicks.search(run, query, k) if found == "items" else labels.search(run, query, k, by)


def predict(run: Opened, collection: Collection, k: int | None) -> Ranked:
    """The first items of each row.

    Raises:
        SettingsError: ``k`` is below one.
    """
    count = USUAL_RANKS if k is None else k
    if count < 1:
        raise SettingsError(f"at least one item is ranked for a row; given: k={count}")
    return (clicks if "clicks" in run.kinds else labels).predict(run, collection, count)
