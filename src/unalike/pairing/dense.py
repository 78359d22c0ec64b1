"""Pairings with a weight for each pair: given as a matrix, or made tile by tile from a teacher's vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.pairing.plan import Pairing, Plan, Tile, check_length


@dataclass(frozen=True, eq=False)
class Dense(Pairing):
    """Weights that the caller holds as matrices; the only pairing whose memory is N x M.

    Args:
        positives: ``(N, M)`` weights at least 0 (bool is taken as 0 and 1).
        negatives: ``(N, M)`` weights at least 0; None makes every pair that is no positive a negative of weight 1.

    Example:
        >>> import torch
        >>> from unalike.pairing import Dense
        >>> Dense(torch.eye(2)).plan(torch.eye(2), torch.eye(2)).whole().negative
        tensor([[0., 1.],
                [1., 0.]])
    """

    positives: Tensor
    negatives: Tensor | None = None

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        shape = (queries.shape[0], keys.shape[0])
        for name, given in (("positives", self.positives), ("negatives", self.negatives)):
            if given is not None and tuple(given.shape) != shape:
                raise DataError(f"{name} of shape {tuple(given.shape)} for scores {shape}; both must agree")

        def weights(rows: slice, columns: slice) -> Tile:
            positive = self.positives[rows, columns].to(queries.device, torch.float32)
            if self.negatives is None:
                return Tile(positive, (positive <= 0).float())
            return Tile(positive, self.negatives[rows, columns].to(queries.device, torch.float32))

        return Plan(shape, queries.device, weights=weights)


@dataclass(frozen=True, eq=False)
class Soft(Pairing):
    """Soft targets: each row's positives are spread over all columns as the softmax of a teacher's scores.

    Every pair stays in the denominator, so that a loss over this pairing is the cross-entropy between the teacher's and
    the student's softmax over the row. The targets are made tile by tile from the teacher's vectors.

    Args:
        queries: ``(N, E)`` teacher's vectors of the rows; no gradient reaches them.
        keys: ``(M, E)`` teacher's vectors of the columns.
        temperature: of the teacher's softmax, above 0.

    Example:
        >>> import torch
        >>> from unalike.pairing import Soft
        >>> teacher = torch.eye(2)
        >>> Soft(teacher, teacher, temperature=1.0).plan(teacher, teacher).whole().positive
        tensor([[0.7311, 0.2689],
                [0.2689, 0.7311]])
    """

    queries: Tensor
    keys: Tensor
    temperature: float

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise SettingsError(f"temperature={self.temperature} of the teacher; it must be above 0")

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        shape = (queries.shape[0], keys.shape[0])
        check_length("the teacher's queries", self.queries.shape[0], shape[0], "queries")
        check_length("the teacher's keys", self.keys.shape[0], shape[1], "keys")
        rows_of = self.queries.detach().to(queries.device).float() / self.temperature
        columns_of = self.keys.detach().to(queries.device).float()
        normaliser = torch.cat(
            [torch.logsumexp(strip @ columns_of.T, 1) for strip in torch.split(rows_of, _strip(shape[1]))]
        )

        def weights(rows: slice, columns: slice) -> Tile:
            scores = rows_of[rows] @ columns_of[columns].T
            targets = scores.sub_(normaliser[rows, None]).exp_()
            return Tile(targets, torch.ones_like(targets))

        return Plan(shape, queries.device, weights=weights, joint=True)


def _strip(columns: int, megabytes: int = 8) -> int:
    return max(1, megabytes * 2**18 // max(columns, 1))
