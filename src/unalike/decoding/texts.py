"""A batch of texts in the making, as a decoder sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from unalike.decoding.rows import Rows
from unalike.errors import SettingsError


class Texts:
    """B texts in the making, each continued from one prompt or several: its branches.

    Args:
        models: the model of each branch.
        prompts: ``(ids, mask)`` of each branch, both ``(B, L)`` and padded on the left; L may differ.
        hidden: keep the hidden states of all tokens of the first branch.

    Raises:
        SettingsError: the branches have different vocabularies or numbers of texts.
    """

    def __init__(
        self, models: Sequence[Any], prompts: Sequence[tuple[Tensor, Tensor]], *, hidden: bool = False
    ) -> None:
        counts = {len(ids) for ids, _ in prompts}
        if len(counts) > 1:
            raise SettingsError(f"the branches have {' and '.join(map(str, sorted(counts)))} texts; expected as many")
        (self.count,) = counts
        self._groups: list[Rows] = []
        for place, (model, (ids, mask)) in enumerate(zip(models, prompts, strict=True)):
            rows = Rows(model, ids, mask, hidden=hidden and place == 0)
            width = rows.logits.shape[-1]
            if self._groups and width != self._groups[0].logits.shape[-1]:
                raise SettingsError(
                    f"the branches have vocabularies of {self._groups[0].logits.shape[-1]} and {width} tokens; "
                    "a contrast needs two models with the same tokenizer"
                )
            # One pass over the weights serves the branches of one model together.
            if not (self._groups and self._groups[-1].hidden is None and self._groups[-1].join(rows)):
                self._groups.append(rows)

    @property
    def logits(self) -> list[Tensor]:
        """Of the next token: ``(B, V)`` in float32 for each branch."""
        return [part for rows in self._groups for part in rows.logits.chunk(len(rows.logits) // self.count)]

    def process(self, change: Callable[[Tensor], Tensor]) -> None:
        """Change the logits of the first branch, which is the one that speaks where there are several."""
        rows = self._groups[0]
        rows.logits = torch.cat([change(rows.logits[: self.count]), rows.logits[self.count :]])

    @property
    def hidden(self) -> Tensor:
        """Unit vectors ``(B, L, D)`` of the tokens of the first branch so far, where the decoder asked for them."""
        assert self._groups[0].hidden is not None
        return self._groups[0].hidden

    @property
    def mask(self) -> Tensor:
        """``(B, L)`` booleans of the first branch, false at padding."""
        return self._groups[0].mask[: self.count]

    def look(self, candidates: Tensor) -> Tensor:
        """Hidden states ``(B, K, D)`` that the candidates ``(B, K)`` would have as the next token of the first branch.

        The token that is then chosen must be one of them; it costs no further pass.
        """
        return self._groups[0].look(candidates)

    def advance(self, tokens: Tensor) -> None:
        """Append one token ``(B,)`` to each text, in all its branches."""
        for rows in self._groups:
            rows.advance(tokens.repeat(len(rows.logits) // self.count))
