"""The network for clips: what it keeps of a file, what it reads, and that time enters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from unalike.data import ClipColumn, TextColumn
from unalike.encoders import ClipConv, FrameByFrame, build_encoder, restore_encoder
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


def test_clips_of_several_sizes_are_read_at_one(tmp_path: Path) -> None:
    paths = []
    for name, size in {"small": (9, 9), "wide": (64, 20), "tall": (20, 64)}.items():
        shown = [Image.new("RGB", size, (50 * n, 0, 0)) for n in range(5)]
        shown[0].save(tmp_path / f"{name}.webp", save_all=True, append_images=shown[1:], lossless=True)
        paths.append(str(tmp_path / f"{name}.webp"))
    packed = ClipConv(size=12, frames=3, length=5).prepare(ClipColumn(paths))
    assert packed.present.all() and not packed.failures
    clips = packed.take([0, 1, 2])
    assert clips.shape == (3, 5, 3, 12, 12)
    assert clips[:, :, 0].flatten(2).amax(2).tolist() == [[0, 50, 100, 150, 200]] * 3


def test_a_column_is_decoded_once_for_each_size_and_length(tmp_path: Path) -> None:
    column = ClipColumn([animation(tmp_path / "a.webp", 6)])
    encoder = ClipConv(size=8, frames=2, length=4)
    packed = encoder.prepare(column)
    (tmp_path / "a.webp").unlink()
    assert ClipConv(size=8, frames=3, length=4).prepare(column) is packed
    assert not ClipConv(size=8, frames=2, length=5).prepare(column).present.any()
    assert not encoder.prepare(ClipColumn([str(tmp_path / "a.webp")])).present.any()


def test_without_a_model_a_clip_is_the_mean_of_its_frames(tmp_path: Path) -> None:
    column = ClipColumn([animation(tmp_path / "a.webp", 5), animation(tmp_path / "b.webp", 3)])
    raw = ClipConv(size=32, frames=2, length=3).prepare(column).raw([1, 0])
    assert raw.shape == (2, 768)
    assert raw.view(2, 3, 256)[:, 0].unique(dim=1).squeeze().tolist() == [5, 10]


def test_frame_by_frame_no_motion_enters() -> None:
    whole = ClipConv(size=16, frames=6, length=6, widths=(4, 8)).eval()
    single = FrameByFrame(whole).eval()
    clips = torch.randn(2, 6, 3, 16, 16)
    found = single(clips)
    shuffled = single(clips[:, torch.tensor([3, 1, 5, 0, 2, 4])])
    assert torch.allclose(found.vector, shuffled.vector, atol=1e-6)
    assert torch.allclose(found.tokens[:, 2], whole(clips[:, 2:3]).vector, atol=1e-6)
    assert single.width == 8 and single.plain(torch.zeros(1, 6, 3, 16, 16, dtype=torch.uint8)).shape[1] == 6
    assert [name.removeprefix("encoder.") for name in single.state_dict()] == list(whole.state_dict())


def test_refusals() -> None:
    with pytest.raises(SettingsError, match="frames=8"):
        ClipConv(frames=8, length=7)
    with pytest.raises(DataError, match="kind 'text'"):
        ClipConv().prepare(TextColumn(["a"]))
