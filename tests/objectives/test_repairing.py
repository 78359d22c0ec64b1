"""CleanCLIP's loss against the formula in plain double loops."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unalike import objectives
from unalike.pairing import SharedText


def unit(seed: int, rows: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 4, generator=generator, dtype=torch.float64), dim=1)


def entropy(queries: Tensor, keys: Tensor, scale: float) -> float:
    total = 0.0
    for row in range(len(queries)):
        scores = [scale * float(queries[row] @ keys[other]) for other in range(len(keys))]
        total += math.log(sum(math.exp(score) for score in scores)) - scores[row]
    return total / len(queries)


def test_cleanclip_by_its_formula() -> None:
    images, texts, looks, words = (unit(seed) for seed in range(4))
    across = (entropy(images, texts, 7.0) + entropy(texts, images, 7.0)) / 2
    within = (entropy(images, looks, 7.0) + entropy(texts, words, 7.0)) / 2
    for weights in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.5, 2.0)):
        found = objectives.cleanclip(images, texts, looks, words, logit_scale=7.0, across=weights[0], within=weights[1])
        torch.testing.assert_close(float(found), weights[0] * across + weights[1] * within, rtol=1e-6, atol=1e-6)


def test_the_scale_is_shared_and_gets_its_gradient() -> None:
    scale = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    parts = [unit(seed) for seed in range(4)]
    objectives.cleanclip(*parts, logit_scale=scale).backward()
    step = 1e-5
    values = [float(objectives.cleanclip(*parts, logit_scale=5.0 + sign * step)) for sign in (1, -1)]
    assert scale.grad is not None
    torch.testing.assert_close(float(scale.grad), (values[0] - values[1]) / (2 * step), rtol=1e-4, atol=1e-6)


def test_rows_of_equal_captions_are_positives_of_each_other() -> None:
    images, looks, texts, words = (unit(seed) for seed in range(4))
    codes = torch.tensor([0, 0, 1, 2, 3])

    def shared(queries: Tensor, keys: Tensor) -> float:
        total = 0.0
        for row in range(5):
            scores = [9.0 * float(queries[row] @ keys[other]) for other in range(5)]
            same = [scores[other] for other in range(5) if codes[other] == codes[row]]
            total += math.log(sum(math.exp(score) for score in scores)) - sum(same) / len(same)
        return total / 5

    expected = (shared(images, texts) + shared(texts, images)) / 2 + (
        entropy(images, looks, 9.0) + shared(texts, words)
    ) / 2
    found = objectives.cleanclip(images, texts, looks, words, logit_scale=9.0, pairing=SharedText(codes))
    torch.testing.assert_close(float(found), expected, rtol=1e-6, atol=1e-6)
