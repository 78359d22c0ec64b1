"""Without labels or second roles: how changed things find what they were made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unalike import encoders, evaluation
from unalike.data import Column, TextColumn
from unalike.encoders.text import Side
from unalike.evaluation import Relevance, Score
from unalike.runs.pairs import prepare_as, query_side
from unalike.runs.same import things
from unalike.runs.scores.scene import MOST_QUERIES, Pictures, Scene
from unalike.runs.spec import Spec


def own_views(scene: Scene, main: Sequence[str], spec: Spec) -> list[Score]:
    """Without labels or second roles: a changed picture or text must find the one it was made from."""
    collection = scene.collection
    if len(main) != 1 or len(collection) < 3 or collection.label is not None:
        return []
    (role,) = main
    rows = collection.splits.get("test", np.arange(len(collection)))
    rows = rows[scene.present(role)[rows]][:MOST_QUERIES]
    if len(rows) < 3:
        return []
    column, prepared = collection[role], scene.packed[role]
    use = encoders.use_of_kind(column.kind)
    both = changed(column, prepared, scene.learner.encoders[column.kind], rows, query_side(spec))
    if both is None:
        return []
    made, asked = both
    raw_asked = described_as(column, prepared, made, asked)
    vectors = scene.embed(column.kind, asked)
    whole = np.flatnonzero(scene.present(role))
    held = things(collection, [role])[role]
    relevance = Relevance.from_groups(held[rows], held[whole])
    found = evaluation.retrieval(vectors, scene.spaces[""][role][whole], relevance, measures=["recall@1"])
    raw = scene.spaces[use.floor][role]
    floor = evaluation.retrieval(raw_asked, raw[whole], relevance, measures=["recall@1"])
    value = found.mean("recall@1")
    return [
        Score(
            f"{use.changed_words}, R@1",
            value,
            {"chance": found.chance["recall@1"], use.floor: floor.mean("recall@1")},
            n=len(rows),
            reading=f"{100 * value:.0f}% find their original first, among {len(whole):,}.",
            interval=evaluation.bootstrap_interval(found.values["recall@1"]),
        )
    ]


def changed(
    column: Column, prepared: encoders.Prepared, encoder: encoders.Encoder, rows: np.ndarray, side: Side | None = None
) -> encoders.Changed | None:
    """Some rows of a column, each changed at random but always alike, that must find what they were made from.

    None where it is not known how things of this kind may be changed. Texts are read as those of a ``side``.
    """
    change = encoders.use_of_kind(column.kind).changed
    if change is None:
        return None
    generator = torch.Generator().manual_seed(0)
    return change(column, prepared, rows, lambda made: prepare_as(encoder, made, side), generator)


def described_as(
    column: Column, prepared: encoders.Prepared, made: Column | None, asked: encoders.Prepared
) -> np.ndarray:
    """Vectors without a model of changed entries, as those of the column that they were made from."""
    if encoders.use_of_kind(column.kind).raw == "pixels":
        return evaluation.pixel_vectors(Pictures(asked), fit_on=Pictures(prepared))
    if isinstance(made, TextColumn) and isinstance(column, TextColumn):
        return evaluation.text_vectors(list(made), fit_on=column)  # type: ignore[arg-type]
    whole = evaluation.described(prepared, np.arange(len(column)))
    return evaluation.standard_vectors(evaluation.described(asked, np.arange(len(asked))), fit_on=whole)
