"""What a learner is given at each step, and how it is cut from the prepared columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unalike.encoders import Prepared, Tokens


@dataclass(frozen=True)
class Inputs:
    """The prepared columns of a collection, ready to be cut into batches.

    Args:
        prepared: by role.
        present: by role, bool ``(N,)``; a role that is absent here has an entry in every row.
        codes: by role, int64 ``(N,)``: rows with equal codes hold equal entries (repeated captions); codes are
            comparable between roles of one kind.
        labels: int64 ``(N,)``, -1 where unknown; or None.
        targets: the numbers to predict, float32 ``(N,)``, NaN where unknown; or None.
        same: codes of what each row holds, int64 ``(N, K)``, -1 for nothing: rows that share one are not each other's
            negatives (`unalike.pairing.Sparing`). None where every row is its own.
        hard: by role of hard negatives, codes ``(N,)`` of the same numbering.
        extra: by name what else is known of each row (client, domain, time, group), ``(N, ...)``: int64 codes, -1 where
            unknown, or float32 numbers. Those that a system's record names (`unalike.records.Paper`) are there.
    """

    prepared: Mapping[str, Prepared]
    present: Mapping[str, np.ndarray] = field(default_factory=dict)
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: np.ndarray | None = None
    targets: np.ndarray | None = None
    same: np.ndarray | None = None
    hard: Mapping[str, np.ndarray] = field(default_factory=dict)
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.prepared.values())))

    def batch(self, rows: np.ndarray, device: torch.device | str = "cpu") -> Batch:
        return Batch(self, np.asarray(rows, dtype=np.int64), torch.device(device))


def merge(parts: Sequence[tuple[np.ndarray, Any]], count: int) -> Any:
    """Put parts of a batch, each with the positions of its rows, back together: tensors or `Tokens`."""
    first = parts[0][1]
    if isinstance(first, Tokens):
        length = max(part.ids.shape[1] for _, part in parts)
        ids = torch.zeros(count, length, dtype=first.ids.dtype, device=first.ids.device)
        mask = torch.zeros(count, length, dtype=torch.bool, device=first.ids.device)
        for rows, part in parts:
            ids[rows, : part.ids.shape[1]] = part.ids
            mask[rows, : part.ids.shape[1]] = part.mask
        return Tokens(ids, mask)
    whole = first.new_empty(count, *first.shape[1:])
    for rows, part in parts:
        whole[rows] = part
    return whole


@dataclass(frozen=True)
class Batch:
    """Some rows of the data. Nothing is cut from a column before a learner asks for it."""

    inputs: Inputs
    rows: np.ndarray
    device: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def index(self) -> Tensor:
        """Row numbers in the training data, int64 ``(B,)``."""
        return torch.from_numpy(self.rows).to(self.device)

    @property
    def labels(self) -> Tensor:
        """Class numbers, int64 ``(B,)``, -1 where unknown."""
        if self.inputs.labels is None:
            raise KeyError("these data have no label")
        return torch.from_numpy(self.inputs.labels[self.rows]).to(self.device)

    @property
    def targets(self) -> Tensor:
        """The numbers to predict, float32 ``(B,)``, NaN where unknown."""
        if self.inputs.targets is None:
            raise KeyError("these data have no target")
        return torch.from_numpy(self.inputs.targets[self.rows]).to(self.device)

    @property
    def same(self) -> Tensor | None:
        """Codes of what the rows hold, int64 ``(B, K)``; None where every row is its own."""
        return None if self.inputs.same is None else torch.from_numpy(self.inputs.same[self.rows]).to(self.device)

    def hard(self, role: str) -> Tensor | None:
        """Codes of the hard negatives of a role, int64 ``(B,)``; None where nothing is known."""
        codes = self.inputs.hard.get(role)
        return None if codes is None else torch.from_numpy(codes[self.rows]).to(self.device)

    @property
    def extra(self) -> dict[str, Tensor]:
        """By name what else is known of the rows, ``(B, ...)``: int64 codes or float32 numbers."""
        return {name: torch.from_numpy(each[self.rows]).to(self.device) for name, each in self.inputs.extra.items()}

    def role(self, name: str) -> Any:
        """The entries of one role: uint8 ``(B, 3, H, W)``, `Tokens`, float ``(B, F)``."""
        return self.inputs.prepared[name].take(self.rows).to(self.device)

    def choose(
        self, roles: Sequence[str], generator: torch.Generator, count: int = 1, *, lead: bool = False
    ) -> list[tuple[Any, Tensor]]:
        """For each row ``count`` of the roles that it has, at random: different ones as long as there are enough.

        Args:
            roles: the roles to choose from.
            generator: decides the choice.
            count: how many for each row.
            lead: whether the first is always the first of the roles that a row has.

        Returns:
            ``count`` pairs of entries and codes ``(B,)``: equal codes mark equal entries. Roles without codes
            (pictures) give the row numbers.
        """
        size = len(self)
        if len(roles) == 1:
            entries, codes = self.role(roles[0]), self._codes(roles[0], np.arange(size))
            return [(entries, torch.from_numpy(codes).to(self.device))] * count
        has = np.stack([self.inputs.present.get(r, np.ones(len(self.inputs), bool))[self.rows] for r in roles], axis=1)
        if not has.any(axis=1).all():
            row = int(self.rows[int(np.argmin(has.any(axis=1)))])
            raise KeyError(f"row {row} has none of the roles {', '.join(roles)}")
        draw = torch.rand(size, len(roles), generator=generator).numpy()
        if lead:
            draw[np.arange(size), has.argmax(axis=1)] = -1.0
        order = np.argsort(np.where(has, draw, 2.0), axis=1)
        available = has.sum(axis=1)
        chosen = []
        for number in range(count):
            variant = order[np.arange(size), number % available]
            parts, codes = [], np.empty(size, np.int64)
            for which in np.unique(variant):
                rows = np.flatnonzero(variant == which)
                role = roles[int(which)]
                parts.append((rows, self.inputs.prepared[role].take(self.rows[rows])))
                codes[rows] = self._codes(role, rows)
            chosen.append((merge(parts, size).to(self.device), torch.from_numpy(codes).to(self.device)))
        return chosen

    def _codes(self, role: str, positions: np.ndarray) -> np.ndarray:
        rows = self.rows[positions]
        codes = self.inputs.codes.get(role)
        return rows if codes is None else codes[rows]
