"""All scores of a run's vectors: on its own held-out rows, and on other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from unalike import evaluation, training
from unalike.data import Collection
from unalike.data.roles import kind_of
from unalike.evaluation import Score, Space
from unalike.runs.end import End, Part
from unalike.runs.opened import Opened
from unalike.runs.pairs import prepare_as, side_of, sides
from unalike.runs.same import things
from unalike.runs.scores.held_out import held_out, predicted
from unalike.runs.scores.languages import across_languages
from unalike.runs.scores.names import named_classes
from unalike.runs.scores.own_views import own_views
from unalike.runs.scores.pairs import as_pairs
from unalike.runs.scores.roles import across_roles, from_all_others
from unalike.runs.scores.scene import Scene, floors_of, held_out_rows, main_roles, raw_features


def finish(end: End) -> Part:
    """All scores of a run's vectors on its held-out rows, or on its training rows where nothing was held out."""
    learner, spec, device = end.learner, end.spec, end.device
    collection, packed, vectors, untrained = end.ready.collection, end.ready.packed, end.vectors, end.untrained
    main = main_roles(collection, spec)
    raw = {role: raw_features(collection, role, packed[role]) for role in main}
    spaces: dict[str, Mapping[str, np.ndarray]] = {"": vectors, end.start: untrained, **floors_of(raw)}
    scene = Scene(learner, collection, packed, spaces, device)
    scores = [
        *from_all_others(scene, main, held_out_rows(collection)),
        *as_pairs(scene, spec),
        *across_roles(scene, spec),
        *named_classes(scene, main, spec),
        *own_views(scene, main, spec),
        *predicted(scene, main, spec),
        *across_languages(scene, held_out_rows(collection), spec),
        *held_out(scene, main),
    ]
    return Part(scores)


def paired_vectors(run: Opened, collection: Collection) -> dict[str, np.ndarray]:
    """Of other data for a run that learned from pairs, the vectors of both sides; nothing where they lack one."""
    found = sides(run.spec)
    if found is None or not set(found) <= set(collection.columns):
        return {}
    return {role: np.nan_to_num(run.embed_column(collection, role)) for role in found}


def score_new(run: Opened, collection: Collection) -> list[Score]:
    """The scores of a run on other data: with labels against the run's own training rows, else within the data."""
    main, raw, vectors, packed = [], {}, {}, {}
    for kind in run.kinds:
        for role in collection.roles(kind)[:1]:
            main.append(role)
            packed[role] = prepare_as(run.learner.encoders[kind], collection[role], side_of(run.spec, role))
            raw[role] = raw_features(collection, role, packed[role])
            vectors[role] = np.nan_to_num(run.embed_column(collection, role))
    if not main:
        run.readable(collection)
    present = {role: collection[role].present & packed[role].present for role in main}
    floors = floors_of(raw)
    label, train, train_labels = collection.label, {}, None
    own = run.items.labels()
    if label is not None and set(label.names) & {name for name in own if name}:
        rows = np.flatnonzero(run.items.splits == "train")
        train_labels = [own[row] for row in rows]
        for role in main:
            same = [each for each in run.vectors if kind_of(each) == kind_of(role)]
            if same:
                train[role] = run.vectors[role if role in same else same[0]][rows]
    scene = Scene(run.learner, collection, packed, {"": vectors, **floors}, run.device)
    every = dict(vectors)
    for role in collection.roles("text") if {"image", "text"} <= set(run.kinds) else ():
        if role not in every and collection[role].present.any():
            every[role] = np.nan_to_num(run.embed_column(collection, role))
    return [
        *from_all_others(scene, main, np.arange(len(collection))),
        *as_pairs(replace(scene, spaces={"": paired_vectors(run, collection)}), run.spec),
        *across_languages(replace(scene, spaces={"": every}), np.arange(len(collection)), run.spec),
        *(named_classes(scene, main, run.spec) if label is not None else []),
        *(own_views(scene, main, run.spec) if label is None else []),
        *evaluation.evaluate_vectors(
            Space(vectors=vectors, train=train),
            floors=floors,
            labels=None if label is None else [label[row] for row in range(len(collection))],
            train_labels=train_labels if train else None,
            pairs=[] if isinstance(run.learner, training.JointLearner) else None,
            items=things(collection, main),
            present=present,
        ),
    ]
