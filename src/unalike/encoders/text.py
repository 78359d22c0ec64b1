"""What encoders of texts share: texts become token numbers once, chunk by chunk."""

from __future__ import annotations

import unicodedata
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from unalike.data import Column, TextColumn
from unalike.errors import DataError, SettingsError

from .base import Encoder
from .packed import PackedTokens

_CHUNK = 2048


Side = Literal["query", "document"]
"""Which side of a search a text stands on: some models put other words before a question than before a document."""


class TextEncoder(Encoder):
    """Base of the encoders of texts: they differ in `tokenise` and `forward`.

    unit: what `most` counts; most: how much of a text is read, where there is an end; reads: how many of the tokens
    that `tokenise` gives are read, where more are kept for views.
    """

    kind = "text"
    unit: str = "tokens"
    most: int | None = None
    reads: int | None = None
    _told: bool = False

    @abstractmethod
    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The tokens of all texts after each other, int32 and above 0, and how many each text has, int64."""

    def tokenise_as(self, texts: Sequence[str], side: Side | None) -> tuple[np.ndarray, np.ndarray]:
        """`tokenise`, for texts of one side of a search; the same for encoders that read both sides alike."""
        return self.tokenise(texts)

    def cut(self, texts: Sequence[str], counts: np.ndarray, side: Side | None = None) -> int:
        """How many texts are longer than what is read of them.

        Args:
            texts: as given to `tokenise_as`.
            counts: the numbers of tokens that it gave.
            side: as there.
        """
        return 0

    def limit(self, side: Side | None = None) -> int | None:
        """How much of a text of one side is read, counted in `unit`; None where there is no end."""
        return self.most

    def notes(self, side: Side | None = None) -> list[str]:
        """What a user should know of how texts are read."""
        return []

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, batch_size: int = 64, side: Side | None = None) -> np.ndarray:
        """Vectors float32 ``(N, width)`` of texts, without dropout; texts of like length go together.

        Args:
            texts: what to embed.
            batch_size: texts at a time.
            side: as in `prepare`.

        Warns:
            UserWarning: texts are longer than what is read of them; the first time only.
        """
        values, counts = self.tokenise_as(texts, _checked(side))
        if not self._told and (note := self._cut_note(self.cut(texts, counts, side), len(texts), side)):
            self._told = True
            warnings.warn(note, stacklevel=3)  # past torch's decorator
        offsets = np.concatenate([np.zeros(1, np.int64), counts.cumsum()])
        packed = PackedTokens(values, offsets, np.ones(len(texts), bool), reads=self.reads)
        vectors = np.empty((len(texts), self.width), np.float32)
        device = next(self.parameters()).device
        training = self.training
        self.eval()
        order = np.argsort(-packed.counts, kind="stable")
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            vectors[rows] = self(packed.take(rows, most=self.reads).to(device)).vector.float().cpu().numpy()
        self.train(training)
        return vectors

    def prepare(self, column: Column, *, cache: Path | None = None, side: Side | None = None) -> PackedTokens:
        """Tokenise a column once.

        Args:
            column: of texts.
            cache: is not used.
            side: ``"query"`` for texts that ask, ``"document"`` for those that are searched, where an encoder reads
                them differently; None reads texts as the encoder does when nobody says.

        Raises:
            DataError: the column holds no texts.
            SettingsError: there is no such side.
        """
        if not isinstance(column, TextColumn):
            raise DataError(f"{type(self).__name__} reads texts; given: a column of the kind {column.kind!r}")
        _checked(side)
        cuts: list[int] = []

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for texts in _chunks(column):
                values, counts = self.tokenise_as(texts, side)
                cuts.append(self.cut(texts, counts, side))
                yield values, counts

        packed = PackedTokens.from_chunks(parts(), column.present)
        packed.reads = self.reads
        packed.notes = (*self.notes(side), *filter(None, [self._cut_note(sum(cuts), int(column.present.sum()), side)]))
        return packed

    def _cut_note(self, cut: int, of: int, side: Side | None) -> str:
        if not cut:
            return ""
        have, are = ("has", "is") if cut == 1 else ("have", "are")
        return f"{cut:,} of {of:,} texts {have} more than {self.limit(side)} {self.unit} and {are} cut"


def _checked(side: Side | None) -> Side | None:
    if side not in (None, *get_args(Side)):
        raise SettingsError(f"a text stands on the side 'query' or 'document'; given: {side!r}")
    return side


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
