"""Denoising diffusion: noise is added step by step, and a network learns to take it away."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from unalike.errors import SettingsError

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""Predicts the noise in images ``(B, C, H, W)`` at steps int64 ``(B,)``."""


def linear_schedule(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """Variances of the steps' noise, float64 ``(steps,)``, as of Ho, Jain and Abbeel 2020 (arXiv:2006.11239).

    Their range is meant for 1,000 steps: with fewer, both ends grow so that as much noise is added in all.

    Args:
        steps: how many.
        first, last: variance of the first and the last of 1,000 steps.

    Example:
        >>> [round(float(each), 4) for each in linear_schedule(1000)[[0, -1]]]
        [0.0001, 0.02]
    """
    _check(steps)
    scale = 1000 / steps
    return torch.linspace(first * scale, last * scale, steps, dtype=torch.float64).clamp(max=0.999)


def cosine_schedule(steps: int, offset: float = 0.008) -> Tensor:
    """The variances that let the signal's share fall as a squared cosine (Nichol and Dhariwal 2021, arXiv:2102.09672).

    Args:
        steps: how many.
        offset: keeps the first steps from being too small.

    Example:
        >>> bool((cosine_schedule(50).diff() > 0).all()), float(cosine_schedule(50)[-1])
        (True, 0.999)
    """
    _check(steps)
    at = torch.arange(steps + 1, dtype=torch.float64) / steps
    left = torch.cos((at + offset) / (1 + offset) * math.pi / 2).square()
    return (1 - left[1:] / left[:-1]).clamp(max=0.999)


def _check(steps: int) -> None:
    if steps < 2:
        raise SettingsError(f"a diffusion has at least 2 steps; given: {steps}")


class Diffusion(nn.Module):
    """Denoising diffusion (Ho, Jain and Abbeel 2020, arXiv:2006.11239): noising, the loss, and sampling.

    ``x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise``, where ``abar_t`` is the product of ``1 - beta`` up to step t,
    counted from 0. The network predicts the noise. It has no parameters of its own.

    Args:
        betas: ``(T,)``, the variances of the steps' noise, each in (0, 1): `linear_schedule` or `cosine_schedule`.

    Raises:
        SettingsError: a variance is outside of (0, 1).

    Example:
        >>> import torch
        >>> from unalike.generation import Diffusion, linear_schedule
        >>> diffusion = Diffusion(linear_schedule(20))
        >>> images = diffusion.sample(lambda x, t: torch.zeros_like(x), (2, 1, 8, 8), torch.Generator().manual_seed(0))
        >>> images.shape, bool(images.abs().max() <= 1)
        (torch.Size([2, 1, 8, 8]), True)
    """

    betas: Tensor
    kept: Tensor
    """``(T,)``: abar, how much of the signal's variance is left after each step."""

    def __init__(self, betas: Tensor) -> None:
        super().__init__()
        if not bool(((betas > 0) & (betas < 1)).all()):
            raise SettingsError("the variances of a diffusion's steps must be above 0 and below 1")
        self.register_buffer("betas", betas.double())
        self.register_buffer("kept", torch.cumprod(1 - betas.double(), 0))

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.betas)

    def noised(self, images: Tensor, at: Tensor, noise: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` in [-1, 1] after the steps ``at``, int64 ``(B,)``, with standard normal ``noise``."""
        kept = self.kept[at].view(-1, 1, 1, 1)
        return (kept.sqrt() * images + (1 - kept).sqrt() * noise).to(images.dtype)

    def posterior(self, images: Tensor, noised: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Mean ``(B, C, H, W)`` and variance ``(B, 1, 1, 1)`` of what came before ``noised``, if ``images`` is known.

        Equations 6 and 7 of the paper; of the first step the mean is ``images`` and the variance is 0.
        """
        beta, kept = self.betas[at], self.kept[at]
        before = torch.where(at > 0, self.kept[(at - 1).clamp(min=0)], torch.ones_like(kept))
        of_images = (before.sqrt() * beta / (1 - kept)).view(-1, 1, 1, 1)
        of_noised = ((1 - beta).sqrt() * (1 - before) / (1 - kept)).view(-1, 1, 1, 1)
        variance = (beta * (1 - before) / (1 - kept)).view(-1, 1, 1, 1)
        return (of_images * images + of_noised * noised).to(noised.dtype), variance.to(noised.dtype)

    def denoised(self, noised: Tensor, at: Tensor, noise: Tensor) -> Tensor:
        """The images in [-1, 1] that ``noised`` comes from, if ``noise`` is what was added; the inverse of `noised`."""
        kept = self.kept[at].view(-1, 1, 1, 1)
        found = (noised - (1 - kept).sqrt() * noise) / kept.sqrt()
        return found.clamp(-1, 1).to(noised.dtype)

    def loss(self, denoiser: Denoiser, images: Tensor, at: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error of the predicted noise, the paper's simple loss (equation 14).

        Args:
            denoiser: the network.
            images: ``(B, C, H, W)`` in [-1, 1].
            at: int64 ``(B,)``, the step of each image.
            noise: standard normal, as ``images``.
        """
        return nn.functional.mse_loss(denoiser(self.noised(images, at, noise), at), noise)

    def draw(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each image a step, int64 ``(B,)``, and noise, from a generator of the CPU."""
        at = torch.randint(self.steps, (len(images),), generator=generator)
        return at.to(images.device), torch.randn(images.shape, generator=generator).to(images)

    @torch.no_grad()
    def sample(self, denoiser: Denoiser, shape: tuple[int, int, int, int], generator: torch.Generator) -> Tensor:
        """New images in [-1, 1] by all steps backwards, the paper's algorithm 2 with the denoised image clipped.

        Args:
            denoiser: the network, in evaluation mode.
            shape: ``(N, C, H, W)``.
            generator: of the CPU; the same seed gives the same images.
        """
        place = self.betas.device
        images = torch.randn(shape, generator=generator).to(place)
        for step in reversed(range(self.steps)):
            at = torch.full((shape[0],), step, device=place)
            mean, variance = self.posterior(self.denoised(images, at, denoiser(images, at)), images, at)
            images = mean + variance.sqrt() * torch.randn(shape, generator=generator).to(place) if step else mean
        return images
