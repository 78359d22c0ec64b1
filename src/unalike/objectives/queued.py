"""Contrast with a queue of negatives, and with harder ones mixed from it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unalike.errors import SettingsError
from unalike.objectives.checks import positive, same_shape
from unalike.objectives.mixing import mix, uniform_weights
from unalike.objectives.precision import full_precision
from unalike.objectives.rowwise import rowwise
from unalike.objectives.score import check_scores, inverse_temperature, sums_of_plan
from unalike.pairing import Plan


@full_precision
def moco(queries: Tensor, keys: Tensor, queue: Tensor, *, temperature: float | Tensor) -> Tensor:
    """MoCo: tell each query's key from the keys of earlier batches; the batch itself gives no negatives.

    ``mean_i log(1 + sum_k exp((q_i.n_k - q_i.k_i) / t))``.

    Paper: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
    equation 1.

    Args:
        queries: unit vectors of the trained encoder ``(B, D)``.
        keys: unit vectors of the teacher for the other view ``(B, D)``.
        queue: the teacher's unit vectors of earlier batches ``(K, D)``, K >= 1.
        temperature: above zero: a number, or a tensor with one or ``B`` entries.

    Data: two views of each sample; no labels.
    Cost: 8 B K D flops; memory O((B + K) D).

    Raises:
        DataError: shapes do not fit, or the queue is empty. SettingsError: a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import moco
        >>> rows = torch.eye(3)
        >>> round(float(moco(rows[:1], rows[:1], rows[1:], temperature=1.0)), 4)  # log(1 + 2/e)
        0.5514
    """
    same_shape(queries=queries, keys=keys)
    check_scores(queries, queue)
    inverse = inverse_temperature(temperature, queries)
    everything = Plan((len(queries), len(queue)), queries.device)
    negative = sums_of_plan(queries, queue, inverse, everything).negative
    pull = (queries.double() * keys.double()).sum(dim=1) * inverse
    return softplus(negative - pull).mean().to(queries.dtype)


@full_precision
def mochi(
    queries: Tensor,
    keys: Tensor,
    queue: Tensor,
    *,
    temperature: float,
    generator: torch.Generator,
    hardest: int = 1024,
    mixtures: int = 1024,
    query_mixtures: int = 128,
) -> Tensor:
    """MoCHi: MoCo with, for each query, harder negatives mixed from its hardest ones.

    Beside the queue each query meets ``mixtures`` unit vectors ``~ a n_i + (1 - a) n_j`` of its ``hardest`` negatives,
    a from U(0, 1), and ``query_mixtures`` harder ones ``~ b q + (1 - b) n_j``, b from U(0, 1/2). No gradient flows into
    the mixtures. They are never stored: their scores follow from the queue's.

    Paper: Kalantidis, Sariyildiz, Pion, Weinzaepfel, Larlus, "Hard Negative Mixing for Contrastive Learning", NeurIPS
    2020, section 4. The paper begins to mix after some epochs; until then use `moco`.

    Args:
        queries: unit vectors of the trained encoder ``(B, D)``.
        keys: unit vectors of the teacher for the other view ``(B, D)``.
        queue: the teacher's unit vectors of earlier batches ``(K, D)``; gets no gradient.
        temperature: above zero.
        generator: source of all randomness.
        hardest: the paper's N, at most K; (1024, 1024, 128) and (1024, 512, 256) are its settings.
        mixtures: the paper's s.
        query_mixtures: the paper's s'.

    Data: two views of each sample; no labels.
    Cost: 8 B K D flops and O(B (mixtures + query_mixtures) D) time; memory O(strip (K + mixtures D)).

    Raises:
        DataError: shapes do not fit.
        SettingsError: temperature is not above zero, or ``hardest`` is not between 1 and K.

    Example:
        >>> import torch
        >>> from unalike.objectives import moco, mochi
        >>> rows, generator = torch.eye(4), torch.Generator().manual_seed(0)
        >>> plain = moco(rows[:1], rows[:1], rows[1:], temperature=0.2)
        >>> settings = dict(hardest=2, mixtures=2, query_mixtures=1)
        >>> bool(mochi(rows[:1], rows[:1], rows[1:], temperature=0.2, generator=generator, **settings) > plain)
        True
    """
    same_shape(queries=queries, keys=keys)
    check_scores(queries, queue)
    positive(temperature=temperature)
    if not 1 <= hardest <= len(queue):
        raise SettingsError(f"hardest={hardest} of a queue of {len(queue)}; expected 1 to {len(queue)}")
    queue = queue.detach()
    size = len(queries)
    drawn = torch.randint(
        hardest, (size, 2 * mixtures + query_mixtures), generator=generator, device=generator.device
    ).to(queries.device)
    between = uniform_weights((size, mixtures), 0.0, 1.0, generator=generator, like=queries)
    towards = uniform_weights((size, query_mixtures), 0.0, 0.5, generator=generator, like=queries)
    length = (queries * queries.detach()).sum(dim=1)  # a query's score with itself, as it stands in its mixtures
    pull = (queries * keys).sum(dim=1)

    def rows_of(scores: Tensor, rows: slice, length: Tensor, pull: Tensor) -> Tensor:
        top = scores.detach().topk(hardest, dim=1).indices.gather(1, drawn[rows])
        found = scores.gather(1, top)
        one, two, three = found.tensor_split([mixtures, 2 * mixtures], dim=1)
        with torch.no_grad():
            first, second, other = queue[top].tensor_split([mixtures, 2 * mixtures], dim=1)
            own = queries.detach()[rows][:, None]
            reach = mix(first, second, between[rows][..., None]).norm(dim=2)
            reach_of_query = mix(own, other, towards[rows][..., None]).norm(dim=2)
        harder = mix(one, two, between[rows]) / reach.clamp(min=1e-12)
        hardest_of_all = mix(length[rows][:, None], three, towards[rows]) / reach_of_query.clamp(min=1e-12)
        every = torch.cat([scores, harder, hardest_of_all], dim=1) - pull[rows][:, None]
        return softplus((every / temperature).logsumexp(dim=1))

    return rowwise(rows_of, queries, queue, length, pull).mean()
