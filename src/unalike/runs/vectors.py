"""Vectors of a run: of its own rows and of new things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from unalike import encoders, training
from unalike.data import Collection
from unalike.data.roles import kind_of
from unalike.errors import DataError
from unalike.files import write_atomically
from unalike.runs.build import Ready
from unalike.runs.spec import Spec


@dataclass(frozen=True)
class Embedded:
    """Vectors of new things: ids, and by role float32 ``(N, D)`` with rows of NaN where a row lacks the role."""

    ids: list[str]
    by_role: Mapping[str, np.ndarray]

    @property
    def vectors(self) -> np.ndarray:
        """The vectors, where there is one role only.

        Raises:
            DataError: there are several roles.
        """
        if len(self.by_role) != 1:
            raise DataError(f"there are vectors for {', '.join(self.by_role)}: take one with .by_role[ROLE]")
        return next(iter(self.by_role.values()))

    def save(self, path: str | Path) -> Path:
        """Write Parquet: a column ``id`` and for each role a column of vectors, ``vector`` if there is one role."""
        columns: dict[str, pa.Array] = {"id": pa.array(self.ids)}
        for role, vectors in self.by_role.items():
            flat = pa.array(vectors.reshape(-1), pa.float32())
            missing = pa.array(np.isnan(vectors).all(axis=1))
            column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1], mask=missing)
            columns["vector" if len(self.by_role) == 1 else f"vector {role}"] = column
        target = Path(path)
        write_atomically(target, partial(pq.write_table, pa.table(columns)))
        return target


def choose_text_role(collection: Collection) -> str | None:
    """The role whose texts name the rows: plain ``text``, else English, else the first."""
    roles = collection.roles("text")
    for wanted in ("text", "text:en"):
        if wanted in roles:
            return wanted
    return roles[0] if roles else None


@torch.no_grad()
def embed_prepared(
    learner: training.Learner,
    kind: str,
    prepared: encoders.Prepared,
    device: torch.device,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Unit vectors ``(N, D)`` of a prepared column, without gradient; texts are sorted by length first."""
    if kind == "text" and isinstance(prepared, encoders.PackedTokens):
        learner.module.to(device).eval()
        encoder = learner.encoders[kind]
        return encoders.embed_tokens(
            prepared,
            lambda some: learner.embed(kind, some.to(device)),
            rows,
            budget=encoders.budget_for(encoder),
            threads=encoders.threads_for(encoder),
        )
    return training.embed(learner, kind, prepared, rows, device=device)


def scored_roles(spec: Spec, learner: training.Learner) -> list[str]:
    """The roles that a learner embeds, whose vectors are scored against those of an untrained encoder."""
    kinds = [kind for kind in spec.roles if kind in learner.encoders]
    roles = [role for kind in kinds for role in (*spec.roles[kind], *spec.unseen) if kind_of(role) == kind]
    return [role for role in roles if is_embedded(role)]


def is_embedded(role: str) -> bool:
    """Whether a run keeps a vector of each row in a role; labels have theirs each, and not a row's set of them."""
    return kind_of(role) != "labels"


def embed_roles(
    learner: training.Learner, ready: Ready, roles: Sequence[str], device: torch.device
) -> dict[str, np.ndarray]:
    """Vectors of every row in some roles; zeros where a row lacks the role."""
    found = {}
    for role in roles:
        vectors = embed_prepared(learner, kind_of(role), ready.packed[role], device)
        vectors[~ready.collection[role].present] = 0.0
        found[role] = vectors
    return found
