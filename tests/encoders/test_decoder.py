"""The decoder gives pictures of the right shape, and with an encoder learns some by heart."""

from __future__ import annotations

import pytest
import torch

from unalike.encoders import GridNet, ImageDecoder, seeded
from unalike.errors import SettingsError


@pytest.mark.parametrize(("size", "widths"), [(8, (4, 4, 4)), (20, (8, 4)), (33, (4, 4, 4)), (16, (4,))])
def test_any_size(size: int, widths: tuple[int, ...]) -> None:
    with seeded(0):
        decoder = ImageDecoder(5, size=size, widths=widths)
    assert decoder(torch.randn(2, 5)).shape == (2, 3, size, size)
    again = ImageDecoder(5, size=size, widths=widths, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(decoder.parameters(), again.parameters(), strict=True))


def test_more_doublings_than_room() -> None:
    for widths in ((), (4,) * 4):
        with pytest.raises(SettingsError, match="doublings"):
            ImageDecoder(5, size=8, widths=widths)


def test_a_denoising_autoencoder_learns_a_handful_of_pictures() -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (6, 3, 4, 4), generator=generator).float()
    pictures = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear").to(torch.uint8)
    encoder = GridNet(size=16, widths=(8, 16), width=32)
    decoder = ImageDecoder(32, size=16, widths=(32, 16), seed=0)
    clean = encoder.plain(pictures)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    for _ in range(200):
        noisy = clean + 0.3 * torch.randn(clean.shape, generator=generator)
        loss = (decoder(encoder(noisy).vector) - clean).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # Far below the error of the mean picture, which is what vectors that say nothing would give.
    assert float(loss.detach()) < 0.05 * float((clean - clean.mean(0)).pow(2).mean())
