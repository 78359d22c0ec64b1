"""From features to the entries of a codebook that is learned along."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gumbel_softmax

from unalike.errors import SettingsError


class Quantized(NamedTuple):
    """vectors: ``(..., output)``; codes: int64 ``(...)``; probabilities: ``(..., codes)``, without noise."""

    vectors: Tensor
    codes: Tensor
    probabilities: Tensor


class GumbelQuantizer(nn.Module):
    """One codebook whose entry is drawn by Gumbel-softmax, straight through: the forward pass sees one entry alone.

    Papers: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017; Baevski et al., "wav2vec
    2.0", NeurIPS 2020, section 2.

    Args:
        width: of the features.
        codes: entries of the codebook.
        output: length of an entry.
        temperature: of the draw, at the beginning; `cool` changes it.

    Raises:
        SettingsError: fewer than two codes, or a temperature that is not above zero.

    Example:
        >>> import torch
        >>> from unalike.encoders import GumbelQuantizer
        >>> found = GumbelQuantizer(8, 16, 4).eval()(torch.randn(3, 5, 8))
        >>> found.vectors.shape, found.codes.shape
        (torch.Size([3, 5, 4]), torch.Size([3, 5]))
    """

    def __init__(self, width: int, codes: int, output: int, *, temperature: float = 2.0) -> None:
        super().__init__()
        if codes < 2 or temperature <= 0:
            raise SettingsError(f"codes={codes}, temperature={temperature}: at least two codes, and above zero")
        self.choose = nn.Linear(width, codes)
        self.entries = nn.Parameter(torch.randn(codes, output))
        self.temperature: Tensor
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def cool(self, temperature: float) -> None:
        """Draw at this temperature from now on."""
        self.temperature.fill_(temperature)

    def forward(self, features: Tensor) -> Quantized:
        """Quantise ``(..., width)``. In training the entry is drawn; ``codes`` are the likeliest in any case."""
        logits = self.choose(features)
        codes = logits.argmax(-1)
        if self.training:
            chosen = gumbel_softmax(logits, tau=float(self.temperature), hard=True) @ self.entries
        else:
            chosen = self.entries[codes]
        return Quantized(chosen, codes, logits.softmax(-1))


class Vector(nn.Module):
    """One learned vector that stands in for what is hidden or missing.

    Args:
        width: its length.

    Example:
        >>> import torch
        >>> from unalike.encoders import Vector
        >>> hidden = torch.tensor([[True, False]])
        >>> bool((Vector(4).at(hidden, torch.zeros(1, 2, 4)) != 0).any(-1).equal(hidden))
        True
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.entry = nn.Parameter(torch.randn(width) / width**0.5)

    def at(self, where: Tensor, others: Tensor) -> Tensor:
        """``others`` ``(..., width)`` with this vector where ``where`` ``(...)`` is true."""
        return torch.where(where[..., None], self.entry.to(others.dtype), others)
