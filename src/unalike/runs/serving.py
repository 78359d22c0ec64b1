"""What a run does for each capability of its learner: at the end of the training, and when it is used.

The end of `fit` and the verbs of a run loop over these; none of them asks which kinds of things a run has. A new
capability is a record in `unalike.training.serves` and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from unalike.data import Collection
from unalike.errors import DataError
from unalike.evaluation import Score
from unalike.runs import classes, embeds, ranks, samples, search
from unalike.runs.end import End, Part
from unalike.runs.opened import Opened
from unalike.runs.predicted import Predicted
from unalike.runs.query import By
from unalike.runs.scores import score
from unalike.runs.search import Found


@dataclass(frozen=True, kw_only=True)
class Serving:
    """One capability in use; a verb that it does not have is None.

    Args:
        finish: what it adds to a new run.
        score_new: scores on other data.
        search: what one query finds: the run, the query, how many, how to read it, and through which role.
        predict: what is said of new rows: the run, the rows, and how many ranks.
        shown: its part of the report, as arguments of `unalike.report.ReportInputs`.
    """

    finish: Callable[[End], Part]
    score_new: Callable[[Opened, Collection], list[Score]] | None = None
    search: Callable[[Opened, Any, int, By, str | None], list[Found]] | None = None
    predict: Callable[[Opened, Collection, int | None], Predicted] | None = None
    shown: Callable[[Opened], Mapping[str, Any]] | None = None


SERVING: Mapping[str, Serving] = {
    "classifies": Serving(
        finish=classes.finish, score_new=classes.score_new, search=search.search, predict=classes.predict
    ),
    "ranks": Serving(finish=ranks.finish, score_new=ranks.score_new, search=ranks.search, predict=ranks.predict),
    "embeds": Serving(finish=score.finish, score_new=score.score_new, search=search.search, predict=embeds.predict),
    "generates": Serving(finish=samples.finish, shown=samples.shown),
}
"""By name; where a run has several that answer to a verb, the first one here does."""


def finished(end: End) -> Part:
    """What all capabilities of a learner add to its run."""
    parts = [SERVING[each.name].finish(end) for each in end.learner.serves]
    files = {path: content for part in parts for path, content in part.files.items()}
    return Part([each for part in parts for each in part.scores], files)


def score_new(run: Opened, collection: Collection) -> list[Score]:
    """The scores of all capabilities of a run on other data.

    Raises:
        DataError: the data have nothing that they can score, or the run nothing to be scored.
    """
    those = [found for name in run.serves if (found := SERVING[name].score_new) is not None]
    if not those:
        raise DataError(f"{run.folder} has no scores on other data; it can {run.abilities}")
    return [each for found in those for each in found(run, collection)]


def shown(run: Opened) -> dict[str, Any]:
    """What the capabilities of a run add to its report, as arguments of `unalike.report.ReportInputs`."""
    found: dict[str, Any] = {}
    for name in run.serves:
        if (show := SERVING[name].shown) is not None:
            found |= show(run)
    return found


def search_run(run: Opened, query: Any, k: int, by: By, role: str | None) -> list[Found]:
    """What a run finds for a query.

    Raises:
        DataError: the run cannot be searched.
    """
    for name, serving in SERVING.items():
        if name in run.serves and serving.search is not None:
            return serving.search(run, query, k, by, role)
    raise DataError(f"{run.folder} cannot be searched; it can {run.abilities}")


def predict(run: Opened, collection: Collection, k: int | None) -> Predicted:
    """What a run says of new rows, those that were skipped when the data were opened included.

    Raises:
        DataError: the run predicts nothing.
    """
    for name, serving in SERVING.items():
        if name in run.serves and serving.predict is not None:
            return serving.predict(run, collection, k).followed_by([each.id for each in collection.skipped])
    raise DataError(f"{run.folder} predicts nothing; it can {run.abilities}")
