"""One linear layer over numbers of any shape, and the vectors that stand for what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike.data import ArrayColumn, StackColumn, TextColumn
from unalike.encoders import Absent, Affine, build_encoder, restore_encoder
from unalike.errors import DataError, SettingsError

VALUES = np.random.default_rng(0).normal(3, 5, (30, 2, 4)).astype(np.float32)


@pytest.mark.parametrize("kind", ["series", "points", "array"])
def test_it_is_one_layer_over_standardised_numbers(kind: str) -> None:
    flat = VALUES.reshape(30, -1)
    column = ArrayColumn(flat) if kind == "array" else StackColumn(VALUES, kind=kind)
    encoder = build_encoder("affine", column, width=3, seed=1)
    assert encoder.kind == kind
    found = encoder(encoder.prepare(column).take(np.arange(30))).vector.detach().numpy()
    assert isinstance(encoder, Affine)
    weight, bias = encoder.layer.weight.detach().numpy(), encoder.layer.bias.detach().numpy()
    np.testing.assert_allclose(found, (flat - flat.mean(0)) / flat.std(0) @ weight.T + bias, atol=1e-5)
    again = restore_encoder(encoder.config(), encoder.assets())
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(torch.ones(1, 8)).vector, encoder(torch.ones(1, 8)).vector)
    same = build_encoder("affine", column, width=3, seed=1)
    assert isinstance(same, Affine)
    assert torch.equal(same.layer.weight, encoder.layer.weight)


def test_missing_numbers_count_as_the_mean_and_constant_ones_are_left_alone() -> None:
    values = VALUES.copy()
    values[3, 0, 1], values[5] = np.nan, np.nan
    values[:, 1, 3] = np.where(np.isnan(values[:, 1, 3]), np.nan, 7)
    column = StackColumn(values, kind="series")
    encoder = Affine.for_columns([column], given="", size=0, width=2)
    prepared = encoder.prepare(column)
    assert prepared.present.tolist() == [row != 5 for row in range(30)]
    taken = (prepared.take(np.arange(30)) - encoder.mean) / encoder.std
    assert torch.isfinite(taken).all()
    assert taken[3, 1] == 0
    assert (taken[5] == 0).all()
    assert (taken[:, 7] == 0).all()


def test_what_affine_refuses() -> None:
    column = StackColumn(VALUES, kind="series")
    encoder = build_encoder("affine", column)
    with pytest.raises(DataError, match="entries of 6 numbers were given; this encoder reads 8"):
        encoder.prepare(StackColumn(VALUES[:, :, :3], kind="series"))
    with pytest.raises(DataError, match="reads numbers; given: a column of the kind 'text'"):
        encoder.prepare(TextColumn(["one"]))
    with pytest.raises(DataError, match=r"differ in length: \[6, 8\]"):
        build_encoder("affine", [column, StackColumn(VALUES[:, :, :3], kind="series")])
    with pytest.raises(DataError, match="all of them are missing"):
        build_encoder("affine", StackColumn(np.full((3, 2, 4), np.nan), kind="series"))
    with pytest.raises(SettingsError, match="width=0"):
        Affine("array", 4, width=0)


def test_absent_fills_what_is_missing_and_learns_from_it() -> None:
    absent = Absent(["text", "audio"], 5)
    found = torch.nn.functional.normalize(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    whole = absent.fill("text", found, torch.tensor([1, 3]), 4)
    assert torch.equal(whole[[1, 3]], found)
    assert torch.equal(whole[0], absent("text")) and torch.equal(whole[2], absent("text"))
    assert torch.equal(absent.fill("audio", None, torch.zeros(0, dtype=torch.int64), 3), absent("audio").expand(3, 5))
    assert not torch.equal(absent("audio"), absent("text"))
    torch.testing.assert_close(whole.norm(dim=1), torch.ones(4))
    whole.square()[:, 0].sum().backward()
    assert absent.vectors["text"].grad is not None and absent.vectors["text"].grad.abs().sum() > 0
    assert absent.vectors["audio"].grad is None
    with torch.no_grad():
        zeros = found.clone()
        zeros[0] = 0
        assert torch.equal(absent.replace("text", zeros), torch.stack([absent("text"), found[1]]))
