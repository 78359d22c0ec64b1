"""Sequences of clicks through a causal transformer."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import ClicksColumn, Column
from unalike.data.clicks import REPEATING
from unalike.errors import DataError, RunError, SettingsError
from unalike.views import Tokens

from .base import Encoded, Encoder, Prepared
from .blocks import transformer
from .packed import Indices
from .seeding import seeded

_ASSET = "items.json"
UNKNOWN = -2
"""The next item of a row where that is one that the encoder was not made for."""


class PackedClicks(Prepared):
    """Sequences of items by number, counted from 0 in the encoder's vocabulary.

    Args:
        events: int64, the items of all rows.
        starts, stops: int64 ``(N,)``: row i knows ``events[starts[i] : stops[i]]``.
        targets: int64 ``(N,)``: the item that was chosen next, -1 where none is known, -2 where it is a new one.
        items: size of the vocabulary.
        length: how many of the last events of a row are read.
        returning: whether users choose items again.

    Example:
        >>> import numpy as np
        >>> from unalike.encoders.sasrec import PackedClicks
        >>> packed = PackedClicks(np.array([4, 0, 2]), np.array([0]), np.array([3]), np.array([1]), items=5, length=2)
        >>> packed.take([0]).ids.tolist(), packed.flat([0])[1].tolist()
        ([[1, 3]], [4, 0, 2])
    """

    def __init__(
        self,
        events: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        targets: np.ndarray,
        *,
        items: int,
        length: int,
        returning: bool = False,
    ) -> None:
        self.events, self.starts, self.stops, self.targets = events, starts, stops, targets
        self.items, self.length, self.returning = items, length, returning

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def present(self) -> np.ndarray:
        """Bool ``(N,)``: which rows have an event."""
        return self.stops > self.starts

    def take(self, indices: Indices) -> Tokens:
        """The last events of the rows as tokens counted from 1, padded on the right to the longest of them."""
        rows = np.asarray(indices, np.int64)
        starts = np.maximum(self.starts[rows], self.stops[rows] - self.length)
        lengths = self.stops[rows] - starts
        places = np.arange(max(1, lengths.max(initial=0)))
        mask = places < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = self.events[(starts[:, None] + places)[mask]] + 1
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask))

    def flat(self, indices: Indices) -> tuple[np.ndarray, np.ndarray]:
        """All events of the rows, one after the other: positions in ``indices``, and items."""
        rows = np.asarray(indices, np.int64)
        lengths = self.stops[rows] - self.starts[rows]
        owner = np.repeat(np.arange(len(rows)), lengths)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return owner, self.events[self.starts[rows][owner] + within]


class SASRec(Encoder):
    """Self-attentive sequential recommendation (Kang and McAuley 2018, arXiv:1808.09781).

    Each position reads the items up to itself. The vector is the state at the last item, and what comes next is scored
    by its inner product with the items' embeddings, which are those that are read.

    Args:
        vocabulary: ids of the items.
        titles: their names for people; None where there are none.
        width: length of embeddings and vectors.
        depth: number of blocks.
        heads: number of attention heads.
        length: how many of the last events are read.
        dropout: share of the activations that training sets to zero.
        returning: whether users choose items again, so that what they chose before is a candidate for what is next.
        seed: of the initial weights; None draws from torch's current random state.

    Raises:
        SettingsError: a length is below one, or the heads do not divide the width.

    Example:
        >>> from unalike.data import ClicksColumn
        >>> from unalike.encoders import SASRec
        >>> column = ClicksColumn.of_sequences([["tea", "cup"], ["cup"]])
        >>> encoder = SASRec(column.vocabulary, width=16, depth=1, heads=2)
        >>> encoded = encoder(encoder.prepare(column).take([0, 1]))
        >>> encoded.vector.shape, encoder.scores(encoded.vector).shape
        (torch.Size([2, 16]), torch.Size([2, 2]))
    """

    kind = "clicks"

    def __init__(
        self,
        vocabulary: Sequence[str],
        titles: Sequence[str | None] | None = None,
        *,
        width: int = 64,
        depth: int = 2,
        heads: int = 2,
        length: int = 50,
        dropout: float = 0.2,
        returning: bool = False,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if min(width, length, len(vocabulary)) < 1 or depth < 0:
            raise SettingsError(
                f"SASRec has lengths and a vocabulary of at least 1; given: width={width}, length={length}, "
                f"depth={depth}, {len(vocabulary)} items"
            )
        self.vocabulary = list(vocabulary)
        self.titles = None if titles is None else list(titles)
        self.width, self.length, self.returning = width, length, returning
        self._settings = {"depth": depth, "heads": heads, "dropout": dropout}
        with seeded(seed):
            # 0 is padding, then the items, then the mask that views put in an item's place.
            self.table = nn.Embedding(len(self.vocabulary) + 2, width, padding_idx=0)
            self.positions = nn.Embedding(length, width)
            self.dropout = nn.Dropout(dropout)
            self.blocks = transformer(width, depth, heads, dropout)
            nn.init.normal_(self.table.weight, std=0.02)
            nn.init.normal_(self.positions.weight, std=0.02)
            with torch.no_grad():
                self.table.weight[0] = 0

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        first = _clicks(columns[0])
        if any(_clicks(column).vocabulary != first.vocabulary for column in columns):
            raise DataError("the columns of clicks have different items; expected one vocabulary for all of them")
        options.setdefault("returning", first.returning > REPEATING)
        return cls(first.vocabulary, first.titles, **options)

    @property
    def mask_id(self) -> int:
        """The token that views put in the place of an item."""
        return len(self.vocabulary) + 1

    @property
    def items(self) -> Tensor:
        """``(I, width)``: the embeddings of the items."""
        return self.table.weight[1 : len(self.vocabulary) + 1]

    def scores(self, vectors: Tensor) -> Tensor:
        """How likely each item is to come next, ``(B, I)`` without a unit, of vectors ``(B, width)``."""
        return vectors @ self.items.T

    def lessons(self, clicks: Tokens) -> tuple[Tensor, Tensor]:
        """What each event of some sequences but the first teaches: the state before it, and which item it was.

        Returns:
            ``(M, width)`` states and int64 ``(M,)`` items, for `unalike.objectives.next_item`.
        """
        follows = clicks.mask[:, 1:]
        return self(clicks).tokens[:, :-1][follows], clicks.ids[:, 1:][follows] - 1

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedClicks:
        """The items by number; those that the encoder was not made for are left out, and a warning counts them."""
        clicks = _clicks(column)
        size: dict[str, Any] = {
            "items": len(self.vocabulary),
            "length": self.length,
            "returning": self.returning,
        }
        if clicks.vocabulary == self.vocabulary:
            return PackedClicks(clicks.events, clicks.starts, clicks.stops, clicks.next_items, **size)
        numbers = {item: number for number, item in enumerate(self.vocabulary)}
        mapped = np.array([numbers.get(item, UNKNOWN) for item in clicks.vocabulary], np.int64)
        rows, items = clicks.flat
        known = mapped[items] >= 0
        if not known.all():
            new = len(np.unique(items[~known]))
            warnings.warn(
                f"{int((~known).sum()):,} of {len(known):,} events choose {new:,} items that were never trained on; "
                "they are left out",
                stacklevel=2,
            )
        stops = np.cumsum(np.bincount(rows[known], minlength=len(clicks)))
        following = clicks.next_items
        targets = np.where(following < 0, following, mapped[following])
        return PackedClicks(mapped[items[known]], np.append(0, stops[:-1])[: len(stops)], stops, targets, **size)

    def forward(self, inputs: Tokens) -> Encoded:
        ids, mask = inputs.ids[:, : self.length], inputs.mask[:, : self.length]
        sequence = self.dropout(self.table(ids) + self.positions.weight[: ids.shape[1]])
        # Padding stands on the right, where no item looks.
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).triu(1)
        tokens = self.blocks(sequence, mask=causal, is_causal=True)
        last = (mask.sum(1) - 1).clamp(min=0)
        return Encoded(tokens[torch.arange(len(ids), device=ids.device), last], tokens, mask)

    def config(self) -> dict[str, Any]:
        return {
            "name": "sasrec",
            "width": self.width,
            "length": self.length,
            "returning": self.returning,
            **self._settings,
        }

    def assets(self) -> dict[str, bytes]:
        return {_ASSET: json.dumps({"ids": self.vocabulary, "titles": self.titles}).encode()}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        try:
            kept = json.loads(assets[_ASSET])
            ids, titles = [str(each) for each in kept["ids"]], kept["titles"]
        except (ValueError, TypeError) as error:
            raise RunError(f"the encoder's {_ASSET} is damaged: {error}") from error
        return cls(ids, titles, **settings)


def _clicks(column: Column) -> ClicksColumn:
    if not isinstance(column, ClicksColumn):
        raise DataError(f"SASRec reads clicks; given: a column of the kind {column.kind!r}")
    return column
