"""What a run that learned from clicks is used for: what comes next, and how often that is right."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from unalike import encoders, evaluation, training
from unalike.data import Collection
from unalike.errors import DataError
from unalike.evaluation import Score
from unalike.runs.opened import Opened
from unalike.runs.search import Found, order


def score(
    learner: training.Learner, collection: Collection, packed: encoders.PackedClicks, device: torch.device
) -> list[Score]:
    """How often the next item of the test rows is found, with floors; nothing if no next item is held out."""
    rows = collection.splits.get("test", np.flatnonzero(packed.targets != -1))
    rows = rows[(packed.targets[rows] != -1) & packed.present[rows]]
    if not len(rows):
        return []
    encoder = learner.encoders["clicks"]
    asked = evaluation.NextItems(
        packed.targets[rows], packed.items, lambda part: packed.flat(rows[part]), packed.returning
    )

    @torch.no_grad()
    def scores(part: np.ndarray) -> np.ndarray:
        vectors = encoder(packed.take(rows[part]).to(device)).vector
        return encoder.scores(vectors).cpu().numpy()  # type: ignore[operator]

    learner.module.to(device).eval()
    return evaluation.next_item_scores(asked, scores, packed.flat(collection.splits.get("train", rows)))


def score_new(run: Opened, collection: Collection) -> list[Score]:
    """How often the last event of each user of other data is found by the ones before it."""
    column = collection["clicks"].before_last(1)  # type: ignore[attr-defined]
    encoder = run.learner.encoders["clicks"]
    assert isinstance(encoder, encoders.SASRec)
    packed = encoder.prepare(column)
    found = score(run.learner, Collection({"clicks": column}, name=collection.name), packed, run.device)
    if not found:
        raise DataError(
            f"{collection.name} has no user with two events of items that {run.folder} knows: the last is asked for, "
            "by those before"
        )
    return found


def search(run: Opened, query: Any, k: int) -> list[Found]:
    """The items that come next: for a user of the run by id, or after some items by their ids or names.

    Args:
        run: learned from clicks.
        query: a user's id; or items, as a list or with commas between them, oldest first.
        k: how many.

    Raises:
        DataError: there is no such user, and no such item.
    """
    encoder = run.learner.encoders["clicks"]
    assert isinstance(encoder, encoders.SASRec)
    history = history_of(run, encoder, query)
    packed = encoders.PackedClicks(
        history,
        np.array([0]),
        np.array([len(history)]),
        np.array([-1]),
        items=len(encoder.vocabulary),
        length=encoder.length,
    )
    run.learner.module.eval()
    with torch.no_grad():
        scores = encoder.scores(encoder(packed.take([0]).to(run.device)).vector)[0].cpu().numpy()
    candidates = np.ones(len(scores), bool)
    if not encoder.returning:
        candidates[history] = False
    best = order(np.where(candidates, scores, -np.inf), min(k, int(candidates.sum())))
    titles = encoder.titles or [None] * len(scores)
    return [
        Found(rank, encoder.vocabulary[item], float(scores[item]), item, "clicks", titles[item], None)
        for rank, item in enumerate(best, start=1)
    ]


def history_of(run: Opened, encoder: encoders.SASRec, query: Any) -> np.ndarray:
    """Int64: the items that a query stands for, oldest first."""
    users = {id: row for row, id in enumerate(run.items.ids) if run.items.histories[row] is not None}
    if isinstance(query, str) and query in users:
        return np.array(run.items.histories[users[query]], np.int64)
    names = query if isinstance(query, Sequence) and not isinstance(query, str) else _split(str(query), encoder)
    numbers = {title.lower(): item for item, title in enumerate(encoder.titles or []) if title}
    numbers |= {item: number for number, item in enumerate(encoder.vocabulary)}
    found = [numbers.get(str(name), numbers.get(str(name).lower())) for name in names]
    lost = [str(name) for name, number in zip(names, found, strict=True) if number is None]
    if lost or not found:
        near = difflib.get_close_matches(lost[0] if lost else "", [*users, *numbers], 3, 0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise DataError(
            f"{run.folder} has no user {str(query)!r}, and no item {', '.join(map(repr, lost)) or 'was given'}. Users "
            f"look like {next(iter(users))!r}, items like {encoder.vocabulary[0]!r}"
            + (f" or {encoder.titles[0]!r}" if encoder.titles and encoder.titles[0] else "")
            + f".{hint}"
        )
    return np.array(found, np.int64)


def _split(words: str, encoder: encoders.SASRec) -> list[str]:
    """Items with commas between them; a name may hold commas itself, and then stands alone."""
    if words in encoder.vocabulary or words.lower() in {title.lower() for title in encoder.titles or [] if title}:
        return [words]
    return [part.strip() for part in words.split(",") if part.strip()]
