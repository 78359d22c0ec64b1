"""Contrast inside one utterance against double loops, and the codebook's terms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unalike.errors import DataError, SettingsError
from unalike.objectives import code_diversity, code_perplexity, masked_codes, within_sequence


def loops(
    contexts: np.ndarray, targets: np.ndarray, hidden: np.ndarray, temperature: float, codes: np.ndarray | None
) -> float:
    found = []
    for b in range(len(contexts)):
        places = np.flatnonzero(hidden[b])
        for i in places:
            others = [j for j in places if j != i and (codes is None or codes[b, j] != codes[b, i])]
            if not others:
                continue
            cosines = {
                j: contexts[b, i] @ targets[b, j] / np.linalg.norm(contexts[b, i]) / np.linalg.norm(targets[b, j])
                for j in (i, *others)
            }
            total = sum(math.exp(value / temperature) for value in cosines.values())
            found.append(-math.log(math.exp(cosines[i] / temperature) / total))
    return sum(found) / len(found)


@pytest.mark.parametrize("with_codes", [False, True])
def test_within_one_utterance(with_codes: bool) -> None:
    rng = np.random.default_rng(0)
    contexts, targets = rng.normal(size=(2, 3, 7, 5))
    hidden = rng.random((3, 7)) < 0.6
    hidden[2] = False
    codes = rng.integers(0, 3, (3, 7)) if with_codes else None
    ours = within_sequence(
        torch.from_numpy(contexts),
        torch.from_numpy(targets),
        hidden=torch.from_numpy(hidden),
        temperature=0.3,
        codes=None if codes is None else torch.from_numpy(codes),
    )
    assert float(ours) == pytest.approx(loops(contexts, targets, hidden, 0.3, codes), rel=1e-6)


def test_other_utterances_and_what_is_not_hidden_do_not_count() -> None:
    torch.manual_seed(0)
    contexts, targets = torch.randn(2, 2, 6, 4).double().unbind(0)
    hidden = torch.zeros(2, 6, dtype=torch.bool)
    hidden[:, :3] = True
    before = within_sequence(contexts[:1], targets[:1], hidden=hidden[:1], temperature=0.1)
    changed = targets.clone()
    changed[1] = 0.3
    changed[0, 3:] = 9.0
    both = within_sequence(contexts[[0, 0]], torch.stack([changed[0], changed[0]]), hidden=hidden, temperature=0.1)
    assert float(both) == pytest.approx(float(before), rel=1e-9)


def test_gradients() -> None:
    torch.manual_seed(0)
    contexts, targets = (torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    hidden = torch.tensor([[1, 1, 0, 1, 1], [0, 1, 1, 0, 1]], dtype=torch.bool)
    assert torch.autograd.gradcheck(
        lambda a, b: within_sequence(a, b, hidden=hidden, temperature=0.5), (contexts, targets)
    )


def test_nothing_to_tell_apart_costs_nothing_and_has_a_gradient() -> None:
    contexts = torch.randn(1, 4, 3, requires_grad=True)
    hidden = torch.tensor([[True, False, False, False]])
    loss = within_sequence(contexts, contexts.detach(), hidden=hidden, temperature=0.1)
    loss.backward()
    assert float(loss) == 0
    assert bool((contexts.grad == 0).all())  # type: ignore[union-attr]


def test_bad_input() -> None:
    one = torch.zeros(1, 4, 3)
    with pytest.raises(DataError, match="hidden"):
        within_sequence(one, one, hidden=torch.ones(1, 5, dtype=torch.bool), temperature=0.1)
    with pytest.raises(SettingsError):
        within_sequence(one, one, hidden=torch.ones(1, 4, dtype=torch.bool), temperature=0.0)


def test_perplexity_counts_the_codes_in_use() -> None:
    even = torch.eye(8).repeat(3, 1)
    assert float(code_perplexity(even)) == pytest.approx(8)
    assert float(code_diversity(even)) == pytest.approx(0, abs=1e-6)
    one = torch.zeros(5, 8)
    one[:, 2] = 1
    assert float(code_perplexity(one)) == pytest.approx(1)
    assert float(code_diversity(one)) == pytest.approx(7 / 8)


def test_codes_of_what_is_hidden_alone() -> None:
    rng = np.random.default_rng(0)
    logits, codes = rng.normal(size=(2, 5, 4)), rng.integers(0, 4, (2, 5))
    hidden = rng.random((2, 5)) < 0.5
    expected = np.mean(
        [
            -logits[b, i, codes[b, i]] + math.log(np.exp(logits[b, i]).sum())
            for b, i in zip(*np.nonzero(hidden), strict=True)
        ]
    )
    ours = masked_codes(torch.from_numpy(logits), torch.from_numpy(codes), hidden=torch.from_numpy(hidden))
    assert float(ours) == pytest.approx(expected)
    nothing = masked_codes(
        torch.from_numpy(logits), torch.from_numpy(codes), hidden=torch.zeros(2, 5, dtype=torch.bool)
    )
    assert float(nothing) == 0
