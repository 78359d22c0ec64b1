"""What encoders of texts share: texts become token numbers once, chunk by chunk."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unalike.data import Column, TextColumn
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

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, batch_size: int = 64) -> np.ndarray:
        """Vectors float32 ``(N, width)`` of texts, without dropout; texts of like length go together."""
        values, counts = self.tokenise(texts)
        packed = PackedTokens(values, np.concatenate([[0], counts.cumsum()]), np.ones(len(texts), bool))
        vectors = np.empty((len(texts), self.width), np.float32)
        device = next(self.parameters()).device
        training = self.training
        self.eval()
        order = np.argsort(-counts, kind="stable")
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            vectors[rows] = self(packed.take(rows).to(device)).vector.float().cpu().numpy()
        self.train(training)
        return vectors

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedTokens:
        if not isinstance(column, TextColumn):
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


def _chunks(column: TextColumn) -> Iterator[list[str]]:
    """The texts of a column in order, empty where missing."""
    texts = iter(column)
    while chunk := list(islice(texts, _CHUNK)):
        yield [text or "" for text in chunk]
