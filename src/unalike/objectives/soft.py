"""Contrast with soft targets: every pair says how alike it is."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.errors import DataError
from unalike.objectives.contrastive import coupled, mean_over_paired, narrow
from unalike.objectives.score import score_sums
from unalike.pairing import Pairing, Plan, Tile


def soft_target(
    queries: Tensor,
    keys: Tensor,
    targets: Tensor | Pairing,
    *,
    temperature: float | Tensor,
    symmetric: bool = False,
) -> Tensor:
    """Cross-entropy between given targets and the softmax of the scores over each row.

    ``mean_i [ log sum_j exp(s_ij) - sum_j P_ij s_ij ]``, where the rows of P are brought to sum 1; rows of zeros are
    left out. With `Soft` the targets are a teacher's softmax and never stored.

    Paper: for instance Gao et al., "SoftCLIP: Softer Cross-modal Alignment Makes CLIP Stronger", arXiv:2303.17561.

    Args:
        queries: ``(N, D)``, of unit length if cosines are meant.
        keys: ``(M, D)``.
        targets: weights at least zero ``(N, M)``, or a pairing such as `Soft`.
        temperature: above zero: a number, or a tensor with one or ``N`` entries.
        symmetric: the mean of this loss and the loss over columns, whose targets are P's columns brought to sum 1.

    Data: a graded likeness for each pair, or teacher vectors.
    Cost: 8NMD flops, and 4NME more for a teacher of width E; memory O((N + M) D) with `Soft`.

    Raises:
        DataError: shapes do not fit. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import soft_target
        >>> round(float(soft_target(torch.eye(2), torch.eye(2), torch.eye(2), temperature=1.0)), 4)
        0.3133
    """
    pairing = _Targets(targets) if isinstance(targets, Tensor) else targets
    sums = score_sums(queries, keys, temperature=temperature, pairing=pairing, columns=symmetric)
    loss = mean_over_paired(coupled(sums), sums)
    if symmetric:
        assert sums.columns is not None
        loss = (loss + mean_over_paired(coupled(sums.columns), sums.columns)) / 2
    return narrow(loss, queries)


class _Targets(Pairing):
    """Weights of positives as a matrix, where every pair stays in the denominator."""

    def __init__(self, targets: Tensor) -> None:
        self.targets = targets

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        shape = (queries.shape[0], keys.shape[0])
        if tuple(self.targets.shape) != shape:
            raise DataError(f"targets of shape {tuple(self.targets.shape)} for scores {shape}; both must agree")

        def weights(rows: slice, columns: slice) -> Tile:
            targets = self.targets.detach()[rows, columns].to(queries.device, torch.float32)
            return Tile(targets, torch.ones_like(targets))

        return Plan(shape, queries.device, weights=weights, joint=True)
