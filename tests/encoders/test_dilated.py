"""The network for series: what it reads, what it leaves alone, and gates that can be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike.data import ArrayColumn, StackColumn
from unalike.encoders import DilatedConv, StepGates, build_encoder, hard_concrete, restore_encoder, unsteadiness
from unalike.errors import DataError, SettingsError


def column(values: np.ndarray) -> StackColumn:
    return StackColumn(values, kind="series")


def ragged(rows: int = 6, channels: int = 2, steps: int = 20) -> np.ndarray:
    values = np.random.default_rng(0).normal(5, 3, (rows, channels, steps)).astype(np.float32)
    values[1, :, 12:] = np.nan
    values[2, 0, 3] = np.nan
    return values


def test_channels_are_standardised_by_what_was_measured() -> None:
    values = ragged()
    values[:, 1] = 7.0
    encoder = build_encoder("dilated", column(values), hidden=8, width=4, depth=2)
    plain = encoder.plain(encoder.prepare(column(values)).take(np.arange(6)))
    first = plain[:, 0][~plain[:, 0].isnan()].double()
    assert float(first.mean()) == pytest.approx(0, abs=1e-5)
    assert float(first.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert float(plain[:, 1].nan_to_num().abs().max()) < 1e-5, "a channel that never changes stays at zero"


def test_padding_changes_nothing_and_a_single_gap_is_the_mean() -> None:
    encoder = build_encoder("dilated", column(ragged()), hidden=8, width=4, depth=2).eval()
    series = encoder.plain(torch.from_numpy(ragged()))
    found = encoder(series)
    assert found.mask.sum(1).tolist() == [20, 12, 20, 20, 20, 20]
    alone = encoder(torch.nn.functional.pad(series[1:2, :, :12], (0, 30), value=float("nan")))
    assert torch.allclose(found.vector[1], alone.vector[0], atol=1e-6)
    filled = series.clone()
    filled[2, 0, 3] = 0
    assert torch.equal(encoder(filled).vector[2], found.vector[2])
    assert torch.allclose(found.vector[0], found.tokens[0].amax(0))
    nothing = encoder(torch.full((1, 2, 5), float("nan")))
    assert float(nothing.vector.detach().abs().sum()) == 0
    # A view hides a step by NaN: what stood there must not matter.
    hidden, other = series.clone(), series.clone()
    other[0, :, 4] = 9.0
    hidden[0, :, 4] = other[0, :, 4] = float("nan")
    assert torch.equal(encoder(hidden).vector, encoder(other).vector)


def test_reach_doubles_from_block_to_block() -> None:
    encoder = DilatedConv(1, width=4, hidden=4, depth=2, dropout=0)
    series = torch.zeros(1, 1, 101, requires_grad=True)
    encoder(series).tokens[0, 50].sum().backward()
    reached = series.grad[0, 0].nonzero().flatten()
    assert (int(reached.min()), int(reached.max())) == (50 - 14, 50 + 14), "2 * (1 + 2 + 4) steps to each side"


def test_saved_and_loaded() -> None:
    encoder = build_encoder("dilated", column(ragged()), hidden=8, width=4, depth=1, seed=3).eval()
    again = restore_encoder(encoder.config(), encoder.assets())
    again.load_state_dict(encoder.state_dict())
    series = torch.from_numpy(ragged())
    assert torch.equal(again.eval()(again.plain(series)).vector, encoder(encoder.plain(series)).vector)


def test_what_it_refuses() -> None:
    encoder = DilatedConv(3)
    with pytest.raises(DataError, match=r"series of 2 channels were given; this encoder reads 3"):
        encoder.prepare(column(ragged()))
    with pytest.raises(DataError, match="kind 'array'"):
        encoder.prepare(ArrayColumn(np.ones((2, 3))))
    with pytest.raises(SettingsError, match="hidden=0"):
        DilatedConv(1, hidden=0)
    empty = ragged()
    empty[:, 1] = np.nan
    with pytest.raises(DataError, match="channel 2 has no value"):
        build_encoder("dilated", column(empty))
    with pytest.raises(DataError, match="differ in channels"):
        build_encoder("dilated", [column(ragged()), column(ragged(channels=3))])


def test_gates_open_as_often_as_their_law_says() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([-1.0, 0.0, 2.0]).repeat(20000, 1).requires_grad_()
    gates = hard_concrete(logits)
    assert set(gates.detach().unique().tolist()) <= {0.0, 1.0}
    # Open where 1.05 s - 0.05 > 1/2, s = sigmoid(noise + logit) with logistic noise.
    threshold = np.log((0.55 / 1.05) / (1 - 0.55 / 1.05))
    expected = 1 / (1 + np.exp(threshold - np.array([-1.0, 0.0, 2.0])))
    np.testing.assert_allclose(gates.detach().mean(0), expected, atol=0.02)
    gates.sum().backward()
    assert float(logits.grad.min()) >= 0 < float(logits.grad.mean()), "the gradient is the soft gate's"
    soft = hard_concrete(torch.zeros(1000), threshold=False)
    assert float(soft.min()) == 0 < float(soft.max()) <= 1
    with pytest.raises(SettingsError, match="temperature=0"):
        hard_concrete(logits, temperature=0)


def test_what_is_missing_stays_missing_and_leaves_gradients_finite() -> None:
    gates = StepGates(2, width=4, hidden=4, depth=1)
    series = torch.from_numpy(ragged())
    altered, share = gates(series)
    assert torch.equal(altered.isnan(), series.isnan())
    (altered.nan_to_num().sum() + share.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in gates.parameters() if p.grad is not None)
    # One gate and one scale a step, for all channels alike.
    factors = (altered / series).nan_to_num(1.0)
    assert torch.allclose(factors[0, 0], factors[0, 1], atol=1e-5)


def test_unsteadiness_by_loops() -> None:
    share = torch.rand(2, 6, dtype=torch.float64)
    mask = torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    apart = [abs(float(share[b, t + 1] - share[b, t])) for b, n in ((0, 6), (1, 3)) for t in range(n - 1)]
    alike = [1 - abs(float(share[b, t] - share[b, t - 3])) for b, n in ((0, 6), (1, 3)) for t in range(n)]
    expected = sum(apart) / len(apart) + sum(alike) / len(alike)
    assert float(unsteadiness(share, mask)) == pytest.approx(expected)
