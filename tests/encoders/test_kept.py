"""An encoder that was trained in one run begins another: the same weights, tokens and all, or words why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import unalike
from unalike.data import ImageColumn, TextColumn
from unalike.encoders import TextTransformer, build_encoder, fresh_encoder, load_tower, save_tower
from unalike.errors import DataError, RunError, SettingsError

TEXTS = ["a red bicycle", "two blue cars", "日本語", ""]


@pytest.fixture
def tower(tmp_path: Path) -> tuple[Path, TextTransformer]:
    encoder = TextTransformer.from_texts(TEXTS, vocabulary=300, width=16, depth=1, heads=2, length=8, seed=3)
    save_tower(tmp_path / "tower", encoder)
    return tmp_path / "tower", encoder


def test_what_was_kept_gives_the_same_vectors(tower: tuple[Path, TextTransformer]) -> None:
    folder, encoder = tower
    # Its tokenizer comes along: the columns at hand teach it nothing.
    loaded = build_encoder(f"run:{folder}", TextColumn(["entirely other texts"]), seed=9)
    assert isinstance(loaded, TextTransformer) and loaded.pretrained
    np.testing.assert_array_equal(loaded.encode(TEXTS), encoder.encode(TEXTS))
    again = fresh_encoder(loaded, seed=1)
    assert torch.equal(next(again.parameters()), next(loaded.parameters()))


def test_damage_and_wrong_kinds_are_named(tower: tuple[Path, TextTransformer], tmp_path: Path) -> None:
    folder, _ = tower
    with pytest.raises(RunError, match="is no run directory"):
        load_tower(tmp_path / "none", "text")
    with pytest.raises(SettingsError, match="has no setting width"):
        build_encoder(f"run:{folder}", TextColumn(TEXTS), width=8)
    with pytest.raises(SettingsError, match="no encoder 'run:"):
        build_encoder(f"run:{folder}", ImageColumn([np.zeros((8, 8, 3), np.uint8)]))
    with pytest.raises(DataError, match="no encoder for the kind 'image'"):
        load_tower(folder, "image")
    weights = folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RunError, match="was changed after it was written"):
        load_tower(folder, "text")


def test_a_run_begins_another(tmp_path: Path) -> None:
    texts = [f"{a} {b} on the {c}" for a in ("red", "blue", "old") for b in ("car", "boat") for c in ("road", "lake")]
    first = unalike.fit(
        texts, system="bert", encoder={"text": "transformer"}, steps=2, batch_size=4, out=tmp_path / "first"
    )
    second = unalike.fit(
        texts,
        system="simcse",
        encoder={"text": f"run:{tmp_path / 'first'}"},
        steps=1,
        learning_rate=0.0,
        batch_size=4,
        out=tmp_path / "second",
    )
    np.testing.assert_allclose(second.embed(texts).vectors, first.embed(texts).vectors, atol=1e-6)
    # It needs the first one no longer.
    (tmp_path / "first").rename(tmp_path / "gone")
    np.testing.assert_array_equal(unalike.load(tmp_path / "second").embed(texts).vectors, second.embed(texts).vectors)
