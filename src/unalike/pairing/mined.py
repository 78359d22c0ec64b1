"""Pairings that look at the scores: mining."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from unalike.errors import DataError, SettingsError
from unalike.pairing.dense import _strip
from unalike.pairing.edges import Edges
from unalike.pairing.plan import Pairing, Plan
from unalike.pairing.sparse import SameIndex


@dataclass(frozen=True, eq=False)
class TopHardest(Pairing):
    """Of each row's negatives only the ``k`` with the highest scores count.

    The negatives are found in one pass over strips of rows and kept as N x k pairs, so the loss itself costs N x k x D
    and not N x M x D.

    Args:
        k: negatives kept for each row; all of them where a row has fewer.
        pairing: which pairs are positives and negatives to begin with.

    Example:
        >>> import torch
        >>> from unalike.pairing import TopHardest
        >>> z = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0]]), dim=1)
        >>> TopHardest(1).plan(z, z).whole().negative
        tensor([[0., 1., 0.],
                [1., 0., 0.],
                [0., 1., 0.]])
    """

    k: int
    pairing: Pairing = field(default_factory=SameIndex)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise SettingsError(f"k={self.k}; at least 1 negative a row must be kept")

    @torch.no_grad()
    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        plan = self.pairing.plan(queries, keys)
        if plan.negatives is not None or plan.joint:
            raise DataError("the hardest negatives are taken from a pairing whose negatives are not yet chosen")
        n, m = plan.shape
        k, strip = min(self.k, m), _strip(m)
        ours, theirs = queries.detach().float(), keys.detach().float()
        every, hardest, weights = slice(0, m), [], []
        for first in range(0, n, strip):
            rows = slice(first, min(first + strip, n))
            negative = plan.tile(rows, every).negative
            scores = (ours[rows] @ theirs.T).masked_fill_(negative <= 0, -torch.inf)
            columns = scores.topk(k, dim=1).indices.sort(dim=1).values
            hardest.append(columns)
            weights.append(negative.gather(1, columns))
        index = torch.arange(n, device=plan.device)[:, None].expand(n, k)
        edges = Edges(
            index.reshape(-1), torch.cat(hardest).reshape(-1), torch.cat(weights).reshape(-1), (n, m), per_row=k
        )
        return replace(plan, negatives=edges)
