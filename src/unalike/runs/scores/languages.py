"""How well texts of several languages are found and find, and how far their ranks lie apart."""

from __future__ import annotations

import numpy as np

from unalike import evaluation, training
from unalike.data.roles import kind_of
from unalike.evaluation import Score
from unalike.runs.scores.scene import MOST_QUERIES, Scene
from unalike.runs.spec import Spec
from unalike.training import text_codes


def across_languages(scene: Scene, rows: np.ndarray, spec: Spec) -> list[Score]:
    """Where rows have texts in several roles: how well each is found and finds, and how far their ranks lie apart."""
    collection, learnt = scene.collection, scene.spaces[""]
    pictures = next((role for role in learnt if kind_of(role) == "image" and role not in spec.unseen), None)
    if pictures is None or "text" not in scene.learner.encoders:
        return []
    if isinstance(scene.learner, training.JointLearner):  # its score is none of two
        return []
    rows = rows[scene.present(pictures)[rows]][:MOST_QUERIES]
    texts = [role for role in learnt if kind_of(role) == "text" and scene.present(role)[rows].sum() > 1]
    if len(texts) < 2:
        return []
    codes = text_codes(collection, tuple(texts))
    ranks = {
        name: evaluation.language_ranks(
            space[pictures][rows],
            {role: space[role][rows] for role in texts},
            present={role: scene.present(role)[rows] for role in texts},
            items={role: codes[role][rows] for role in texts},
        )
        for name, space in scene.spaces.items()
        if {pictures, *texts} <= set(space)
    }
    counts = [int(scene.present(role)[rows].sum()) for role in texts]
    scores = []
    for side, way in enumerate((f"{pictures}>{len(texts)} texts", f"{len(texts)} texts>{pictures}")):
        found = {name: each.recall(1)[side] for name, each in ranks.items()}
        mine, order = found[""], np.argsort(found[""], kind="stable")
        worst, best = (f"{texts[i]} ({mine[i]:.2f})" for i in (order[0], order[-1]))
        scores.append(
            Score(
                f"recall@1/{way}",
                float(mine.mean()),
                {"chance": float((1 / ranks[""].sizes[side]).mean())}
                | {name: float(each.mean()) for name, each in found.items() if name},
                n=sum(counts),
                reading=f"The mean over {len(texts)} roles of texts; the least is {worst}, the most {best}.",
            )
        )
        apart = {name: evaluation.rank_variance((each.texts, each.pictures)[side]) for name, each in ranks.items()}
        if len(apart[""]):
            value = float(apart[""].mean())
            scores.append(
                Score(
                    f"rank_variance/{way}",
                    value,
                    {"chance": evaluation.chance_rank_variance(ranks[""].sizes[side])},
                    n=len(apart[""]),
                    higher_is_better=False,
                    reading=f"Over the {len(texts)} texts of a row, the rank of its right answer lies about "
                    f"{np.sqrt(value):.1f} places around their mean (MRV {value:.1f}, of rows that have them all).",
                    interval=evaluation.bootstrap_interval(apart[""]),
                )
            )
    return scores
