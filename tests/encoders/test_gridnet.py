"""The grid net: its vector is the linear map it says, it knows where things are, and it can be made again."""

from __future__ import annotations

import pytest
import torch

from unalike.data import ImageColumn
from unalike.encoders import ConvNet, GridNet, build_encoder, restore_encoder
from unalike.encoders.norms import HalfInstanceNorm
from unalike.errors import SettingsError


def pictures(count: int, size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_vector_is_a_linear_map_of_the_tokens() -> None:
    encoder = GridNet(size=16, widths=(4, 8), width=5).eval()
    encoded = encoder(encoder.plain(pictures(3)))
    assert encoded.tokens is not None
    expected = encoded.tokens.flatten(1) @ encoder.gather.weight.T / (1 + encoder.norm.eps) ** 0.5
    assert torch.allclose(encoded.vector, expected, atol=1e-5)


def test_position_changes_the_vector_where_a_mean_forgets_it() -> None:
    """A spot at the left or at the right, far from the borders: alike to a mean, unlike to a grid."""
    spot = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    spot[0, :, 28:36, 16:24] = 255
    spot[1, :, 28:36, 40:48] = 255

    @torch.no_grad()
    def apart(encoder) -> float:
        vectors = encoder.eval()(encoder.plain(spot)).vector
        return float((vectors[0] - vectors[1]).norm() / vectors.norm(dim=1).mean())

    assert apart(ConvNet(size=64, widths=(8, 16), depths=(0, 0))) < 1e-3
    assert apart(GridNet(size=64, widths=(8, 16), width=16)) > 0.1


def test_gradient_reaches_every_parameter_and_restore_gives_the_same_vectors() -> None:
    column = ImageColumn([picture.permute(1, 2, 0).numpy() for picture in pictures(4)])
    encoder = build_encoder("grid", column, size=16, width=6, widths=(4, 8), seed=3)
    encoder(encoder.plain(pictures(4))).vector.pow(2).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    restored = restore_encoder(encoder.config(), encoder.assets())
    restored.load_state_dict(encoder.state_dict())
    inputs = encoder.plain(pictures(4))
    assert torch.equal(restored.eval()(inputs).vector, encoder.eval()(inputs).vector)


def test_pictures_too_small_are_refused() -> None:
    with pytest.raises(SettingsError, match="cannot halve a picture of 4 pixels"):
        GridNet(size=4, widths=(8, 8, 8))


def test_a_drawing_encoder_is_a_grid_that_trims_and_forgets_the_style_of_half_its_channels() -> None:
    column = ImageColumn([picture.permute(1, 2, 0).numpy() for picture in pictures(4)])
    encoder = build_encoder("drawing", column, size=16, width=6, widths=(4, 8), seed=3)
    assert isinstance(encoder, GridNet)
    assert encoder.config()["fit"] == "trim"
    inputs = encoder.plain(pictures(4))
    encoder(inputs).vector.pow(2).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    restored = restore_encoder(encoder.config(), encoder.assets())
    restored.load_state_dict(encoder.state_dict())
    assert torch.equal(restored.eval()(inputs).vector, encoder.eval()(inputs).vector)


def test_half_instance_norm_is_the_two_norms_side_by_side() -> None:
    maps = torch.randn(5, 6, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1
    norm = HalfInstanceNorm(6).train()
    mean, var = maps[:, :3].mean((2, 3), keepdim=True), maps[:, :3].var((2, 3), keepdim=True, correction=0)
    assert torch.allclose(norm(maps)[:, :3], (maps[:, :3] - mean) / (var + 1e-5).sqrt(), atol=1e-5)
    mean = maps[:, 3:].mean((0, 2, 3), keepdim=True)
    var = maps[:, 3:].var((0, 2, 3), keepdim=True, correction=0)
    assert torch.allclose(norm(maps)[:, 3:], (maps[:, 3:] - mean) / (var + 1e-5).sqrt(), atol=1e-5)
