"""Group ordering constraints: all positives rank above all negatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, normalize

from unalike.errors import SettingsError
from unalike.objectives.checks import finite, positive, several_views
from unalike.objectives.masked import own
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise
from unalike.objectives.sorting import rank_shares
from unalike.pairing import alike


@full_precision
def groco(
    views: Sequence[Tensor],
    *,
    hardest: int = 10,
    steepness: float = 1.0,
    full: int | None = None,
    same: Tensor | None = None,
) -> Tensor:
    """GroCo: a soft sort of each anchor's positives and hardest negatives puts the group of positives on top.

    For each view of a sample: cosines with its other views and with the ``hardest`` other samples of the same view, put
    in order within each group, pass a differentiable sorting network; the loss is the binary cross-entropy of each
    element's share of the top ranks, averaged over elements, samples and views.

    Paper: Shvetsova, Petersen, Kukleva, Schiele, Kuehne, "Learning by Sorting: Self-supervised Learning with Group
    Ordering Constraints", ICCV 2023. As in the authors' release only the anchor gets gradient, and the paper's two
    cross-entropies (positive and negative ranks) are one, since the shares sum to one.

    Args:
        views: two or more views of each sample, each ``(B, D)`` of any length.
        hardest: negatives that are compared, the paper's k; at most B - 1.
        steepness: of the soft swaps.
        full: number of views, from the first, that serve as positives (full crops); all where None.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two or more views of each sample; no labels.
    Cost: V times 8 B^2 D flops and O(B (hardest + V)^2) for the sort; memory O(strip B).

    Raises:
        DataError: fewer than two views, or views of different shapes.
        SettingsError: ``hardest`` is not between 1 and B - 1, or ``full`` not between 2 and the number of views.

    Example:
        >>> import torch
        >>> from unalike.objectives import groco
        >>> rows = torch.eye(4)
        >>> ordered = groco([rows, rows], hardest=2, steepness=100.0)
        >>> mistaken = groco([rows, rows.roll(1, 0)], hardest=2, steepness=100.0)
        >>> bool(ordered < 0.1 < mistaken)
        True
    """
    several_views(views)
    positive(steepness=steepness)
    finite(steepness=steepness)
    size, full = len(views[0]), len(views) if full is None else full
    if not 1 <= hardest < size:
        raise SettingsError(f"hardest={hardest} in a batch of {size}; expected 1 to {size - 1}")
    if not 2 <= full <= len(views):
        raise SettingsError(f"full={full} of {len(views)} views; expected 2 to {len(views)}")
    looks = [normalize(view, dim=1) for view in views]

    def rows_of(scores: Tensor, rows: slice, positives: Tensor) -> Tensor:
        near = positives[rows].sort(dim=1).values
        far = scores.masked_fill(own(rows, size, scores), -torch.inf)
        if same is not None:  # as far away as can be: where few others are left, some must be taken
            far = far.masked_fill(alike(same[rows], same) & ~own(rows, size, scores), -1.0)
        far = far.topk(hardest, dim=1).values.flip(1)
        group = torch.cat([torch.zeros_like(far), torch.ones_like(near)], dim=1)
        shares = rank_shares(torch.cat([far, near], dim=1), group[0], steepness=steepness).clamp(0, 1)
        return binary_cross_entropy(shares, group, reduction="none").mean(dim=1)

    losses = []
    for number, anchor in enumerate(looks):
        others = [look.detach() for other, look in enumerate(looks[:full]) if other != number]
        positives = torch.stack([(anchor * other).sum(dim=1) for other in others], dim=1)
        losses.append(rowwise(rows_of, anchor, anchor.detach(), positives).mean())
    return torch.stack(losses).mean()
