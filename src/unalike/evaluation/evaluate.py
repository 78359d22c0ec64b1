"""All scores that apply to the vectors of a set, each beside its floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from unalike.errors import DataError
from unalike.evaluation.bench import Bench, Facts, Space
from unalike.evaluation.inputs import Labels
from unalike.evaluation.panels import geometry_scores, label_scores, pair_scores
from unalike.evaluation.score import Score
from unalike.search.blocks import Vectors

# Roles up to which every pair of them is compared; beyond, the first role with each other one.
_ROLES_TO_PAIR = 4


def evaluate_vectors(
    vectors: Space | Mapping[str, Vectors],
    *,
    floors: Mapping[str, Space | Mapping[str, Vectors]] | None = None,
    labels: Labels | None = None,
    train_labels: Labels | None = None,
    items: Mapping[str, np.ndarray] | None = None,
    present: Mapping[str, np.ndarray] | None = None,
    train_present: Mapping[str, np.ndarray] | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> list[Score]:
    """Every score that applies: probes and clustering where there are labels, retrieval between roles, geometry.

    Names are ``metric/role``: ``linear_probe/image``, ``recall@1/image>text`` (pictures asked, texts found),
    ``modality_gap/image~text``. Chance is worked out for each metric that has one. More than 20,000 rows to probe
    or 10,000 queries are sampled, always the same ones; galleries stay whole.

    Args:
        vectors: by role ``(N, D)``, the rows of all roles belonging together; a `Space` where there are also
            training rows or class names.
        floors: the same of raw features, of a random encoder, and so on, by name. A floor that lacks a role, or
            whose roles have no space in common, is left out of the scores that need it.
        labels: ``(N,)`` a class for each row.
        train_labels: ``(M,)`` a class for each training row.
        items: by role ``(N,)`` integers: rows of the same number hold the same picture or text. They count as one
            item, and whatever belongs to one of them is relevant.
        present: by role ``(N,)`` bool, false where the role is missing; all there unless given.
        train_present: by role ``(M,)`` bool, the same of the training rows.
        pairs: roles to compare. Every pair of up to four roles unless given; of more, the first with each other one.

    Raises:
        DataError: lengths differ, vectors are not finite, a role is unknown, or nothing can be scored.

    Example:
        >>> import numpy as np
        >>> from unalike.evaluation import evaluate_vectors
        >>> rng = np.random.default_rng(0)
        >>> pictures = rng.normal(size=(50, 8))
        >>> texts = pictures + 0.1 * rng.normal(size=(50, 8))
        >>> scores = {score.name: score for score in evaluate_vectors({"image": pictures, "text": texts})}
        >>> print(scores["recall@1/image>text"])
        recall@1/image>text 1.000 [1.000, 1.000] (n=50, chance 0.020)
    """
    bench = Bench(_space(vectors), {name: _space(floor) for name, floor in (floors or {}).items()})
    data = Facts(bench, labels, train_labels, items or {}, present or {}, train_present or {})
    roles = list(bench.model.vectors)
    scores = [
        *(score for role in roles for score in label_scores(bench, data, role)),
        *(score for first, second in _pairs(bench.model, pairs) for score in pair_scores(bench, data, first, second)),
        *(score for role in roles for score in geometry_scores(bench, data, role)),
    ]
    if not scores:
        raise DataError(
            f"nothing can be scored of {data.count} row(s) in the roles {', '.join(roles)}; "
            "expected two rows of some role at least"
        )
    return scores


def _space(vectors: Space | Mapping[str, Vectors]) -> Space:
    return vectors if isinstance(vectors, Space) else Space(vectors=vectors)


def _pairs(model: Space, pairs: Sequence[tuple[str, str]] | None) -> list[tuple[str, str]]:
    roles = list(model.vectors)
    if pairs is None:
        every = list(combinations(roles, 2))
        some = every if len(roles) <= _ROLES_TO_PAIR else [pair for pair in every if pair[0] == roles[0]]
        return [pair for pair in some if len(model.widths(*pair)) == 1]
    wrong = [pair for pair in pairs if pair[0] == pair[1] or not set(pair) <= set(roles)]
    if wrong:
        raise DataError(f"got the pairs {wrong}; expected two different roles of {', '.join(roles)}")
    apart = [pair for pair in pairs if len(model.widths(*pair)) > 1]
    if apart:
        raise DataError(f"the roles of {apart} have vectors of different lengths; expected one and the same space")
    return list(pairs)
