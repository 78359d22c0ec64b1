"""Probes, clusters, retrieval, geometry and predicted numbers on the rows that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unalike import evaluation, training
from unalike.data import LabelColumn
from unalike.evaluation import Score, Space
from unalike.runs.same import things
from unalike.runs.scores.scene import Scene, held_out_rows
from unalike.runs.spec import Spec


def held_out(scene: Scene, main: Sequence[str]) -> list[Score]:
    """Probes, clusters, retrieval between roles, and geometry, on the test rows alone."""
    splits = scene.collection.splits
    test = held_out_rows(scene.collection)
    train = splits["train"] if "test" in splits else None
    label = scene.collection.label

    def space(vectors: Mapping[str, np.ndarray]) -> Space:
        roles = [role for role in main if role in vectors]
        return Space(
            vectors={role: vectors[role][test] for role in roles},
            train={} if train is None or label is None else {role: vectors[role][train] for role in roles},
        )

    return evaluation.evaluate_vectors(
        space(scene.spaces[""]),
        pairs=[] if isinstance(scene.learner, training.JointLearner) else None,
        floors={name: space(vectors) for name, vectors in scene.spaces.items() if name},
        labels=None if label is None else LabelColumn(label.codes[test], label.names),
        train_labels=None if label is None or train is None else LabelColumn(label.codes[train], label.names),
        items={role: codes[test] for role, codes in things(scene.collection, main).items()},
        present={role: scene.present(role)[test] for role in main},
        train_present={} if train is None or label is None else {role: scene.present(role)[train] for role in main},
    )


def predicted(scene: Scene, main: Sequence[str], spec: Spec) -> list[Score]:
    """Where the data name a number to predict: the error of a linear regression on frozen vectors, on the test rows."""
    collection, target = scene.collection, scene.collection.target
    learned = [collection[role] for roles in spec.roles.values() for role in roles]
    if target is None or "test" not in collection.splits or any(column is target for column in learned):
        return []
    scores = []
    for role in main:
        known = scene.present(role) & target.present
        train, test = (rows[known[rows]] for rows in (collection.splits["train"], collection.splits["test"]))
        if len(train) < 2 or len(test) < 2:
            continue
        learnt, truth = target.values[train, 0], target.values[test, 0]
        errors = {
            name: np.abs(
                evaluation.ridge_probe(space[role][train], learnt, space[role][test], truth).predictions - truth
            )
            for name, space in scene.spaces.items()
            if role in space
        }
        value = float(errors[""].mean())
        floors = {name: float(each.mean()) for name, each in errors.items() if name}
        scores.append(
            Score(
                f"the target from {role}, new rows, mean absolute error",
                value,
                {"always the median": float(np.abs(truth - np.median(learnt)).mean()), **floors},
                n=len(test),
                higher_is_better=False,
                reading=f"A linear regression on the frozen vectors misses the target by {value:.3g} on average.",
                interval=evaluation.bootstrap_interval(errors[""]),
            )
        )
    return scores
