"""What is measured while a run trains, on training rows that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from unalike import encoders, evaluation, training
from unalike.data.kinds import modalities
from unalike.data.roles import kind_of
from unalike.evaluation import Relevance
from unalike.runs.build import Ready
from unalike.runs.pairs import query_side, sides
from unalike.runs.rows import LEAST_VALIDATED
from unalike.runs.same import things
from unalike.runs.scores.own_views import changed
from unalike.runs.spec import Spec
from unalike.runs.vectors import embed_prepared

MOST_AMONG = 1000
"""Training rows among which a validation row looks for its own."""
NEAREST = 10

Measure = Callable[[training.Learner], np.ndarray]


def validation(learner: training.Learner, ready: Ready, spec: Spec, device: torch.device) -> training.Validation | None:
    """What is measured for a specification; None where it asks for nothing, or nothing can be measured.

    Rows with two roles find one by the other. Rows with classes are asked for the classes of their neighbours. Where
    there is neither, a changed picture, text or recording has to find the one that it was made from.
    """
    options, rows = spec.training, ready.collection.splits.get("validation", np.arange(0))
    if not options.validate or len(rows) < LEAST_VALIDATED:
        return None
    found = by_pairs(ready, spec, rows, device) or by_class(ready, spec, rows, device)
    found = found or by_views(learner, ready, spec, rows, device)
    if found is None:
        return None
    name, measure = found
    return training.Validation(
        name, measure, times=options.validate, keep=options.keep or "best", patience=options.patience
    )


def by_pairs(ready: Ready, spec: Spec, rows: np.ndarray, device: torch.device) -> tuple[str, Measure] | None:
    """The reciprocal rank of what one role finds in another, both ways: the sides of a pair, or the first two roles."""
    roles = [role for kind, used in spec.roles.items() if kind in modalities() for role in used]
    pair = sides(spec) or tuple(roles[:2])
    if len(pair) < 2:
        return None
    both = ready.collection[pair[0]].present & ready.collection[pair[1]].present
    rows = rows[both[rows]]
    if len(rows) < LEAST_VALIDATED:
        return None
    among = np.concatenate([rows, beside(ready, spec, both)])
    held = things(ready.collection, pair)
    table = np.stack(list(held.values()) or [np.arange(len(both))], axis=1)[among]
    right = Relevance.from_shared(table[: len(rows)], table)

    def measure(learner: training.Learner) -> np.ndarray:
        first, second = (embed_prepared(learner, kind_of(role), ready.packed[role], device, among) for role in pair)
        ways = ((first, second), (second, first))
        each = [
            evaluation.retrieval(asked[: len(rows)], told, right, measures=["mrr"]).values["mrr"]
            for asked, told in ways
        ]
        return np.mean(each, axis=0)

    return f"MRR of {pair[0]} and {pair[1]}", measure


def by_class(ready: Ready, spec: Spec, rows: np.ndarray, device: torch.device) -> tuple[str, Measure] | None:
    """Which share of the ten nearest training rows is of a row's own class."""
    role, label = first_role(spec), ready.collection.label
    if role is None or label is None:
        return None
    known = ready.collection[role].present & (label.codes >= 0)
    rows, among = rows[known[rows]], beside(ready, spec, known)
    if len(rows) < LEAST_VALIDATED or len(among) <= NEAREST:
        return None
    kind, packed = kind_of(role), ready.packed[role]

    def measure(learner: training.Learner) -> np.ndarray:
        asked, told = (embed_prepared(learner, kind, packed, device, some) for some in (rows, among))
        nearest = np.argsort(-(asked @ told.T), axis=1, kind="stable")[:, :NEAREST]
        return np.asarray((label.codes[among][nearest] == label.codes[rows][:, None]).mean(axis=1))

    return f"share of the {NEAREST} nearest of the same class", measure


def by_views(
    learner: training.Learner, ready: Ready, spec: Spec, rows: np.ndarray, device: torch.device
) -> tuple[str, Measure] | None:
    """The reciprocal rank of what was changed at random among what it was made from."""
    role = first_role(spec)
    if role is None:
        return None
    kind, packed, present = kind_of(role), ready.packed[role], ready.collection[role].present
    rows = rows[present[rows]]
    encoder = learner.encoders[kind]
    made = changed(ready.collection[role], packed, encoder, rows, query_side(spec)) if len(rows) else None
    if made is None or len(rows) < LEAST_VALIDATED:
        return None
    _, asked = made
    among = np.concatenate([rows, beside(ready, spec, present)])
    held = things(ready.collection, [role]).get(role, np.arange(len(present)))
    right = Relevance.from_groups(held[rows], held[among])

    def measure(learner: training.Learner) -> np.ndarray:
        seen = embed_prepared(learner, kind, asked, device)
        told = embed_prepared(learner, kind, packed, device, among)
        return evaluation.retrieval(seen, told, right, measures=["mrr"]).values["mrr"]

    return f"MRR of {encoders.use_of_kind(kind).changed_words}", measure


def first_role(spec: Spec) -> str | None:
    """The role that is measured where there is no pair of them."""
    return next((role for kind, used in spec.roles.items() if kind in modalities() for role in used), None)


def beside(ready: Ready, spec: Spec, use: np.ndarray) -> np.ndarray:
    """Training rows among which validation rows look, drawn from the seed."""
    train = ready.collection.splits["train"]
    train = train[use[train]]
    chosen = np.random.default_rng(training.stream_seed(spec.training.seed, "probe", 1)).permutation(train)
    return np.sort(chosen[:MOST_AMONG])
