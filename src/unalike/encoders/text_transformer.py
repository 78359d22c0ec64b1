"""A small transformer with a tokenizer trained on the texts at hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn

from unalike.data import Column
from unalike.errors import DataError, RunError, SettingsError
from unalike.views import Tokens

from .base import Encoded, options_of
from .blocks import transformer
from .seeding import seeded
from .text import Side, TextEncoder, masked_mean

_ASSET = "tokenizer.json"
SHORTEST, LONGEST = 64, 256
"""Tokens that are read of a text where nobody says how many: between these, by how long the texts are."""
DOCUMENT = 4096
"""Tokens of a text that are kept then."""


def train_bpe(texts: Iterable[str], *, vocabulary: int = 8000, lowercase: bool = True) -> tokenizers.Tokenizer:
    """Byte pairs merged by frequency, over bytes and so for any language (arXiv:1508.07909).

    Args:
        texts: what to learn from.
        vocabulary: number of tokens, the 256 bytes and the padding included.
        lowercase: read capitals as small letters. Compatibility forms are always folded (NFKC).

    Raises:
        SettingsError: the vocabulary has no room for the bytes.
        DataError: there is no text.

    Example:
        >>> from unalike.encoders.text_transformer import train_bpe
        >>> tokenizer = train_bpe(["a red bicycle", "a red car"], vocabulary=270)
        >>> tokenizer.decode(tokenizer.encode("A red 자동차").ids)
        ' a red 자동차'
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocabulary <= len(alphabet):
        raise SettingsError(f"a vocabulary holds {len(alphabet)} bytes and the padding; given: {vocabulary}")
    tokenizer = tokenizers.Tokenizer(models.BPE())
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    seen = 0

    def counted() -> Iterable[str]:
        nonlocal seen
        for text in texts:
            seen += 1
            yield text

    tokenizer.train_from_iterator(
        counted(),
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=["[PAD]"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    if not seen:
        raise DataError("a tokenizer learns from texts, and there is none")
    return tokenizer


def suited_length(tokenizer: tokenizers.Tokenizer, texts: Sequence[str], *, sample: int = 2000) -> int:
    """How many tokens an encoder should read: as many as 99 of 100 texts have, between `SHORTEST` and `LONGEST`.

    Args:
        tokenizer: cuts nothing off.
        texts: what will be learned from.
        sample: how many of them are counted, from all over.

    Example:
        >>> from unalike.encoders.text_transformer import suited_length, train_bpe
        >>> texts = ["a red bicycle " * 30, "a car"]
        >>> suited_length(train_bpe(texts, vocabulary=270), texts)
        96
    """
    if not texts:
        return SHORTEST
    rows = np.unique(np.linspace(0, len(texts) - 1, min(sample, len(texts))).astype(int))
    counts = [len(one.ids) for one in tokenizer.encode_batch_fast([texts[row] for row in rows.tolist()])]
    wanted = math.ceil(float(np.quantile(counts, 0.99, method="higher")) / 8) * 8
    return min(max(wanted, SHORTEST), LONGEST)


class TextTransformer(TextEncoder):
    """A transformer over byte-pair tokens, learned from scratch (Vaswani et al. 2017, arXiv:1706.03762).

    Dropout makes two passes over one text differ, which is all the view that SimCSE needs.

    Args:
        tokenizer: a tokenizer of the package ``tokenizers``; `from_texts` trains one.
        width: length of tokens and vectors.
        depth: number of blocks.
        heads: number of attention heads.
        length: how many tokens of a text are read.
        document: how many tokens of a text are kept for views that crop, as many as are read without it. A view then
            takes its pieces from all over a document; without a view its beginning is read.
        pool: the vector is the ``"mean"`` of the tokens or the ``"class"`` token.
        dropout: share of the activations that training sets to zero.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: the heads do not divide the width, the pooling is unknown, or fewer tokens are kept than read.

    Example:
        >>> from unalike.data import TextColumn
        >>> from unalike.encoders import TextTransformer
        >>> texts = ["a red bicycle", "a red car"]
        >>> encoder = TextTransformer.from_texts(texts, vocabulary=300, width=16, depth=1, heads=2)
        >>> encoded = encoder(encoder.prepare(TextColumn(texts)).take([0, 1]))
        >>> encoded.vector.shape, encoded.tokens.shape[0]
        (torch.Size([2, 16]), 2)
    """

    def __init__(
        self,
        tokenizer: tokenizers.Tokenizer,
        *,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        length: int = 64,
        document: int | None = None,
        pool: Literal["mean", "class"] = "mean",
        dropout: float = 0.1,
        seed: int | None = 0,
    ) -> None:
        if pool not in ("mean", "class"):
            raise SettingsError(f"a vector is pooled by 'mean' or 'class'; given: {pool!r}")
        if length < 1 or (document is not None and document < length):
            raise SettingsError(f"length={length}, document={document}: at least 1, and no fewer are kept than read")
        super().__init__()
        self.width = width
        self.length = self.most = self.reads = length
        self.document = length if document is None else document
        self.pool = pool
        self._settings = {"depth": depth, "heads": heads, "dropout": dropout}
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(self.document)
        self._tokenizer.no_padding()
        with seeded(seed):
            self.table = nn.Embedding(tokenizer.get_vocab_size(), width, padding_idx=0)
            self.positions = nn.Embedding(length, width)
            self.first = nn.Parameter(torch.randn(1, 1, width) * 0.02)
            self.dropout = nn.Dropout(dropout)
            self.blocks = transformer(width, depth, heads, dropout)
            nn.init.normal_(self.table.weight, std=0.02)
            nn.init.normal_(self.positions.weight, std=0.02)

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], *, vocabulary: int = 8000, lowercase: bool = True, **settings: Any
    ) -> Self:
        """An encoder whose tokenizer is trained on ``texts``; see `train_bpe` and the class for the settings."""
        return cls(train_bpe(texts, vocabulary=vocabulary, lowercase=lowercase), **settings)

    @classmethod
    def for_columns(
        cls,
        columns: Sequence[Column],
        *,
        given: str,
        size: int,
        max_tokens: int | None = None,
        vocabulary: int = 8000,
        lowercase: bool = True,
        **options: Any,
    ) -> Self:
        """An encoder with a tokenizer of these texts, which reads as many tokens as they have.

        Args:
            columns: of texts.
            given: is not used.
            size: is not used.
            max_tokens: how many tokens of a text are read. Without it, and without ``length``, as many as 99 of 100
                texts have, 64 at least and 256 at most; of longer texts 4,096 tokens are kept for views that crop.
            vocabulary: as in `train_bpe`.
            lowercase: as there.
            **options: the class's settings.
        """
        texts = [text for column in columns for i in range(len(column)) if (text := column[i]) is not None]
        tokenizer = train_bpe(texts, vocabulary=vocabulary, lowercase=lowercase)
        if max_tokens is not None:
            options["length"] = max_tokens
        if "length" not in options:
            options["length"] = suited_length(tokenizer, texts)
            options.setdefault("document", DOCUMENT)
        return cls(tokenizer, **options)

    @classmethod
    def options(cls) -> set[str]:
        return options_of(cls, train_bpe, cls.for_columns) - {"given"}

    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        encoded = [one.ids for one in self._tokenizer.encode_batch_fast(list(texts))]
        counts = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return np.fromiter((token for ids in encoded for token in ids), np.int32, int(counts.sum())), counts

    def cut(self, texts: Sequence[str], counts: np.ndarray, side: Side | None = None) -> int:
        if self.document > self.length:
            return int((counts > self.length).sum())
        full = [texts[row] for row in np.flatnonzero(counts == self.length).tolist()]
        return sum(bool(one.overflowing) for one in self._tokenizer.encode_batch_fast(full))

    def window(self, texts: Tokens, generator: torch.Generator) -> Tokens:
        """A piece of each text from anywhere in it, no longer than what is read; short texts as they are.

        Args:
            texts: ``(B, L)``, padded on the right.
            generator: where the places come from; nothing is drawn where no text is too long.
        """
        if texts.ids.shape[1] <= self.length:
            return texts
        spare = (texts.mask.sum(1, keepdim=True) - self.length).clamp_(min=0)
        draws = torch.rand(spare.shape, generator=generator, device=generator.device).to(spare.device)
        places = (draws * (spare + 1)).long() + torch.arange(self.length, device=spare.device)
        return Tokens(texts.ids.gather(1, places), texts.mask.gather(1, places))

    def forward(self, inputs: Tokens) -> Encoded:
        ids, mask = inputs.ids[:, : self.length], inputs.mask[:, : self.length]
        embedded = self.table(ids) + self.positions.weight[: ids.shape[1]]
        sequence = self.dropout(torch.cat([self.first.expand(len(ids), -1, -1), embedded], 1))
        # The class token is always there, so that even an empty text gives attention something to look at.
        padding = torch.cat([mask.new_zeros(len(mask), 1), ~mask], 1)
        sequence = self.blocks(sequence, src_key_padding_mask=padding)
        tokens = sequence[:, 1:]
        vector = masked_mean(tokens, mask) if self.pool == "mean" else sequence[:, 0]
        return Encoded(vector, tokens, mask)

    def config(self) -> dict[str, Any]:
        return {
            "name": "transformer",
            "width": self.width,
            "length": self.length,
            "document": self.document,
            "pool": self.pool,
            **self._settings,
        }

    def assets(self) -> dict[str, bytes]:
        return {_ASSET: self._tokenizer.to_str().encode()}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        try:
            tokenizer = tokenizers.Tokenizer.from_str(assets[_ASSET].decode())
        except Exception as error:  # the package raises nothing more special
            raise RunError(f"the encoder's {_ASSET} is damaged: {error}") from error
        return cls(tokenizer, **settings)
