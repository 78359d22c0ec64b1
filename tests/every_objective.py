"""Every objective as a function of two batches, labels, a temperature and a generator: for tests of numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unalike import objectives as o
from unalike.pairing import PerSampleState

Case = Callable[[Tensor, Tensor, Tensor, float, torch.Generator], Tensor]


def unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


def inverse(temperature: float) -> float:
    return 1 / temperature if temperature else float("inf")


def dino(a: Tensor, b: Tensor, labels: Tensor, t: float, generator: torch.Generator) -> Tensor:
    return o.dino([a, b], [a, b], center=torch.zeros(1, a.shape[1]), student_temperature=t, teacher_temperature=t)


def swav(a: Tensor, b: Tensor, labels: Tensor, t: float, generator: torch.Generator) -> Tensor:
    return o.swapped_prediction(
        [a, b], [o.sinkhorn_codes(a.detach(), epsilon=t), o.sinkhorn_codes(b.detach(), epsilon=t)], temperature=t
    )


def proto(a: Tensor, b: Tensor, labels: Tensor, t: float, generator: torch.Generator) -> Tensor:
    return o.proto_nce(a, [unit(b[:2])], [torch.arange(len(a)) % 2], temperatures=[t])


def individual(a: Tensor, b: Tensor, labels: Tensor, t: float, generator: torch.Generator) -> Tensor:
    state = o.IndividualTemperatures(len(a), initial=t)
    return o.isogclr(a, b, torch.arange(len(a)), state=state, rho=0.4, limits=(t / 2, 2 * t))


def sog(a: Tensor, b: Tensor, labels: Tensor, t: float, generator: torch.Generator) -> Tensor:
    return o.sogclr(a, b, torch.arange(len(a)), state=PerSampleState(len(a)), temperature=t)


def subclasses(a: Tensor, b: Tensor, labels: Tensor, t: float, generator: torch.Generator) -> Tensor:
    return o.sbcl(a, b, labels, labels, temperature=t, class_temperatures=torch.full((len(a),), t))


OBJECTIVES: dict[str, Case] = {
    "alignment": lambda a, b, y, t, g: o.alignment(a, b),
    "barlow_twins": lambda a, b, y, t, g: o.barlow_twins(a, b),
    "byol": lambda a, b, y, t, g: o.byol(a, b),
    "cacr": lambda a, b, y, t, g: o.cacr([a, b], repulsion=inverse(t)),
    "clan": lambda a, b, y, t, g: o.clan(a, b),
    "clip": lambda a, b, y, t, g: o.clip(a, b, logit_scale=inverse(t)),
    "core_tuning": lambda a, b, y, t, g: o.core_tuning(a, y, temperature=t),
    "cua": lambda a, b, y, t, g: o.cua(a, b, logit_scale=inverse(t)),
    "cuaxu": lambda a, b, y, t, g: o.cuaxu(a, b, logit_scale=inverse(t)),
    "decoupled": lambda a, b, y, t, g: o.decoupled(a, b, temperature=t),
    "decoupled_softmax": lambda a, b, y, t, g: o.decoupled_softmax(a, b, torch.eye(len(a)).bool(), temperature=t),
    "decoupled_weighted": lambda a, b, y, t, g: o.decoupled_weighted(a, b, temperature=t),
    "dino": dino,
    "groco": lambda a, b, y, t, g: o.groco([a, b], hardest=min(5, len(a) - 1), steepness=inverse(t)),
    "hard_contrastive": lambda a, b, y, t, g: o.hard_contrastive(a, b, temperature=t, share=0.5),
    "hard_simple_contrastive": lambda a, b, y, t, g: o.hard_simple_contrastive(a, b, weight=t, share=0.5),
    "info_nce": lambda a, b, y, t, g: o.info_nce(a, b, temperature=t, symmetric=True),
    "isogclr": individual,
    "margin": lambda a, b, y, t, g: o.margin(a, y),
    "mmd": lambda a, b, y, t, g: o.mmd(a, b),
    "moco": lambda a, b, y, t, g: o.moco(a, b, b.detach().flip(0), temperature=t),
    "mochi": lambda a, b, y, t, g: o.mochi(
        a, b, b.detach().flip(0), temperature=t, generator=g, hardest=min(4, len(a)), mixtures=4, query_mixtures=2
    ),
    "multi_similarity": lambda a, b, y, t, g: o.multi_similarity(a, y),
    "mv_dhel": lambda a, b, y, t, g: o.mv_dhel([a, b], temperature=t),
    "mv_info_nce": lambda a, b, y, t, g: o.mv_info_nce([a, b], temperature=t),
    "nt_xent": lambda a, b, y, t, g: o.nt_xent(a, b, temperature=t),
    "one_to_k": lambda a, b, y, t, g: o.one_to_k(a, b[:, None], temperature=t),
    "one_vs_all": lambda a, b, y, t, g: o.one_vs_all(a, b, torch.eye(len(a)).bool(), temperature=t),
    "pairwise_nt_xent": lambda a, b, y, t, g: o.pairwise_nt_xent([a, b], temperature=t),
    "proto_nce": proto,
    "proxy_anchor": lambda a, b, y, t, g: o.proxy_anchor(a, y, b[: int(y.max()) + 1].float()),
    "sbcl": subclasses,
    "sigmoid": lambda a, b, y, t, g: o.sigmoid(a, b, logit_scale=inverse(t), bias=-2.0),
    "simple_contrastive": lambda a, b, y, t, g: o.simple_contrastive(a, b, weight=t),
    "simsiam": lambda a, b, y, t, g: o.simsiam(a, b),
    "soft_target": lambda a, b, y, t, g: o.soft_target(a, b, torch.eye(len(a)), temperature=t),
    "soft_top_k_loss": lambda a, b, y, t, g: o.soft_top_k_loss(a, b, torch.eye(len(a)).bool(), temperature=t, k=1),
    "sogclr": sog,
    "spectral": lambda a, b, y, t, g: o.spectral(a, b),
    "sup_con": lambda a, b, y, t, g: o.sup_con(a, y, temperature=t),
    "supremix": lambda a, b, y, t, g: o.supremix(a, y.float(), temperature=t, window=0.5, generator=g, mixtures=2),
    "swapped_prediction": swav,
    "symile": lambda a, b, y, t, g: o.symile([a, b, a.flip(0)], logit_scale=inverse(t), generator=g),
    "triplet": lambda a, b, y, t, g: o.triplet(a, b, b.flip(0), margin=0.2),
    "triplet_batch_all": lambda a, b, y, t, g: o.triplet_batch_all(a, y, margin=0.2),
    "triplet_batch_hard": lambda a, b, y, t, g: o.triplet_batch_hard(a, y, margin=0.2),
    "triplet_semi_hard": lambda a, b, y, t, g: o.triplet_semi_hard(a, y, margin=0.2),
    "ts2vec": lambda a, b, y, t, g: o.ts2vec(a[:, None].expand(-1, 4, -1), b[:, None].expand(-1, 4, -1)),
    "uniformity": lambda a, b, y, t, g: o.uniformity(a),
    "vicreg": lambda a, b, y, t, g: o.vicreg(a, b),
}
"""By name. ``a`` and ``b`` are ``(B, D)``, labels int64 ``(B,)`` in pairs; what has no temperature does not use it."""

CUBIC = {"cacr", "decoupled_softmax", "soft_top_k_loss", "triplet_batch_all", "supremix", "groco", "mmd"}
"""Objectives whose cost grows faster than the square of the batch, or whose scores are stored: smaller batches."""


def rows(kind: str, count: int, width: int, generator: torch.Generator) -> Tensor:
    """Unit vectors ``(count, width)`` of a kind that breaks things: equal, all zero, one zero, opposite, plain."""
    plain = unit(torch.randn(count, width, generator=generator))
    if kind == "equal":
        return plain[:1].expand(count, -1).clone()
    if kind == "zero":
        return torch.zeros(count, width)
    if kind == "one zero":
        plain[0] = 0.0
    if kind == "opposite":
        plain = plain[:1] * (1 - 2 * (torch.arange(count) % 2))[:, None]
    return plain


KINDS = ("plain", "equal", "zero", "one zero", "opposite")


def evaluate(name: str, kind: str, count: int, width: int, temperature: float, dtype: str, seed: int) -> str:
    """``finite``, or what went wrong: which of the loss and the gradients is not finite. Refusals are raised."""
    generator = torch.Generator().manual_seed(seed)
    kept = getattr(torch, dtype)
    a, b = (rows(kind, count, width, generator).to(kept).requires_grad_() for _ in range(2))
    labels = torch.arange(count) // 2
    loss = OBJECTIVES[name](a, b, labels, temperature, generator)
    if not torch.isfinite(loss):
        return f"the loss is {float(loss.detach())}"
    if loss.requires_grad:
        for which, slope in zip("ab", torch.autograd.grad(loss, (a, b), allow_unused=True), strict=True):
            if slope is not None and not torch.isfinite(slope).all():
                return f"the gradient of {which} is not finite"
    return "finite"
