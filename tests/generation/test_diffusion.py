"""Denoising diffusion against plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unalike.errors import SettingsError
from unalike.generation import Diffusion, UNet, cosine_schedule, linear_schedule
from unalike.generation.unet import sinusoidal


def kept(betas: torch.Tensor) -> list[float]:
    """abar by a plain loop."""
    found, left = [], 1.0
    for beta in betas.tolist():
        left *= 1 - beta
        found.append(left)
    return found


def test_the_linear_schedule_is_the_papers() -> None:
    betas = linear_schedule(1000)
    for step in (0, 1, 500, 999):
        assert float(betas[step]) == pytest.approx(1e-4 + (0.02 - 1e-4) * step / 999)
    assert kept(linear_schedule(100))[-1] == pytest.approx(kept(betas)[-1], abs=1e-4)


def test_the_cosine_schedule_keeps_a_squared_cosine() -> None:
    steps, offset = 40, 0.008
    found = kept(cosine_schedule(steps))
    begin = math.cos(offset / (1 + offset) * math.pi / 2) ** 2
    for step in range(steps - 1):  # the last is clipped
        wanted = math.cos(((step + 1) / steps + offset) / (1 + offset) * math.pi / 2) ** 2 / begin
        assert found[step] == pytest.approx(wanted, rel=1e-6)


def test_noising_in_one_go_has_the_moments_of_noising_step_by_step() -> None:
    diffusion = Diffusion(linear_schedule(12))
    generator = torch.Generator().manual_seed(0)
    count, start, last = 200_000, 0.7, 8
    slow = torch.full((count,), start, dtype=torch.float64)
    for beta in diffusion.betas[: last + 1].tolist():
        noise = torch.randn(count, generator=generator, dtype=torch.float64)
        slow = math.sqrt(1 - beta) * slow + math.sqrt(beta) * noise
    images = torch.full((count, 1, 1, 1), start, dtype=torch.float64)
    noise = torch.randn(images.shape, generator=generator, dtype=torch.float64)
    fast = diffusion.noised(images, torch.full((count,), last), noise)
    assert float(fast.mean()) == pytest.approx(float(slow.mean()), abs=0.01)
    assert float(fast.std()) == pytest.approx(float(slow.std()), abs=0.01)
    left = kept(diffusion.betas)[last]
    assert float(fast.mean()) == pytest.approx(math.sqrt(left) * start, abs=0.01)
    assert float(fast.std()) == pytest.approx(math.sqrt(1 - left), abs=0.01)


@pytest.mark.parametrize("step", [1, 4, 9])
def test_the_posterior_is_bayes_rule_on_a_grid(step: int) -> None:
    """p(x_{t-1} | x_t, x_0) is proportional to p(x_t | x_{t-1}) p(x_{t-1} | x_0); normalised on a fine grid."""
    betas = linear_schedule(10)
    diffusion, left = Diffusion(betas), kept(betas)
    x0, xt, beta = 0.4, -0.3, float(betas[step])
    grid = np.linspace(-8, 8, 200_001)
    forward = -((xt - math.sqrt(1 - beta) * grid) ** 2) / (2 * beta)
    prior = -((grid - math.sqrt(left[step - 1]) * x0) ** 2) / (2 * (1 - left[step - 1]))
    weight = np.exp(forward + prior - (forward + prior).max())
    weight /= weight.sum()
    mean = float((weight * grid).sum())
    variance = float((weight * (grid - mean) ** 2).sum())
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    found, spread = diffusion.posterior(x0 * one, xt * one, torch.tensor([step]))
    assert float(found) == pytest.approx(mean, abs=1e-5)
    assert float(spread) == pytest.approx(variance, abs=1e-5)


def test_before_the_first_step_is_the_image_itself() -> None:
    diffusion = Diffusion(linear_schedule(10))
    images, noised = torch.rand(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    mean, variance = diffusion.posterior(images, noised, torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(mean, images)
    assert float(variance.abs().max()) == 0


def test_denoising_with_the_true_noise_gives_the_image_back() -> None:
    diffusion = Diffusion(cosine_schedule(20))
    images, noise, at = 2 * torch.rand(6, 3, 4, 4) - 1, torch.randn(6, 3, 4, 4), torch.tensor([0, 1, 5, 10, 15, 17])
    torch.testing.assert_close(
        diffusion.denoised(diffusion.noised(images, at, noise), at, noise), images, atol=1e-4, rtol=1e-4
    )


def test_sampling_with_a_perfect_denoiser_ends_at_the_image() -> None:
    diffusion = Diffusion(cosine_schedule(20))
    target = 2 * torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(1)) - 1

    def denoiser(noised: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        left = diffusion.kept[at].view(-1, 1, 1, 1)
        return ((noised - left.sqrt() * target) / (1 - left).sqrt()).float()

    found = diffusion.sample(denoiser, (3, 1, 4, 4), torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, target.expand(3, -1, -1, -1), atol=1e-4, rtol=1e-4)


def test_the_loss_is_the_mean_squared_error_of_the_noise() -> None:
    diffusion = Diffusion(linear_schedule(10))
    images = torch.rand(2, 1, 2, 2)
    at, noise = diffusion.draw(images, torch.Generator().manual_seed(0))
    found = diffusion.loss(lambda noised, _: 0.5 * noised, images, at, noise)
    total, left = 0.0, kept(diffusion.betas)
    for image, step, added in zip(images, at.tolist(), noise, strict=True):
        for pixel, wanted in zip(image.flatten().tolist(), added.flatten().tolist(), strict=True):
            noised = math.sqrt(left[step]) * pixel + math.sqrt(1 - left[step]) * wanted
            total += (0.5 * noised - wanted) ** 2
    assert float(found) == pytest.approx(total / 8, rel=1e-5)


def test_samples_follow_from_the_seed() -> None:
    diffusion, net = Diffusion(linear_schedule(5)), UNet(channels=1, width=8, levels=1, seed=0)
    nn_last = net.last[2]
    torch.nn.init.normal_(nn_last.weight, std=0.1)
    first, again, other = (
        diffusion.sample(net.eval(), (2, 1, 8, 8), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.abs().max()) <= 1


def test_the_net_is_told_the_step_and_gradient_reaches_every_part() -> None:
    net = UNet(channels=3, width=16, levels=2, seed=0)
    torch.nn.init.normal_(net.last[2].weight, std=0.1)
    images = torch.randn(1, 3, 8, 8).expand(2, -1, -1, -1)
    found = net(images, torch.tensor([0, 50]))
    assert found.shape == images.shape
    assert float((found[0] - found[1]).abs().max()) > 1e-4
    found.square().sum().backward()
    assert not [name for name, each in net.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]


def test_steps_are_embedded_by_sines_and_cosines() -> None:
    found = sinusoidal(torch.tensor([3]), 8)[0].tolist()
    for place in range(4):
        angle = 3 / 10000 ** (place / 4)
        assert found[place] == pytest.approx(math.sin(angle), abs=1e-6)
        assert found[4 + place] == pytest.approx(math.cos(angle), abs=1e-6)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(SettingsError, match="at least 2 steps; given: 1"):
        linear_schedule(1)
    with pytest.raises(SettingsError, match="above 0 and below 1"):
        Diffusion(torch.tensor([0.1, 1.0]))
    with pytest.raises(SettingsError, match="width=12"):
        UNet(width=12)
    with pytest.raises(SettingsError, match="sides that 4 divides; given: 6 x 8"):
        UNet(channels=1, width=8)(torch.zeros(1, 1, 6, 8), torch.tensor([0]))
