"""Texts as bags of character n-grams and words: small, quick, at home in any language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from unalike.errors import SettingsError
from unalike.views import Tokens

from .base import Encoded
from .seeding import seeded
from .text import Side, TextEncoder, normalise


class NgramEncoder(TextEncoder):
    """Hashed character n-grams and words, pooled and sent through a small MLP (fastText, arXiv:1607.04606).

    An n-gram never crosses from one word into the next, but sees where a word begins and ends. Each is weighted by a
    learned importance, a softmax over the text, so that n-grams which say nothing can fall silent.

    Args:
        buckets: rows of the table into which n-grams are hashed.
        table: length of a row of the table.
        hidden: length of the hidden layer.
        width: length of the vectors.
        longest: largest n; n-grams of 1 to this many characters are taken, and whole words beside them.
        characters: how much of a text is read.
        lowercase: read capitals as small letters. Compatibility forms are always folded (NFKC).
        dropout: share of the pooled features and of the hidden layer that training sets to zero.
        tokens: return the vectors of the n-grams as tokens too.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a length or number is below one.

    Example:
        >>> from unalike.data import TextColumn
        >>> from unalike.encoders import NgramEncoder
        >>> encoder = NgramEncoder(buckets=512, width=16)
        >>> prepared = encoder.prepare(TextColumn(["a red bicycle", "ein rotes Fahrrad"]))
        >>> encoder(prepared.take([0, 1])).vector.shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        *,
        buckets: int = 2**15,
        table: int = 128,
        hidden: int = 256,
        width: int = 256,
        longest: int = 5,
        characters: int = 256,
        lowercase: bool = True,
        dropout: float = 0.1,
        tokens: bool = False,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        self._settings = {
            "buckets": buckets,
            "table": table,
            "hidden": hidden,
            "width": width,
            "longest": longest,
            "characters": characters,
        }
        if wrong := {name: value for name, value in self._settings.items() if value < 1}:
            raise SettingsError(f"an n-gram encoder needs numbers of at least 1; given: {wrong}")
        self.width = width
        self.most, self.unit = characters, "characters"
        self.lowercase = lowercase
        self.dropout = dropout
        self.tokens = tokens
        with seeded(seed):
            self.table = nn.Embedding(buckets + 1, table, padding_idx=0)
            self.importance = nn.Embedding(buckets + 1, 1, padding_idx=0)
            self.mlp = nn.Sequential(
                nn.LayerNorm(table),
                nn.Dropout(dropout),
                nn.Linear(table, hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, width),
            )
            # Small rows: a step of Adam then turns them, where rows of length sqrt(table) would hardly move in minutes.
            nn.init.normal_(self.table.weight, std=0.02)
            nn.init.zeros_(self.table.weight[0])
        nn.init.zeros_(self.importance.weight)

    def tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        settings = self._settings
        read = [normalise(text[: settings["characters"]], lowercase=self.lowercase) for text in texts]
        return ngrams(read, longest=settings["longest"], buckets=settings["buckets"])

    def cut(self, texts: Sequence[str], counts: np.ndarray, side: Side | None = None) -> int:
        return sum(len(text) > self._settings["characters"] for text in texts)

    def forward(self, inputs: Tokens) -> Encoded:
        ids, mask = inputs.ids, inputs.mask
        scores = self.importance(ids).squeeze(-1).masked_fill(~mask, -torch.inf)
        # A text without any n-gram would be a softmax over nothing: its weights are zero, as its rows are.
        weights = scores.softmax(1).masked_fill(~mask, 0.0)
        if self.tokens:
            rows = self.table(ids)
            pooled = torch.bmm(weights[:, None], rows).squeeze(1)
            return Encoded(vector=self.mlp(pooled), tokens=self.mlp(rows), mask=mask)
        # Gathered and summed in one pass: the rows of all n-grams of a batch are never stored, which is six times
        # faster, forward and backward.
        lengths = mask.sum(1)
        pooled = nn.functional.embedding_bag(
            ids[mask],
            self.table.weight,
            lengths.cumsum(0) - lengths,
            mode="sum",
            per_sample_weights=weights[mask],
        )
        return Encoded(vector=self.mlp(pooled))

    def config(self) -> dict[str, Any]:
        return {
            "name": "ngram",
            **self._settings,
            "lowercase": self.lowercase,
            "dropout": self.dropout,
            "tokens": self.tokens,
        }


def ngrams(texts: Sequence[str], *, longest: int, buckets: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash the n-grams and the words of many texts at once, in the order in which they begin.

    Args:
        texts: already normalised; words are what spaces part.
        longest: largest n.
        buckets: n-grams get numbers from 1 to this.

    Returns:
        int32 numbers of all texts after each other, and how many each text has, int64.

    Example:
        >>> from unalike.encoders.ngrams import ngrams
        >>> values, counts = ngrams(["ab", ""], longest=2, buckets=1000)
        >>> len(values), counts.tolist()  # a, b; _a, ab, b_; the word ab
        (6, [6, 0])
    """
    padded = [f" {text} " for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    space = codes == 32
    size = len(codes)
    hashes = np.empty((size, longest + 1), np.uint64)
    valid = np.zeros((size, longest + 1), bool)

    rolling = np.zeros(size, np.uint64)
    inside = np.ones(size, bool)  # no space between the first and the last character
    for n in range(1, min(longest, size) + 1):
        here = size - n + 1
        rolling[:here] = rolling[:here] * _BASE + codes[n - 1 :]
        if n > 2:
            inside[:here] &= ~space[n - 2 : size - 1]
        hashes[:, n - 1] = rolling + np.uint64(n)
        valid[:here, n - 1] = inside[:here] & ~(space[:here] & space[n - 1 :] if n < 3 else False)

    starts = np.flatnonzero(~space & np.r_[True, space[:-1]])
    if len(starts):
        within = np.arange(size) - starts[np.maximum(np.searchsorted(starts, np.arange(size), "right") - 1, 0)]
        powers = np.cumprod(np.full(max(int(within.max()), 0) + 1, _BASE))
        hashes[starts, longest] = np.add.reduceat(np.where(space, 0, codes * powers[np.maximum(within, 0)]), starts)
        valid[starts, longest] = True

    values = (_mixed(hashes[valid]) % np.uint64(buckets)).astype(np.int32) + 1
    ends = np.cumsum([len(text) for text in padded])
    totals = np.concatenate([[0], valid.sum(1).cumsum()])[ends] if len(padded) else np.empty(0, np.int64)
    return values, np.diff(totals, prepend=0).astype(np.int64)


_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no character is lost modulo 2**64


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: every bit of the input moves every bit of the result."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
