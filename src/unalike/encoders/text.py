"""What encoders of texts share: texts become token numbers once, chunk by chunk."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from unalike.data import Column
from unalike.errors import DataError

from .base import Encoder
from .packed import PackedTokens

_CHUNK = 2048


class TextEncoder(Encoder):
    """Base of the encoders of texts: they differ in `tokenise` and `forward`."""

    kind = "text"

    @abstractmethod
    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The tokens of all texts after each other, int32 and above 0, and how many each text has, int64."""

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedTokens:
        if column.kind != "text":
            raise DataError(f"{type(self).__name__} reads texts; given: a column of the kind {column.kind!r}")
        return PackedTokens.from_chunks((self.tokenise(texts) for texts in _chunks(column)), column.present)


def normalise(text: str, *, lowercase: bool = True) -> str:
    """One form for the many ways to write a text: NFKC, single spaces, lower case if wanted.

    Example:
        >>> from unalike.encoders.text import normalise
        >>> normalise("  Ｆｕｌｌ   Width ")
        'full width'
    """
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    return text.lower() if lowercase else text


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean ``(B, D)`` of tokens ``(B, L, D)`` where ``mask`` ``(B, L)`` is true; zeros where it never is."""
    weights = mask.to(tokens.dtype)[:, :, None]
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)


def _chunks(column: Column) -> Iterator[list[str]]:
    """The texts of a column in order, empty where missing."""
    for start in range(0, len(column), _CHUNK):
        yield [column[i] or "" for i in range(start, min(start + _CHUNK, len(column)))]
