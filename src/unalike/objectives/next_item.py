"""Losses of recommenders: what is chosen next, and the regulariser of learned views of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.errors import DataError
from unalike.pairing import SameLabel

from .checks import at_least, same_shape
from .contrastive import info_nce


def next_item(states: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the item that was chosen next, against all items of the catalogue.

    Papers: Kang and McAuley, "Self-Attentive Sequential Recommendation", arXiv:1808.09781, with one drawn negative in
    place of all; the full softmax is that of later work (Klenitskiy and Vasilev, arXiv:2309.07602).

    Args:
        states: ``(N, D)``, what a model makes of the events up to a moment.
        items: ``(I, D)``, the embeddings of all items. Scores are inner products.
        targets: int64 ``(N,)``, which item was chosen next.

    Data: sequences; every event but the first of a sequence is a target.
    Cost: 6NID flops; memory O((N + I) D), never N x I.

    Raises:
        DataError: shapes do not fit, or there is no such item.

    Example:
        >>> import torch
        >>> from unalike.objectives import next_item
        >>> round(float(next_item(torch.zeros(2, 3), torch.randn(4, 3), torch.tensor([0, 3]))), 4)
        1.3863
    """
    if len(targets) != len(states) or (len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < len(items)):
        raise DataError(
            f"{len(targets)} targets for {len(states)} states and {len(items)} items; expected an item for each state"
        )
    if not len(states):  # a batch of single events has no lesson in it
        return items.sum() * 0.0
    numbers = torch.arange(len(items), device=targets.device)
    return info_nce(states, items, temperature=1.0, pairing=SameLabel(targets, numbers))


def view_margin(first: Tensor, second: Tensor) -> Tensor:
    """MCLRec's regulariser: what a positive scores above its hardest negative, and the negatives below, is a loss.

    Of each row's positive ``p`` and negatives ``n`` with the greatest of them ``m``:
    ``mean max(0, p - min(p, m)) + mean max(0, max(p, m) - n)``, so that learned views do not all become one.

    Paper: Qin et al., "Meta-optimized Contrastive Learning for Sequential Recommendation", arXiv:2304.07763,
    equations 12 to 14, and the release.

    Args:
        first: one view of each sequence ``(B, D)``. Scores are inner products.
        second: another view of the same sequences.

    Data: two views of each sequence; the other ``2B - 2`` views of the batch are negatives.
    Cost: 8 B^2 D flops; memory O(B^2).

    Raises:
        DataError: the views differ in shape, or there is one sequence only.

    Example:
        >>> import torch
        >>> from unalike.objectives import view_margin
        >>> round(float(view_margin(torch.eye(2), torch.eye(2))), 4)
        2.0
    """
    same_shape(first=first, second=second)
    at_least(2, first, "a view's negatives are those of other sequences")
    both = torch.cat([first, second])
    scores = both @ both.T
    size = len(first)
    positive = torch.cat([scores.diagonal(size), scores.diagonal(-size)])
    own = torch.eye(size, dtype=torch.bool, device=both.device).repeat(2, 2)
    negative = scores[~own].view(2 * size, -1)
    hardest = negative.max(dim=1).values
    above = (positive - torch.minimum(positive, hardest)).mean()
    below = (torch.maximum(positive, hardest)[:, None] - negative).mean()
    return above + below
