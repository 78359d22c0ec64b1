"""How things are found across roles: from all others, and in roles that were never trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unalike import evaluation, training
from unalike.data.roles import kind_of
from unalike.evaluation import Relevance, Score
from unalike.runs.same import things
from unalike.runs.scores.names import names_find_pictures
from unalike.runs.scores.scene import MOST_QUERIES, Scene, raw_features
from unalike.runs.spec import Spec


def from_all_others(scene: Scene, main: Sequence[str], rows: np.ndarray) -> list[Score]:
    """Where there are three modalities or more, or their score is joint: each is found from all the others."""
    kinds = {kind_of(role): role for role in reversed(main)}
    if len(kinds) < 2 or (len(kinds) < 3 and not isinstance(scene.learner, training.JointLearner)):
        return []
    scores = []
    for target, role in reversed(kinds.items()):
        others = [kind for kind in reversed(kinds) if kind != target]
        asking = rows[scene.present(role)[rows] & np.any([scene.present(kinds[k])[rows] for k in others], axis=0)]
        asking = asking[:MOST_QUERIES]
        if len(asking) < 2:
            continue
        held = things(scene.collection, list(kinds.values()))
        own = np.arange(len(scene.collection))
        asked_by = [held.get(kinds[kind], own)[asking] for kind in others]
        relevance = right_answers(asked_by, held.get(role, own)[asking])
        found = {}
        for name, space in scene.spaces.items():
            if not set(kinds.values()) <= set(space):
                continue
            # Rows of zeros stand for what is missing.
            given = {kind: torch.from_numpy(np.asarray(space[kinds[kind]][asking], np.float32)) for kind in others}
            with torch.no_grad():
                given = {kind: each.to(scene.device) for kind, each in given.items()}
                asked = training.joined_vectors(scene.learner, given, target).cpu().numpy()
            found[name] = evaluation.retrieval(
                asked, space[role][asking], relevance, measures=["recall@1", "recall@10"]
            )
        for measure in ("recall@1", "recall@10"):
            mine = found[""]
            value, short = mine.mean(measure), measure.replace("recall", "R")
            scores.append(
                Score(
                    f"{' and '.join(others)} find the {target}, {short}",
                    value,
                    {"chance": mine.chance[measure]}
                    | {name: each.mean(measure) for name, each in found.items() if name},
                    n=len(asking),
                    reading=f"For {100 * value:.0f}% of the rows what they have of {' and '.join(others)} puts their "
                    f"own {target} among the first {measure.partition('@')[2]} of {len(asking):,}.",
                    interval=evaluation.bootstrap_interval(mine.values[measure]),
                )
            )
    return scores


def right_answers(asked: Sequence[np.ndarray], answers: np.ndarray) -> Relevance:
    """Which rows are right for which: those with an equal answer, and those that ask by the same in every role.

    Args:
        asked: by asking role, what each row holds, int64 ``(N,)``, -1 for nothing.
        answers: the same of the role that is asked for.
    """
    together = np.stack(asked, axis=1)
    _, alike = np.unique(together, axis=0, return_inverse=True)
    # Where a role is missing the others may ask for anything.
    alike = np.where((together < 0).any(1), -1, alike.reshape(-1))
    # Two columns of one numbering: what is equal in one must not be so in the other.
    table = np.stack([alike, np.where(answers < 0, -1, answers + len(alike))], axis=1)
    return Relevance.from_shared(table, table)


def across_roles(scene: Scene, spec: Spec) -> list[Score]:
    """Where some picture roles were kept out of training: how things are found across them, in the whole gallery."""
    scores: list[Score] = []
    collection = scene.collection
    seen, fresh = np.zeros((2, len(collection)), bool)
    seen[collection.splits.get("train", np.arange(0))] = True
    fresh[collection.splits.get("test", np.arange(0))] = True
    for unseen in spec.unseen:
        kind = collection[unseen].kind
        if kind != "image":
            continue
        values: list[np.ndarray] = []
        floors: dict[str, list[float]] = {"chance": []}
        count = 0
        for role in spec.roles["image"]:
            both = np.flatnonzero(scene.present(unseen) & scene.present(role))
            count = len(both)
            held = things(collection, [unseen, role])
            table = np.stack([held[unseen][both], held[role][both]], axis=1)
            right = Relevance.from_shared(table, table)
            for name, vectors in scene.spaces.items():
                if unseen not in vectors:
                    continue
                gallery = vectors.get(role)
                if gallery is None:
                    gallery = raw_features(collection, role, scene.packed[role])
                found = evaluation.retrieval(vectors[unseen][both], gallery[both], right, measures=["recall@1"])
                if name:
                    floors.setdefault(name, []).append(found.mean("recall@1"))
                else:
                    values.append(found.values["recall@1"])
                    floors["chance"].append(found.chance["recall@1"])
        each = np.mean(values, axis=0)
        scores.append(
            Score(
                f"picture to picture: {unseen} (unseen) to the seen, R@1",
                float(each.mean()),
                {name: float(np.mean(found)) for name, found in floors.items()},
                n=count,
                reading=f"{100 * each.mean():.0f}% of the pictures find the picture of the same row in another style "
                f"first, among {count:,}.",
                interval=evaluation.bootstrap_interval(each),
            )
        )
        if "text" in spec.roles:
            gallery_rows = np.flatnonzero(scene.present(unseen))
            for rows, which in ((seen, "trained rows"), (fresh, "new rows")):
                scores += names_find_pictures(scene, spec, unseen, gallery_rows, rows, which)
    return scores
