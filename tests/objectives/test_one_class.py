"""CLAN's loss against plain double loops in float64."""

from __future__ import annotations

import pytest
import torch

from unalike.errors import DataError, SettingsError
from unalike.objectives import clan


def loops(samples, altered, margin):
    def distance(one, other):
        return (1 - one @ other) / 2

    count = len(samples)
    near = [distance(samples[i], samples[j]) for i in range(count) for j in range(count) if i != j]
    short = [margin - distance(one, other) for one in samples for other in altered]
    active = [each for each in short if each > 0]
    return sum(near) / len(near) / 2 + (sum(active) / len(active) / 2 if active else 0)


@pytest.mark.parametrize(("count", "others", "margin"), [(2, 2, 0.5), (7, 7, 0.5), (5, 3, 0.3), (6, 9, 1.0)])
def test_values_and_gradients(count, others, margin):
    generator = torch.Generator().manual_seed(count)
    samples, altered = (
        torch.nn.functional.normalize(torch.randn(n, 4, generator=generator, dtype=torch.float64), dim=1)
        for n in (count, others)
    )
    ours = [each.clone().requires_grad_() for each in (samples, altered)]
    theirs = [each.clone().requires_grad_() for each in (samples, altered)]
    value, expected = clan(*ours, margin=margin), loops(*theirs, margin)
    value.backward()
    expected.backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-7, atol=1e-12)


def test_no_altered_sample_within_the_margin_costs_nothing():
    samples = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    altered = (-samples).requires_grad_()
    value = clan(samples, altered)
    value.backward()
    assert float(value.detach()) == 0
    assert float(altered.grad.abs().sum()) == 0


def test_refusals():
    with pytest.raises(DataError, match="batch of 1"):
        clan(torch.eye(2)[:1], torch.eye(2))
    with pytest.raises(SettingsError, match="margin=2"):
        clan(torch.eye(2), torch.eye(2), margin=2)
