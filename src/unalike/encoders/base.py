"""What an encoder takes and gives: prepared inputs in; vector, tokens and mask out."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from torch import Tensor, nn

from unalike.data import Column, Failure
from unalike.views import Tokens as Tokens


def options_of(*functions: Callable) -> set[str]:
    """The keyword-only settings of some functions, but for those that come from the data and the run."""
    found = (p for function in functions for p in inspect.signature(function).parameters.values())
    return {p.name for p in found if p.kind is p.KEYWORD_ONLY} - {"size", "seed", "weights", "mean", "std"}


@dataclass(frozen=True)
class Encoded:
    """What an encoder returns.

    vector: ``(B, width)``, one a row; tokens: ``(B, L, token_width)`` or None (patches, words, frames); mask:
    ``(B, L)`` bool or None, true where a token stands.
    """

    vector: Tensor
    tokens: Tensor | None = None
    mask: Tensor | None = None


class Prepared(ABC):
    """A column made ready for an encoder once, so that a training step only slices.

    failures: by row, why it could not be read; notes: what a user should know of the column.
    """

    failures: Mapping[int, Failure] = MappingProxyType({})
    notes: Sequence[str] = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, indices: np.ndarray | Sequence[int]) -> Any:
        """The rows as a batch: a uint8 tensor ``(B, 3, H, W)`` for pictures, `Tokens` for texts."""

    def raw(self, indices: np.ndarray | Sequence[int]) -> Any:
        """The rows as numbers ``(B, ...)`` without a model, for floors: as `take` gives them unless there is better."""
        return self.take(indices)

    @property
    def stored(self) -> Prepared:
        """What holds the entries: itself, or the whole column where this is some rows of one."""
        return self

    @cached_property
    def present(self) -> np.ndarray:
        """Bool ``(N,)``: which rows have an entry that could be read; all of them unless it is said."""
        return np.ones(len(self), bool)


class Encoder(nn.Module, ABC):
    """A module that turns prepared inputs into vectors.

    kind: the kind of column it reads (``"image"``, ``"text"``, ``"array"``, ...); width: length of its vectors.
    """

    kind: str
    width: int
    size: int
    """Side in pixels of what an encoder of pictures reads; others have none."""
    frozen: bool = False
    pretrained: bool = False
    """Whether the weights it was made with were trained elsewhere."""
    suited_rate: float | None = None
    """Peak learning rate at which pretrained weights of this kind are trained on; the recipe's where it is None."""

    @property
    def token_width(self) -> int:
        """Length of the tokens, where it gives any."""
        return self.width

    @abstractmethod
    def prepare(self, column: Column, *, cache: Path | None = None) -> Prepared:
        """Decode, resize or tokenise a column once; what is too large for memory may be kept in ``cache``."""

    @abstractmethod
    def forward(self, inputs: Any) -> Encoded:
        """Encode a batch: what `plain` or a view made of what `Prepared.take` returned."""

    def plain(self, inputs: Any) -> Any:
        """The inputs without augmentation, as evaluation wants them."""
        return inputs

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What `restore_encoder` needs, beside `assets`, to make an encoder of this shape; JSON can hold it."""

    def assets(self) -> dict[str, bytes]:
        """Files beyond the weights that a run needs to make this encoder again, such as a tokenizer."""
        return {}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        """An encoder of the shape that `config` told, with weights yet to be loaded."""
        return cls(**settings)

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Self:
        """An encoder to be trained on columns like these, with what it must learn from them first (a tokenizer).

        Args:
            columns: of the kind that it reads.
            given: what stood behind the colon of its name.
            size: side of the pictures in pixels.
            **options: the class's settings, the seed of the initial weights among them.
        """
        return cls(**options)

    @classmethod
    def options(cls) -> set[str]:
        """The settings that `for_columns` takes beside the seed."""
        return options_of(cls)

    def freeze(self) -> Self:
        """Keep the weights, and the statistics of batch normalisation, as they are from now on."""
        self.frozen = True
        return self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and not self.frozen)

    def describe(self) -> str:
        """One line for people: what it is and how large."""
        parameters = sum(p.numel() for p in self.parameters())
        return f"{type(self).__name__}: {self.kind} to {self.width} numbers, {parameters / 1e6:.2f} million parameters"
