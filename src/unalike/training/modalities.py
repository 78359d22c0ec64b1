"""Rows of which any may lack any kind of entry: what a step sees of each kind, and how tuples are scored at use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unalike.encoders import unit
from unalike.training.batch import Batch, merge
from unalike.training.learner import Learner, Task, View

Join = Callable[[Mapping[str, Tensor], str], Tensor]


@dataclass(frozen=True)
class Shown:
    """What a batch shows of one kind.

    Args:
        entries: of the rows that have one and show it; None if there are none.
        rows: int64 ``(R,)``, the positions of these rows in the batch, in order.
        count: rows of the batch.
        same: codes of what these rows hold, int64 ``(R, K)``; None where every row is its own.
    """

    entries: Any
    rows: Tensor
    count: int
    same: Tensor | None = None


def one_entry(batch: Batch, roles: Sequence[str], generator: torch.Generator, *, drop: float = 0.0) -> Shown:
    """For each row one of the roles of a kind that it has, at random; rows that have none show nothing.

    Args:
        batch: the rows.
        roles: of one kind, such as a caption in several languages.
        generator: draws the roles, and the rows that are dropped.
        drop: probability that a row hides what it has, each row by itself.

    A single row is not shown either: batch normalisation has no deviation of one row.

    Example:
        >>> import numpy as np, torch
        >>> from unalike.data import ArrayColumn
        >>> from unalike.encoders import MLP
        >>> from unalike.training import Inputs, one_entry
        >>> prepared = {"array": MLP(2).prepare(ArrayColumn(np.zeros((4, 2), np.float32)))}
        >>> inputs = Inputs(prepared, present={"array": np.array([True, False, True, True])})
        >>> one_entry(inputs.batch(np.arange(4)), ["array"], torch.Generator()).rows
        tensor([0, 2, 3])
    """
    inputs, size = batch.inputs, len(batch)
    everywhere = np.ones(len(inputs), bool)
    has = np.stack([inputs.present.get(role, everywhere)[batch.rows] for role in roles], axis=1)
    draws = torch.rand(size, 1 + len(roles), generator=generator).numpy()
    shown = np.flatnonzero(has.any(axis=1) & (draws[:, 0] >= drop))
    if len(shown) < 2:
        return Shown(None, torch.zeros(0, dtype=torch.int64, device=batch.device), size)
    which = np.where(has, draws[:, 1:], 2.0).argmin(axis=1)[shown]
    parts = []
    for number in np.unique(which):
        place = np.flatnonzero(which == number)
        parts.append((place, inputs.prepared[roles[int(number)]].take(batch.rows[shown[place]])))
    entries = parts[0][1] if len(parts) == 1 else merge(parts, len(shown))
    rows = torch.from_numpy(shown).to(batch.device)
    same = batch.same
    return Shown(entries.to(batch.device), rows, size, None if same is None else same[rows])


def every_kind(
    task: Task, batch: Batch, generator: torch.Generator, *, own: Mapping[str, View], drop: float = 0.0
) -> dict[str, Shown]:
    """What a batch shows of each kind that a task has encoders for, ready for these encoders.

    Args:
        task: the encoders and roles by kind, and the views that the user chose.
        batch: the rows.
        generator: draws what is shown and how.
        own: the system's views by kind; kinds without one are seen plainly.
        drop: probability that a row hides what it has of a kind.
    """
    found = {}
    for kind, encoder in task.encoders.items():
        shown = one_entry(batch, task.roles[kind], generator, drop=drop)
        view = task.view.get(kind, own.get(kind))
        if shown.entries is not None:
            seen = encoder.plain(shown.entries) if view is None else view(shown.entries, generator)
            shown = replace(shown, entries=seen)
        found[kind] = shown
    return found


@dataclass(kw_only=True)
class JointLearner(Learner):
    """A learner that scores tuples of entries of several kinds, and not pairs.

    Args:
        join: makes of vectors of some kinds, ``(N, D)`` each with rows of zeros where an entry is missing, and of the
            name of another kind the vectors ``(N, D)`` whose inner product with that kind's vectors is the score.
    """

    join: Join


def joined_vectors(learner: Learner, vectors: Mapping[str, Tensor], target: str) -> Tensor:
    """What entries of a kind are scored with, by an inner product, given entries of others.

    Of a learner that compares pairs the sum of the cosines decides: the given vectors are added up.

    Args:
        learner: a trained learner.
        vectors: by kind ``(N, D)``, unit vectors, or rows of zeros where an entry is missing.
        target: another kind.
    """
    given = {kind: each for kind, each in vectors.items() if kind != target}
    if isinstance(learner, JointLearner):
        return learner.join(given, target)
    if len(given) == 1:
        return next(iter(given.values()))
    return unit(torch.stack(list(given.values())).sum(dim=0))
