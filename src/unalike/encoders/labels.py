"""Labels by the thousand: numbered as they stand in the data, then read as texts, or given a row of a matrix each."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from unalike.data import Column, LabelsColumn, TextColumn
from unalike.data.labels import rows_of
from unalike.errors import DataError, RunError
from unalike.views import Tokens

from .base import Encoded, Encoder, Prepared
from .heads import unit
from .packed import Indices, PackedTokens

_ASSET = "labels.json"


class PackedLabels(Prepared):
    """Sets of labels by number, as an encoder counts them.

    Args:
        codes: int64, the known labels of all rows after each other.
        offsets: int64 ``(N + 1,)``; row i has ``codes[offsets[i] : offsets[i + 1]]``.
        labels: how many labels the encoder knows.
        notes: what a user should know of labels that it does not know.

    Example:
        >>> import numpy as np
        >>> from unalike.encoders.labels import PackedLabels
        >>> packed = PackedLabels(np.array([0, 2, 1]), np.array([0, 2, 2, 3]), labels=3)
        >>> packed.take([0, 1]).to_dense().tolist(), packed.present.tolist()
        ([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], [True, False, True])
    """

    def __init__(self, codes: np.ndarray, offsets: np.ndarray, *, labels: int, notes: Sequence[str] = ()) -> None:
        self.codes, self.offsets, self.labels, self.notes = codes, offsets, labels, tuple(notes)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def present(self) -> np.ndarray:
        """Bool ``(N,)``: which rows have a label that is known."""
        return np.asarray(np.diff(self.offsets) > 0)

    def pairs(self, indices: Indices) -> tuple[np.ndarray, np.ndarray]:
        """All labels of some rows, one after the other: positions in ``indices``, and labels."""
        rows = np.asarray(indices, np.int64)
        owners = np.repeat(np.arange(len(rows)), np.diff(self.offsets)[rows])
        return owners, self.codes[rows_of(self.offsets, rows)]

    def take(self, indices: Indices) -> Tensor:
        """Sparse ``(B, labels)``: 1 where a row has a label."""
        places = torch.from_numpy(np.stack(self.pairs(indices)))
        shape = (len(np.asarray(indices)), self.labels)
        return torch.sparse_coo_tensor(places, torch.ones(places.shape[1]), shape, check_invariants=True).coalesce()


class LabelNames(Encoder):
    """The labels of the training rows, numbered. A row's vector says 1 for each label that it has.

    It has no weights: systems read the labels as texts (`LabelReader`) or give each its own weights (`LabelMatrix`).

    Args:
        names: the labels.
        counts: in how many training rows each stands; 1 each unless given.
        rows: how many training rows have a label; as many as the largest count unless given.

    Raises:
        DataError: fewer than two labels: nothing would tell them apart.

    Example:
        >>> from unalike.data import LabelsColumn
        >>> from unalike.encoders import LabelNames
        >>> column = LabelsColumn.from_values([["cat", "pet"], ["cat"]])
        >>> names = LabelNames.for_columns([column], given="", size=0)
        >>> names.names, names.counts.tolist(), names(names.prepare(column).take([1])).vector.tolist()
        (['cat', 'pet'], [2, 1], [[1.0, 0.0]])
    """

    kind = "labels"

    def __init__(self, names: Sequence[str], counts: Sequence[int] | None = None, rows: int | None = None) -> None:
        super().__init__()
        self.names = list(names)
        self.counts = np.asarray([1] * len(self.names) if counts is None else counts, np.int64)
        self.rows = int(self.counts.max(initial=1)) if rows is None else rows
        self.width = len(self.names)
        if len(self.names) < 2 or self.counts.shape != (len(self.names),):
            raise DataError(
                f"the rows that are learned from have {len(self.names)} different label{'s' * (len(self.names) != 1)}; "
                "at least two are needed, with a count each. Name a column that tells rows apart (--labels COLUMN)"
            )

    @classmethod
    def for_columns(
        cls, columns: Sequence[Column], *, given: str, size: int, seed: int | None = None, **options: Any
    ) -> Self:
        if len(columns) != 1:
            raise DataError(f"{len(columns)} columns of labels; expected one. Name it with --labels COLUMN")
        column = _labels(columns[0])
        counts = np.bincount(column.codes, minlength=len(column.names))
        known = np.flatnonzero(counts)
        return cls([column.names[code] for code in known], counts[known].tolist(), int(column.present.sum()))

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedLabels:
        """The sets by number; a label that stands in no training row has none, and a note counts those."""
        labels = _labels(column)
        numbers = {name: number for number, name in enumerate(self.names)}
        mapped = np.array([numbers.get(name, -1) for name in labels.names], np.int64)
        codes = mapped[labels.codes] if len(labels.names) else labels.codes
        known, notes = codes >= 0, []
        if not known.all():
            new = len(np.unique(labels.codes[~known]))
            notes.append(
                f"{new} of {len(np.unique(labels.codes))} labels stand in no training row "
                f"({int((~known).sum())} of {len(known)} times that a row has a label)"
            )
        owners = np.repeat(np.arange(len(labels)), labels.counts)
        kept = np.bincount(owners[known], minlength=len(labels))
        return PackedLabels(codes[known], np.append(0, kept.cumsum()), labels=len(self.names), notes=notes)

    def forward(self, inputs: Tensor) -> Encoded:
        return Encoded(inputs.to_dense())

    def config(self) -> dict[str, Any]:
        return {"name": "names"}

    def assets(self) -> dict[str, bytes]:
        return {_ASSET: json.dumps({"names": self.names, "counts": self.counts.tolist(), "rows": self.rows}).encode()}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        try:
            kept = json.loads(assets[_ASSET])
            return cls([str(each) for each in kept["names"]], [int(each) for each in kept["counts"]], int(kept["rows"]))
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"the encoder's {_ASSET} is damaged: {error}") from error


class LabelReader(Encoder):
    """Labels read as texts, by the tower that reads the texts which bear them: no weights of their own.

    A row's vector is the mean of its labels' vectors.

    Args:
        labels: their names.
        tower: an encoder of texts.
        chunk: labels that are read at once where no gradient is wanted.

    Example:
        >>> import torch
        >>> from unalike.encoders import LabelNames, LabelReader, NgramEncoder
        >>> reader = LabelReader(LabelNames(["cat", "dog"]), NgramEncoder(buckets=64, width=8))
        >>> reader.read(reader.texts()).shape, reader.scorer()(torch.eye(8)).shape
        (torch.Size([2, 8]), torch.Size([8, 2]))
    """

    kind = "labels"

    def __init__(self, labels: Encoder, tower: Encoder, *, chunk: int = 512) -> None:
        super().__init__()
        assert isinstance(labels, LabelNames)
        self.labels, self.tower, self.chunk, self.width = labels, tower, chunk, tower.width
        packed = tower.prepare(TextColumn(labels.names))
        assert isinstance(packed, PackedTokens)
        self._packed = packed

    def texts(self, which: Tensor | None = None) -> Tokens:
        """The tokens of some labels by number, of all unless given, where the tower's weights are."""
        rows = np.arange(len(self.labels.names)) if which is None else which.cpu().numpy()
        return self._packed.take(rows).to(next(self.tower.parameters()).device)

    def read(self, texts: Tokens) -> Tensor:
        """Vectors ``(B, width)`` of unit length of labels' texts."""
        return unit(self.tower(texts).vector)

    @torch.no_grad()
    def scorer(self) -> Callable[[Tensor], Tensor]:
        """A function from vectors ``(B, width)`` of texts to their scores ``(B, labels)``; labels are read once."""
        parts = torch.split(torch.arange(len(self.labels.names)), self.chunk)
        vectors = torch.cat([self.read(self.texts(part)) for part in parts])
        return lambda texts: texts @ vectors.T

    def over(self, names: Sequence[str]) -> LabelReader:
        """The same tower over these labels instead, known or new."""
        known = dict(zip(self.labels.names, self.labels.counts.tolist(), strict=True))
        labels = LabelNames(names, [known.get(name, 0) for name in names], self.labels.rows)
        return LabelReader(labels, self.tower, chunk=self.chunk).train(self.training)

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedLabels:
        return self.labels.prepare(column)

    def forward(self, inputs: Tensor) -> Encoded:
        used, places = torch.unique(inputs.coalesce().indices()[1], return_inverse=True)
        if not len(used):
            return Encoded(next(self.tower.parameters()).new_zeros(len(inputs), self.width))
        return Encoded(_mean(self.read(self.texts(used)), inputs, places))

    def config(self) -> dict[str, Any]:
        return self.labels.config()


