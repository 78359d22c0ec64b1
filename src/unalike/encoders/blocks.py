"""The transformer blocks that encoders of texts and of pictures share."""

from __future__ import annotations

from torch import nn

from unalike.errors import SettingsError


def transformer(width: int, depth: int, heads: int, dropout: float) -> nn.TransformerEncoder:
    """Pre-norm transformer blocks with a norm at the end, as in ViT and GPT-2 (arXiv:2010.11929).

    Args:
        width: length of each token.
        depth: number of blocks.
        heads: number of attention heads; ``width`` is a multiple of it.
        dropout: share of the activations that training sets to zero.

    Raises:
        SettingsError: the heads do not divide the width.

    Example:
        >>> import torch
        >>> from unalike.encoders.blocks import transformer
        >>> transformer(16, depth=2, heads=4, dropout=0.0)(torch.randn(2, 5, 16)).shape
        torch.Size([2, 5, 16])
    """
    if heads < 1 or width % heads:
        raise SettingsError(f"a transformer's width is a multiple of its heads; given: width={width}, heads={heads}")
    block = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
    )
    stack = nn.TransformerEncoder(block, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
    # nn.TransformerEncoder copies one block: without this, all blocks would begin with the same weights.
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
    return stack
