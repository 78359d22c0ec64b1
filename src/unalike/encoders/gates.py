"""Gates that are open or shut, and can be learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unalike.errors import SettingsError

from .dilated import DilatedConv


def hard_concrete(
    logits: Tensor, *, stretch: float = 0.05, temperature: float = 1.0, floor: float = 1e-3, threshold: bool = True
) -> Tensor:
    """Random gates that are open with a learned probability, with gradients to its logit.

    ``sigmoid((log u - log(1 - u) + logit) / temperature)`` with ``u`` uniform, stretched below zero and clipped to
    [0, 1], so that gates are exactly shut with some probability.

    Papers: Louizos, Welling, Kingma, "Learning Sparse Neural Networks through L0 Regularization", ICLR 2018; stretched
    on one side and cut at one half by AutoTCL (Zheng et al., ICLR 2024).

    Args:
        logits: any shape; above 0 a gate is more often open than shut.
        stretch: how far below zero.
        temperature: above 0; the lower, the nearer to open or shut.
        floor: least and, from 1, greatest value of ``u``.
        threshold: cut at one half to 0 or 1, with the gradient of the soft gate (straight through).

    Returns:
        Of the shape of ``logits``, in [0, 1]. Random numbers are torch's own.

    Raises:
        SettingsError: a temperature or a floor out of range.

    Example:
        >>> import torch
        >>> from unalike.encoders import hard_concrete
        >>> hard_concrete(torch.tensor([-50.0, 50.0]))
        tensor([0., 1.])
    """
    if temperature <= 0 or not 0 < floor < 0.5:
        raise SettingsError(f"temperature={temperature}, floor={floor}; expected above 0, and between 0 and 1/2")
    uniform = floor + (1 - 2 * floor) * torch.rand_like(logits)
    soft = torch.sigmoid((uniform.log() - (1 - uniform).log() + logits) / temperature)
    soft = (soft * (1 + stretch) - stretch).clamp(0, 1)
    return (soft > 0.5).to(soft.dtype) + (soft - soft.detach()) if threshold else soft


class StepGates(nn.Module):
    """Factors of a series, for each step: a gate that keeps or drops it, and a scale between 0 and 1.

    Paper: Zheng et al., "Parametric Augmentation for Time Series Contrastive Learning", ICLR 2024, arXiv 2402.10434,
    section 4.1: ``v = g(x) * h(x) * x``. The release takes the gate's probability itself for its logit, by which none
    opens with less than 0.5 or more than 0.73; here the logit is the probability's own, as printed.

    Args:
        channels: of a series.
        width: of the network's tokens.
        hidden: channels inside it.
        depth: its residual blocks.

    Example:
        >>> import torch
        >>> from unalike.encoders import StepGates
        >>> altered, share = StepGates(2)(torch.ones(3, 2, 9))
        >>> altered.shape, share.shape
        (torch.Size([3, 2, 9]), torch.Size([3, 9]))
    """

    def __init__(self, channels: int, *, width: int = 16, hidden: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.network = DilatedConv(channels, width=width, hidden=hidden, depth=depth, dropout=0, seed=None)
        self.gates, self.scales = nn.Linear(width, 1), nn.Linear(width, 1)

    def forward(self, series: Tensor) -> tuple[Tensor, Tensor]:
        """The altered series, and the probability ``(B, steps)`` that a step's gate is open."""
        tokens = self.network(series).tokens
        logits = self.gates(tokens).squeeze(2)
        kept = self.scales(tokens).squeeze(2).sigmoid() * hard_concrete(logits)
        # What is missing must not enter the gradient of the gates.
        return torch.where(series.isnan(), series, series.nan_to_num() * kept[:, None]), logits.sigmoid()


def unsteadiness(share: Tensor, mask: Tensor) -> Tensor:
    """How much gates of neighbouring steps differ, and how much those half a series apart are alike.

    The second keeps steady from coming to mean the same everywhere (AutoTCL's temporal consistency, section 4.2).

    Args:
        share: probabilities ``(B, steps)``.
        mask: bool ``(B, steps)``: steps that are there.
    """
    pairs = mask[:, 1:] & mask[:, :-1]
    apart = ((share[:, 1:] - share[:, :-1]).abs() * pairs).sum() / pairs.sum().clamp(min=1)
    alike = 1 - (share - share.roll(share.shape[1] // 2, 1)).abs()
    return apart + (alike * mask).sum() / mask.sum().clamp(min=1)
