"""Names and pictures: how names find pictures of whole rows, and pictures the names of their classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unalike import evaluation, training
from unalike.data import LabelColumn, TextColumn
from unalike.data.roles import kind_of
from unalike.evaluation import Relevance, Score
from unalike.runs.scores.scene import Scene, main_roles
from unalike.runs.spec import Spec
from unalike.training import text_codes


def names_find_pictures(
    scene: Scene, spec: Spec, pictures: str, gallery: np.ndarray, rows: np.ndarray, which: str
) -> list[Score]:
    """Texts of some rows ask for their pictures in the whole gallery: in the main language, and in all of them."""
    vectors = scene.spaces[""]
    main = main_roles(scene.collection, spec)
    first = next(role for role in main if kind_of(role) == "text")
    codes = text_codes(scene.collection, spec.roles["text"])
    by_role = {}
    for role in spec.roles["text"]:
        asked = gallery[(rows & scene.present(role))[gallery]]
        if len(asked) < 2:
            continue
        # Pictures whose row bears the same text are right answers too.
        relevance = Relevance.from_groups(codes[role][asked], codes[role][gallery])
        by_role[role] = evaluation.retrieval(
            vectors[role][asked], vectors[pictures][gallery], relevance, measures=["recall@1", "recall@10"]
        )
    scores = []
    for measure in ("recall@1", "recall@10"):
        short = measure.replace("recall", "R")
        if first in by_role:
            found = by_role[first]
            value = found.mean(measure)
            scores.append(
                Score(
                    f"{first} to {pictures} (unseen), {which}, {short}",
                    value,
                    {"chance": found.chance[measure]},
                    n=len(found.queries),
                    reading=f"For {100 * value:.0f}% of the names the right picture is among the first "
                    f"{measure.partition('@')[2]} of {len(gallery):,}.",
                    interval=evaluation.bootstrap_interval(found.values[measure]),
                )
            )
        if len(by_role) > 1:
            means = [found.mean(measure) for found in by_role.values()]
            chance = [found.chance[measure] for found in by_role.values()]
            scores.append(
                Score(
                    f"all {len(by_role)} texts to {pictures} (unseen), {which}, {short}",
                    float(np.mean(means)),
                    {"chance": float(np.mean(chance))},
                    n=sum(len(found.queries) for found in by_role.values()),
                    reading=f"The mean over {len(by_role)} roles of texts; they range from {min(means):.2f} to "
                    f"{max(means):.2f}.",
                )
            )
    return scores


def named_classes(scene: Scene, main: Sequence[str], spec: Spec) -> list[Score]:
    """Zero-shot: pictures of the test rows against the names of their classes, for every label role."""
    if "text" not in scene.learner.encoders or "image" not in scene.learner.encoders:
        return []
    collection = scene.collection
    test = collection.splits.get("test", np.arange(len(collection)))
    scores = []
    for role in collection.roles("label"):
        column = collection[role]
        assert isinstance(column, LabelColumn)
        names = [name.replace("-", " ").replace("_", " ") for name in column.names]
        prepared = scene.learner.encoders["text"].prepare(TextColumn(names))
        classes = named_as(scene, scene.embed("text", prepared))
        for pictures in (each for each in main if kind_of(each) == "image"):
            rows = test[scene.present(pictures)[test] & column.present[test]]
            if len(rows) < 2 or len(names) < 2:
                continue
            right = evaluation.zero_shot_correct(scene.spaces[""][pictures][rows], classes, column.codes[rows])
            common = float(np.bincount(column.codes[rows]).max() / len(rows))
            scores.append(
                Score(
                    f"zero-shot {role.partition(':')[2] or 'class'}: {pictures}, new rows, accuracy",
                    float(np.mean(right)),
                    {"chance": 1 / len(names), "commonest class": common},
                    n=len(rows),
                    reading=f"{100 * np.mean(right):.0f}% of the pictures are most like the name of their own class, "
                    f"of {len(names)} names that were never trained on as such.",
                    interval=evaluation.bootstrap_interval(np.asarray(right, float)),
                )
            )
    return scores


def named_as(scene: Scene, names: np.ndarray) -> np.ndarray:
    """What pictures are compared with, of the vectors ``(K, D)`` of some names."""
    if not isinstance(scene.learner, training.JointLearner):
        return names
    with torch.no_grad():
        given = {"text": torch.from_numpy(names).to(scene.device)}
        return training.joined_vectors(scene.learner, given, "image").cpu().numpy()
