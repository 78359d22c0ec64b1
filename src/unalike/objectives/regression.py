"""Contrast for regression: labels are numbers, and how far apart two of them are matters."""

from __future__ import annotations

import torch
from torch import Tensor

from unalike.objectives.checks import positive, same_length
from unalike.objectives.masked import own
from unalike.objectives.mixing import beta_weights, mix
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise


@full_precision
def supremix(
    embeddings: Tensor,
    targets: Tensor,
    *,
    temperature: float,
    window: float,
    generator: torch.Generator,
    mixtures: int = 32,
    beta: tuple[float, float] | None = (2.0, 8.0),
) -> Tensor:
    """SupReMix: supervised contrast for regression, with hard negatives and hard positives mixed for each anchor.

    Of the softmax of an anchor over all other samples and its own mixtures, whose terms are weighed by 1 plus the
    distance of their targets from the anchor's, the mean log over its positives is taken:

    - real positives have the same target;
    - mixed negatives ``w z_i + (1 - w) z_k``, w from Beta(2, 8), one for each sample k with another target;
    - mixed positives ``w z_j + (1 - w) z_k`` of one sample below and one above in target, both within the window, with
      w such that the mixed target is the anchor's.

    Mixtures are constants and keep the length that mixing gives them.

    Paper: Wu, Dong, Chen, Zhou, Zhou, "Mixup Your Own Pairs", 2023. The paper enumerates all pairs for mixed
    positives, B^3 numbers; here ``mixtures`` pairs are drawn for each anchor. One maximum serves real and mixed scores,
    where the authors' fragment subtracts two.

    Args:
        embeddings: unit vectors of all views ``(N, D)``.
        targets: the number to be predicted for each ``(N,)``, coarse enough (or in several views) that some are equal.
        temperature: above zero; 0.07 in the paper.
        window: largest distance of the targets that are mixed to a positive, in units of the targets.
        generator: source of all randomness.
        mixtures: mixed positives drawn for each anchor, with replacement; 0 for none.
        beta: parameters of the Beta distribution of the anchor's share in mixed negatives; None for no such negatives.

    Data: targets that are numbers; two views of each sample, or repeated targets.
    Cost: 16 N^2 D flops and O(N (N + mixtures)) time; memory O(strip (N + mixtures)).

    Raises:
        DataError: embeddings and targets differ in length. SettingsError: temperature or window is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import supremix
        >>> angles = torch.tensor([0.0, 0.5, 1.0, 0.0, 0.5, 1.0])
        >>> ordered = torch.stack([angles.cos(), angles.sin()], dim=1)
        >>> settings = dict(temperature=0.5, window=0.6, generator=torch.Generator().manual_seed(0))
        >>> bool(supremix(ordered, angles, **settings) < supremix(ordered[[1, 0, 2, 1, 0, 2]], angles, **settings))
        True
    """
    same_length(embeddings=embeddings, targets=targets)
    positive(temperature=temperature, window=window)
    targets = targets.to(embeddings.dtype)
    size = len(embeddings)
    below, above, drawn = _around(targets, window, mixtures, generator)
    start = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    def rows_of(scores: Tensor, rows: slice) -> Tensor:
        real, constant = scores.tensor_split(2, dim=1)  # the same scores; those of constants move the anchor only
        distance = (targets[rows, None] - targets).abs()
        itself = own(rows, size, scores)
        lower, upper = targets[below[rows]], targets[above[rows]]
        weight = (upper - targets[rows, None]) / torch.where(drawn[rows], upper - lower, 1)
        mixed = mix(constant.gather(1, below[rows]), constant.gather(1, above[rows]), weight)
        terms = [
            (real / temperature + distance.log1p()).masked_fill(itself, -torch.inf),
            (mixed / temperature).masked_fill(~drawn[rows], -torch.inf),
        ]
        if beta is not None:
            # the strip's own stream, so that the backward pass meets the same mixtures
            stream = torch.Generator(generator.device).manual_seed(start + rows.start)
            share = beta_weights(real.shape, *beta, generator=stream, like=real)
            negative = mix(constant[itself][:, None], constant, share) / temperature + ((1 - share) * distance).log1p()
            terms.append(negative.masked_fill(distance == 0, -torch.inf))
        alike = (distance == 0) & ~itself
        count = alike.sum(dim=1) + drawn[rows].sum(dim=1)
        pull = torch.where(alike, real, 0).sum(dim=1) + torch.where(drawn[rows], mixed, 0).sum(dim=1)
        found = count > 0
        return torch.where(found, torch.cat(terms, dim=1).logsumexp(dim=1) - pull / temperature / count.clamp(min=1), 0)

    losses = rowwise(rows_of, embeddings, torch.cat([embeddings, embeddings.detach()]))
    _, codes, count = torch.unique(targets, return_inverse=True, return_counts=True)
    return losses.sum() / ((count[codes] > 1) | drawn.any(dim=1)).sum().clamp(min=1)


def _around(targets: Tensor, window: float, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """For each anchor numbers of samples below and above it within the window, and whether there are both."""
    order = targets.argsort()
    ordered = targets[order].contiguous()
    lowest = torch.searchsorted(ordered, (targets - window).contiguous(), right=True)
    first = torch.searchsorted(ordered, targets.contiguous())
    last = torch.searchsorted(ordered, targets.contiguous(), right=True)
    highest = torch.searchsorted(ordered, (targets + window).contiguous())
    found = (lowest < first) & (last < highest)
    draws = torch.rand(2, len(targets), number, generator=generator, device=generator.device).to(targets.device)
    places = []
    for draw, start, stop in ((draws[0], lowest, first), (draws[1], last, highest)):
        span = (stop - start).clamp(min=1)[:, None]
        place = start[:, None] + (draw * span).long().minimum(span - 1)
        places.append(order[place.clamp(max=len(targets) - 1)])
    return places[0], places[1], found[:, None].expand(-1, number)