class LabelMatrix(Encoder):
    """A row of weights and a bias for each label: a linear classifier, one label against all.

    A row's vector is the mean of its labels' weights.

    Args:
        labels: their names.
        width: length of the vectors of texts.
        temperature: scores are divided by it, as cosines are, so that weights of length one go far enough.

    Example:
        >>> import torch
        >>> from unalike.encoders import LabelMatrix, LabelNames
        >>> matrix = LabelMatrix(LabelNames(["cat", "dog"]), 8, temperature=0.05)
        >>> matrix.scorer()(torch.eye(8)).shape, sum(p.numel() for p in matrix.parameters())
        (torch.Size([8, 2]), 18)
    """

    kind = "labels"

    def __init__(self, labels: Encoder, width: int, *, temperature: float) -> None:
        super().__init__()
        assert isinstance(labels, LabelNames)
        self.labels, self.width, self.temperature = labels, width, temperature
        self.weight = nn.Parameter(torch.empty(len(labels.names), width).normal_(std=width**-0.5))
        # As many labels are wrong as there are others: probabilities begin near one right label a row.
        self.bias = nn.Parameter(torch.full((len(labels.names),), -math.log(len(labels.names) - 1 + 1e-6)))

    @torch.no_grad()
    def scorer(self) -> Callable[[Tensor], Tensor]:
        """A function from vectors ``(B, width)`` of texts to their scores ``(B, labels)``, logits."""
        return lambda texts: texts @ self.weight.detach().T / self.temperature + self.bias.detach()

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedLabels:
        return self.labels.prepare(column)

    def forward(self, inputs: Tensor) -> Encoded:
        return Encoded(_mean(self.weight, inputs, inputs.coalesce().indices()[1]))

    def config(self) -> dict[str, Any]:
        return self.labels.config()


def _mean(vectors: Tensor, inputs: Tensor, places: Tensor) -> Tensor:
    """For each row of a sparse batch the mean of its entries' vectors, zeros without entries."""
    rows = inputs.coalesce().indices()[0]
    counts = torch.bincount(rows, minlength=len(inputs)).clamp(min=1)
    total = vectors.new_zeros(len(inputs), vectors.shape[1]).index_add(0, rows, vectors[places])
    return total / counts[:, None]


def _labels(column: Column) -> LabelsColumn:
    if not isinstance(column, LabelsColumn):
        raise DataError(f"an encoder of labels reads sets of labels; given: a column of the kind {column.kind!r}")
    return column
