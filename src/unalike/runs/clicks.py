"""What a run that learned from clicks is used for: what comes next, and how often that is right."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from unalike import encoders, evaluation, training
from unalike.data import Collection
from unalike.errors import DataError
from unalike.evaluation import Score
from unalike.runs.opened import Opened
from unalike.runs.predicted import Ranked, Ranking
from unalike.runs.search import Found, order

USERS = 512
"""Users whose next items are scored at once."""


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
    packed = encoder_of(run).prepare(column)
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
    encoder = encoder_of(run)
    history = history_of(run, encoder, query)
    packed = encoders.PackedClicks(
        history,
        np.array([0]),
        np.array([len(history)]),
        np.array([-1]),
        items=len(encoder.vocabulary),
        length=encoder.length,
    )
    titles = encoder.titles or [None] * len(encoder.vocabulary)
    [best] = next_items(run, encoder, packed, np.array([0]), k)
    return [
        Found(rank, encoder.vocabulary[item], score, item, "clicks", titles[item], None)
        for rank, (item, score) in enumerate(best, start=1)
    ]


def predict(run: Opened, collection: Collection, k: int) -> Ranked:
    """The items that come next for each user of new data.

    Raises:
        DataError: the data have no clicks.
    """
    if "clicks" not in collection:
        run.readable(collection)
    encoder = encoder_of(run)
    packed = encoder.prepare(collection["clicks"])
    rows = np.flatnonzero(packed.present)
    titles = encoder.titles or [None] * len(encoder.vocabulary)
    rankings: list[list[Ranking] | None] = [None] * len(packed)
    for row, best in zip(rows, next_items(run, encoder, packed, rows, k), strict=True):
        rankings[row] = [Ranking(encoder.vocabulary[item], titles[item], score) for item, score in best]
    left_out = "" if encoder.returning else "; those that a user chose before are left out"
    return Ranked(
        ids=list(collection.ids),
        how=f"the next items for each user's history, of {len(encoder.vocabulary):,}{left_out}",
        what="item",
        rankings=rankings,
    )


@torch.no_grad()
def next_items(
    run: Opened, encoder: encoders.SASRec, packed: encoders.PackedClicks, rows: np.ndarray, k: int
) -> Iterator[list[tuple[int, float]]]:
    """For each of some rows the items that come next with their scores, best first."""
    run.learner.module.eval()
    for some in np.split(rows, range(USERS, len(rows), USERS)) if len(rows) else ():
        scores = encoder.scores(encoder(packed.take(some).to(run.device)).vector).cpu().numpy()
        candidates = np.ones(scores.shape, bool)
        if not encoder.returning:
            candidates[packed.flat(some)] = False
        for own, allowed in zip(scores, candidates, strict=True):
            best = order(np.where(allowed, own, -np.inf), min(k, int(allowed.sum())))
            yield [(item, float(own[item])) for item in best]


def encoder_of(run: Opened) -> encoders.SASRec:
    encoder = run.learner.encoders["clicks"]
    assert isinstance(encoder, encoders.SASRec)
    return encoder


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
