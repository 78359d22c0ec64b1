"""Contrastive attraction and contrastive repulsion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from unalike.objectives.checks import at_least, finite, several_views
from unalike.objectives.masked import own
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise
from unalike.pairing import alike


@full_precision
def cacr(
    views: Sequence[Tensor], *, attraction: float = 1.0, repulsion: float = 2.0, same: Tensor | None = None
) -> Tensor:
    """CACR: the farther of a sample's other views attract it more, the nearer of the other samples repel it more.

    With the cost c(x, y) = ||x - y||^2, for each view x of a sample:
    ``sum_k softmax_k(attraction * c(x, x_k)) c(x, x_k)``
    over its other views, less ``sum_j softmax_j(-repulsion * c(x, y_j)) c(x, y_j)`` over the other samples; averaged
    over samples, views and pairs of views. Gradient flows through the weights. A sharpness of zero gives even weights:
    the paper's ablations.

    Paper: Zheng et al., "Contrastive Attraction and Contrastive Repulsion for Representation Learning", TMLR 2023,
    As in the authors' release each pair of views repels in one direction, from the first listed.

    Args:
        views: two or more views, each unit vectors ``(B, D)``; with two, each has one other view, and its weight is 1.
        attraction: sharpness of the weights of positives, the paper's t+.
        repulsion: sharpness of the weights of negatives, the paper's t-.
        same: codes of what each sample holds, ``(B,)`` or ``(B, K)`` (`unalike.pairing.Sparing`): samples that share
            one are not each other's negatives.

    Data: two or more views of each sample (four in the paper's best runs); no labels.
    Cost: V (V - 1) / 2 times 8 B^2 D flops; memory O(strip B).

    Raises:
        DataError: fewer than two views, different shapes, or one sample. SettingsError: a setting is not finite.

    Example:
        >>> import torch
        >>> from unalike.objectives import cacr
        >>> float(cacr([torch.eye(2), torch.eye(2)]))  # nothing to attract; the other sample at squared distance 2
        -2.0
    """
    several_views(views)
    at_least(2, views[0], "a negative is another sample")
    finite(attraction=attraction, repulsion=repulsion)
    stacked = torch.stack(list(views))
    apart = (stacked[:, None] - stacked[None]).square().sum(dim=3)  # (V, V, B)
    others = ~torch.eye(len(views), dtype=torch.bool, device=stacked.device)
    costs = apart[others].view(len(views), len(views) - 1, -1)
    pull = ((attraction * costs).softmax(dim=1) * costs).sum(dim=1).mean()

    def rows_of(scores: Tensor, rows: slice, ours: Tensor, theirs: Tensor) -> Tensor:
        cost = ours[rows, None] + theirs - 2 * scores
        spared = own(rows, scores.shape[1], scores)
        if same is not None:
            spared |= alike(same[rows], same)
        weights = (-repulsion * cost).masked_fill(spared, -torch.inf).softmax(dim=1)
        if same is not None:  # a row may be left without a negative
            weights = torch.where(spared, 0.0, weights)
        return -(weights * cost).sum(dim=1)

    push = [
        rowwise(rows_of, first, second, first.square().sum(dim=1), second.square().sum(dim=1)).mean()
        for first, second in combinations(views, 2)
    ]
    return pull + torch.stack(push).mean()
