"""Two systems on one's own data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from unalike import claims, systems
from unalike.checks.depends import claim_code
from unalike.checks.grounds import OwnBed, opened
from unalike.checks.works.learner import LearnerWork
from unalike.claims import Ground, Job, Outcome, Row
from unalike.data.roles import kind_of
from unalike.errors import SettingsError
from unalike.records import Claim, Measure
from unalike.runs.layout import versions
from unalike.runs.plan import chosen_encoder, kinds_of, suggested_size


def compare(
    first: str,
    second: str,
    data: str,
    *,
    roles: Mapping[str, str] | None = None,
    label: str | None = None,
    size: int | None = None,
    seeds: int = 5,
    jobs: int = 2,
    tune: bool = True,
    options: Mapping[str, Any] | None = None,
    tell: Callable[[int, int, Job, Outcome], None] = lambda done, total, job, outcome: None,
) -> Row:
    """Compare two systems on one's own data: same encoder, same budget, paired seeds, intervals.

    Where the data have labels, by kNN and a linear probe; and by how often a changed look finds the row that it was
    made from, of pictures with texts by how often they find each other, of clicks by how often the next item is found,
    or of sets of labels by how often those are. Nodes of a graph are compared by their clusters where they have
    classes, by their edges where not. Both choose their learning rate on held-out rows of the training split unless
    ``tune`` is false.

    Args:
        first, second: slugs; differences are first minus second.
        data: what ``unalike fit`` takes.
        roles, label: as for ``unalike fit``.
        size: side of the pictures; as ``unalike fit`` would choose unless given.
        seeds: how many pairs.
        jobs: worker processes.
        tune: whether learning rates are chosen.
        options: training settings of both, such as ``{"steps": 200}``.
        tell: hears of each finished trial.

    Raises:
        SettingsError: there is no such system, or the two learn from different things.
        DataError: the data cannot be used.
    """
    one, other = systems.find(first), systems.find(second)
    if {kind_of(role) for role in one.paper.roles} != {kind_of(role) for role in other.paper.roles}:
        raise SettingsError(
            f"{first} learns from {', '.join(one.paper.roles)} and {second} from {', '.join(other.paper.roles)}: "
            "they cannot be compared on the same data"
        )
    bed = OwnBed(
        set=data,
        columns=dict(roles or {}),
        label_column=label,
        systems=(first, second),
    )
    collection = opened(bed)
    kinds = kinds_of(one.paper, collection)
    side = size or suggested_size(collection, collection.roles("image"))
    encoder = {
        kind: {"name": chosen_encoder(collection, collection.roles(kind), side)}
        for kind in kinds
        if collection.roles(kind)
    }
    ranked: Mapping[str, Any] = {}
    if "graph" in kinds:
        ranked = claims.NODE_EDGES if collection.label is None else claims.NODE_GROUPS
    elif "clicks" in kinds:
        ranked = claims.NEXT_ITEM
    elif "labels" in kinds:
        ranked = claims.FIRST_LABELS
    elif {"image", "text"} <= {kind_of(role) for role in one.paper.roles}:
        ranked = {"pictures and texts find each other, R@1": claims.recall_both_ways}
    bed = replace(bed, size=side)
    usual: dict[str, Any] = {"epochs": 20}
    if "graph" in kinds:
        # The whole graph, or a large part of it, is one batch.
        usual = {"steps": 400, "batch_size": min(4096, len(Ground.of(bed, collection, encoder).train))}
    given = dict(options or {})
    if {"steps", "epochs"} & set(given):
        usual = {name: value for name, value in usual.items() if name not in ("steps", "epochs")}
    classes = [
        Measure(name=name, metric=metric)
        for name, metric in (("kNN accuracy", "knn"), ("linear probe", "linear_probe"))
    ]
    claim = Claim(
        sentence=f"{first} against {second} on {data}",
        baseline=second,
        bed=bed,
        encoder=encoder,
        training=usual | given,
        tune={"learning_rate": (3e-4, 1e-3, 3e-3)} if tune else {},
        measures=(
            *(Measure(name=name, metric=metric) for name, metric in ranked.items()),
            *(classes if collection.label is not None else []),
            *([Measure(name="a changed look finds its original, R@1", metric=claims.found_again)] * (not ranked)),
        ),
        seeds=seeds,
    )
    return claims.check(
        one.paper, claim, LearnerWork(first, claim), code=claim_code(one), versions=versions(), jobs=jobs, tell=tell
    )
