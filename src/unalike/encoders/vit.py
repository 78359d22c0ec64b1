"""A small vision transformer."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from unalike.errors import SettingsError

from .base import Encoded
from .blocks import transformer
from .image import ImageEncoder
from .packed import Fit
from .seeding import seeded


class VisionTransformer(ImageEncoder):
    """Patches as tokens of a transformer (Dosovitskiy et al. 2021, arXiv:2010.11929).

    Pictures of another size are taken as well: the positions' vectors are interpolated, as DINO does for its crops.

    Args:
        size: side of the pictures, in pixels; a multiple of ``patch``.
        patch: side of a patch, in pixels.
        width: length of tokens and vectors.
        depth: number of blocks.
        heads: number of attention heads.
        pool: the vector is the ``"mean"`` of the patches or the ``"class"`` token.
        dropout: share of the activations that training sets to zero.
        fit: how pictures that are not square become so, ``"crop"`` or ``"pad"``.
        margin: pictures are kept at ``margin * size`` pixels; above 1, crops by random views stay sharp.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: the patches do not fill the picture, or the heads do not divide the width.

    Example:
        >>> import torch
        >>> from unalike.encoders import VisionTransformer
        >>> encoder = VisionTransformer(size=32, patch=8, width=16, depth=1, heads=2)
        >>> encoded = encoder(encoder.plain(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)))
        >>> encoded.vector.shape, encoded.tokens.shape
        (torch.Size([2, 16]), torch.Size([2, 16, 16]))
    """

    def __init__(
        self,
        *,
        size: int = 64,
        patch: int = 8,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        pool: Literal["mean", "class"] = "mean",
        dropout: float = 0.0,
        fit: Fit = "crop",
        margin: float = 1.0,
        seed: int | None = 0,
    ) -> None:
        if patch < 1 or size % patch:
            raise SettingsError(f"patches must fill the picture; given: size={size}, patch={patch}")
        if pool not in ("mean", "class"):
            raise SettingsError(f"a vector is pooled by 'mean' or 'class'; given: {pool!r}")
        super().__init__(size=size, width=width, fit=fit, margin=margin)
        self._settings = {"patch": patch, "depth": depth, "heads": heads, "pool": pool, "dropout": dropout}
        self.pool = pool
        grid = size // patch
        with seeded(seed):
            self.patches = nn.Conv2d(3, width, patch, patch)
            self.first = nn.Parameter(torch.randn(1, 1, width) * 0.02)
            self.positions = nn.Parameter(torch.randn(1, width, grid, grid) * 0.02)
            self.blocks = transformer(width, depth, heads, dropout)

    def forward(self, inputs: Tensor) -> Encoded:
        patches = self.patches(inputs)
        positions: Tensor = self.positions
        if positions.shape[-2:] != patches.shape[-2:]:
            positions = nn.functional.interpolate(positions, patches.shape[-2:], mode="bicubic", align_corners=False)
        sequence = (patches + positions).flatten(2).transpose(1, 2)
        sequence = self.blocks(torch.cat([self.first.expand(len(sequence), -1, -1), sequence], 1))
        tokens = sequence[:, 1:]
        vector = tokens.mean(1) if self.pool == "mean" else sequence[:, 0]
        return Encoded(vector, tokens, tokens.new_ones(tokens.shape[:2], dtype=torch.bool))

    def config(self) -> dict[str, Any]:
        return {
            "name": "vit",
            "size": self.size,
            "width": self.width,
            "fit": self.fit,
            "margin": self.margin,
            **self._settings,
        }
