"""The network for clips: what it keeps of a file, what it reads, and that time enters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from unalike.data import ClipColumn, TextColumn
from unalike.encoders import ClipConv, build_encoder, restore_encoder
from unalike.errors import DataError, SettingsError


def animation(path: Path, frames: int) -> str:
    """Frames whose red counts up by five."""
    shown = [Image.new("RGB", (20, 20), (5 * n, 0, 0)) for n in range(frames)]
    shown[0].save(path, save_all=True, append_images=shown[1:], lossless=True)
    return str(path)


def test_long_clips_are_thinned_and_short_ones_are_played_in_a_loop(tmp_path: Path) -> None:
    (tmp_path / "bad.webp").write_text("nothing")
    paths = [animation(tmp_path / "long.webp", 31), animation(tmp_path / "short.webp", 4), None]
    column = ClipColumn([*paths, str(tmp_path / "bad.webp")])
    packed = build_encoder("clip", column, size=8, frames=4, length=11).prepare(column)
    red = packed.take([0, 1])[:, :, 0, 0, 0]
    assert red[0].tolist() == [15 * n for n in range(11)]
    assert red[1].tolist() == [5 * (n % 4) for n in range(11)]
    assert packed.present.tolist() == [True, True, False, False]
    assert "animated picture" in packed.failures[3].reason


def test_plain_reads_the_middle() -> None:
    encoder = ClipConv(size=8, frames=3, stride=2, length=9)
    clips = torch.arange(9, dtype=torch.uint8).view(1, 9, 1, 1, 1).repeat(1, 1, 3, 8, 8)
    seen = encoder.plain(clips)
    red = (seen[0, :, 0, 0, 0] * 0.229 + 0.485) * 255
    assert red.round().tolist() == [2, 4, 6]


def test_time_enters() -> None:
    encoder = ClipConv(size=16, frames=6, length=6, widths=(4, 8)).eval()
    clips = torch.randn(2, 6, 3, 16, 16)
    forth, back = encoder(clips), encoder(clips.flip(1))
    assert forth.tokens.shape == (2, 6, 8)
    assert torch.allclose(forth.vector, forth.tokens.mean(1))
    assert not torch.allclose(forth.vector, back.vector, atol=1e-4), "played backwards it is another clip"
    again = restore_encoder(encoder.config(), {}).eval()
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(clips).vector, forth.vector)


def test_refusals() -> None:
    with pytest.raises(SettingsError, match="frames=8"):
        ClipConv(frames=8, length=7)
    with pytest.raises(DataError, match="kind 'text'"):
        ClipConv().prepare(TextColumn(["a"]))
