"""Losses written as plain double loops over float64 numbers: what the fast ones are held against."""

from __future__ import annotations

import torch
from torch import Tensor


def vectors(n: int, d: int, seed: int, *, near: Tensor | None = None, dtype: torch.dtype = torch.float64) -> Tensor:
    """Unit vectors; with ``near`` they lie about those rows."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    if near is not None:
        x = near.double()[:n] + 0.5 * x
    return torch.nn.functional.normalize(x, dim=1).to(dtype)


def row_sums(q: Tensor, k: Tensor, positive: Tensor, negative: Tensor, temperature: list[float] | list[Tensor]):
    """For each row: log-sum-exp over negatives and over positives, mean positive score, weight; entries or None."""
    rows = []
    for i in range(len(q)):
        scores = [(q[i] * k[j]).sum() / temperature[i] for j in range(len(k))]
        minus = [negative[i, j].double().log() + scores[j] for j in range(len(k)) if negative[i, j] > 0]
        plus = [scores[j] for j in range(len(k)) if positive[i, j] > 0]
        weight = float(positive[i].double().sum())
        mean = sum(float(positive[i, j]) / weight * scores[j] for j in range(len(k)) if positive[i, j] > 0)
        rows.append(
            (
                torch.stack(minus).logsumexp(0) if minus else None,
                torch.stack(plus).logsumexp(0) if plus else None,
                mean if plus else None,
                weight,
            )
        )
    return rows


def coupled(q: Tensor, k: Tensor, positive: Tensor, negative: Tensor, temperature: list, *, inside: bool = False):
    """Mean over rows with positives of InfoNCE with several positives, outside or inside of the logarithm."""
    losses = []
    for minus, plus, mean, weight in row_sums(q, k, positive, negative, temperature):
        if plus is None:
            continue
        every = plus if minus is None else torch.logaddexp(minus, plus)
        losses.append(every - plus + torch.tensor(weight).double().log() if inside else every - mean)
    return torch.stack(losses).mean()


def gradients(loss: Tensor, *inputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, inputs, retain_graph=True))


def off(value: Tensor, reference: Tensor) -> float:
    """Relative difference (Frobenius); absolute where the reference is next to nothing."""
    value, reference = value.detach().double(), reference.detach().double()
    return float((value - reference).norm() / reference.norm().clamp(min=1e-12))
