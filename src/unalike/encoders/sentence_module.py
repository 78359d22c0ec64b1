"""An encoder of texts as a part of sentence-transformers; needs that package, and is imported where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sentence_transformers.base.modules.input_module import InputModule
from torch import Tensor

from unalike.errors import RunError
from unalike.views import Tokens

from .build import load_tower
from .kept import save_tower
from .packed import PackedTokens
from .text import TextEncoder


class OwnTexts(InputModule):
    """Reads texts with an encoder of this package, where sentence-transformers has no part that could.

    ``modules.json`` names this class. Since it stands outside of sentence-transformers, a folder with it is opened by
    ``SentenceTransformer(folder, trust_remote_code=True)`` where unalike is installed; the folder itself holds
    weights and JSON, and no code.

    Args:
        tower: the encoder.
    """

    save_in_root = False

    def __init__(self, tower: TextEncoder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tower = tower

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Tensor]:
        """Tokens ``(B, L)`` of texts, and where they stand."""
        values, counts = self.tower.tokenise([f"{prompt or ''}{text}" for text in inputs])
        offsets = np.concatenate([np.zeros(1, np.int64), counts.cumsum()])
        tokens = PackedTokens(values, offsets, counts > 0).take(np.arange(len(counts)))
        return {"input_ids": tokens.ids, "attention_mask": tokens.mask.long()}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Adds the vectors ``(B, D)`` of a batch."""
        tokens = Tokens(features["input_ids"], features["attention_mask"].bool())
        return features | {"sentence_embedding": self.tower(tokens).vector}

    def get_embedding_dimension(self) -> int:
        """Length of the vectors."""
        return self.tower.width

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Write the encoder as runs keep theirs."""
        save_tower(Path(output_path), self.tower)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> Self:  # type: ignore[override]
        """Read it again, checked against its sums.

        Raises:
            RunError: the folder is not on this machine, or was changed.
        """
        tower = load_tower(Path(model_name_or_path) / subfolder, "text")
        if not isinstance(tower, TextEncoder):
            raise RunError(f"{model_name_or_path} holds {type(tower).__name__}, which reads no texts")
        return cls(tower)
