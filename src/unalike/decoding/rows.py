"""Rows of token ids that a language model is in the middle of, with what it remembers of them."""

from __future__ import annotations

import inspect
from typing import Any, Self

import torch
from torch import Tensor, nn

from unalike.encoders import require_transformers
from unalike.errors import SettingsError


class Rows:
    """A batch of token ids, the model's cache of them, and what it says comes next.

    Args:
        model: a causal language model of transformers.
        ids: ``(R, L)``, padded on the left.
        mask: ``(R, L)`` booleans, false at padding.
        hidden: keep the last layer's states of all tokens, which decoders that look ahead compare with.

    Attributes:
        logits: ``(R, V)`` in float32, of the next token.
        hidden: ``(R, L, D)`` unit vectors, or None.
        mask: ``(R, L)``.
    """

    def __init__(self, model: Any, ids: Tensor, mask: Tensor, *, hidden: bool = False) -> None:
        self.model = model
        self.mask = mask
        self.padded = not bool(mask.all())
        self.positions = mask.sum(1)
        self.cache: Any = require_transformers().DynamicCache(config=model.config)
        self.hidden: Tensor | None = None
        self._ahead: tuple[Tensor, Tensor | None, Tensor] | None = None
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits, states = self._forward(ids, positions, mask.long() if self.padded else None, states=hidden, keep=1)
        self.logits = logits[:, -1]
        self._plain_head = False
        if states is not None:
            # Some models scale or cap what the head gives; where none does, the head alone serves one row of many.
            again = model.get_output_embeddings()(states[:, -1].to(model.dtype)).float()
            self._plain_head = again.shape == self.logits.shape and torch.allclose(again, self.logits, atol=1e-4)
            self.hidden = nn.functional.normalize(states, dim=-1)

    def advance(self, tokens: Tensor) -> None:
        """Append one token to each row, ``(R,)``; a candidate that was looked at costs nothing more."""
        if self._ahead is None:
            positions, self.positions = self.positions, self.positions + 1
            self._grow_mask()
            mask = self.mask.long() if self.padded else None
            logits, states = self._forward(tokens[:, None], positions[:, None], mask, states=self.hidden is not None)
        else:
            logits, states = self._take(tokens)
            self.positions = self.positions + 1
            self._grow_mask()
        self.logits = logits[:, -1]
        if states is not None:
            assert self.hidden is not None
            self.hidden = torch.cat([self.hidden, nn.functional.normalize(states, dim=-1)], dim=1)

    def look(self, candidates: Tensor) -> Tensor:
        """The hidden state that each candidate would have as the next token: ``(R, K)`` tokens, ``(R, K, D)`` states.

        Where the cache is plain, the candidates are one step of K tokens that see the text and themselves but not
        each other, so that the cache is shared. Else each row is repeated K times.
        """
        rows, count = candidates.shape
        if self._shares():
            mask = torch.cat([self.mask[:, None].expand(-1, count, -1), self._only_themselves(rows, count)], dim=2)
            # Added to the scores, and no infinity: it serves every kernel.
            added = torch.zeros(mask.shape, dtype=self.model.dtype, device=mask.device)
            added.masked_fill_(~mask, torch.finfo(added.dtype).min)
            positions = self.positions[:, None].expand(-1, count)
            logits, states = self._forward(
                candidates, positions, added[:, None], states=True, head=not self._plain_head
            )
        else:
            self.cache.batch_repeat_interleave(count)
            mask = nn.functional.pad(self.mask, (0, 1), value=True).repeat_interleave(count, 0).long()
            positions = self.positions.repeat_interleave(count)[:, None]
            logits, states = self._forward(
                candidates.reshape(-1, 1),
                positions,
                mask if self.padded else None,
                states=True,
                head=not self._plain_head,
            )
        assert states is not None
        states = states.reshape(rows, count, -1)
        self._ahead = candidates, logits if logits is None else logits.reshape(rows, count, -1), states
        return states

    def join(self, other: Self) -> bool:
        """Take over the rows of another text with the same model, so that a step costs one pass; say if it went."""
        if other.model is not self.model or not (self._shares() and other._shares()):
            return False
        length = max(self.mask.shape[1], other.mask.shape[1])
        for mine, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            for name in ("keys", "values"):
                # A masked place may hold anything but what is no number: zeros.
                both = [nn.functional.pad(x, (0, 0, length - x.shape[2], 0)) for x in _both(mine, theirs, name)]
                setattr(mine, name, torch.cat(both))
        self.mask = torch.cat([nn.functional.pad(m, (length - m.shape[1], 0)) for m in (self.mask, other.mask)])
        self.padded = not bool(self.mask.all())
        self.positions = torch.cat([self.positions, other.positions])
        self.logits = torch.cat([self.logits, other.logits])
        return True

    def _forward(
        self,
        ids: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        *,
        states: bool,
        keep: int = 0,
        head: bool = True,
    ) -> tuple[Any, Tensor | None]:
        """Logits, unless the head is left out, and the last layer's states, if they are asked for."""
        called = self.model if head else self.model.base_model
        takes = _parameters(called)
        given: dict[str, Any] = {"input_ids": ids, "use_cache": True, "return_dict": True}
        given["cache" if "cache" in takes else "past_key_values"] = self.cache
        if mask is not None:
            given["attention_mask"] = mask
        if "position_ids" in takes:
            given["position_ids"] = positions
        if keep and "logits_to_keep" in takes:
            given["logits_to_keep"] = keep
        if states:
            given["output_hidden_states"] = True
        found = called(**given)
        return found.logits.float() if head else None, found.hidden_states[-1].float() if states else None

    def _take(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What was found for the candidates that were chosen; the cache keeps these and no others."""
        assert self._ahead is not None
        (candidates, logits, states), self._ahead = self._ahead, None
        matches = candidates == tokens[:, None]
        if not bool(matches.any(1).all()):
            raise SettingsError("a decoder chose a token that is none of the candidates that it looked at")
        choice = matches.int().argmax(1)
        rows, count = candidates.shape
        every = torch.arange(rows, device=choice.device)
        if self._shares():
            length = self.mask.shape[1]
            for layer in self.cache.layers:
                for name in ("keys", "values"):
                    kept = getattr(layer, name)
                    kept[:, :, length] = kept[every, :, length + choice]
                    setattr(layer, name, kept[:, :, : length + 1])
        else:
            self.cache.batch_select_indices(every * count + choice)
        state = states[every, choice][:, None]
        if logits is not None:
            return logits[every, choice][:, None], state
        return self.model.get_output_embeddings()(state.to(self.model.dtype)).float(), state

    def _grow_mask(self) -> None:
        self.mask = nn.functional.pad(self.mask, (0, 1), value=True)

    def _only_themselves(self, rows: int, count: int) -> Tensor:
        return torch.eye(count, dtype=torch.bool, device=self.mask.device).expand(rows, -1, -1)

    def _shares(self) -> bool:
        """Whether a token's place in the cache may differ from its position in the text."""
        from transformers.cache_utils import DynamicLayer

        config = self.model.config
        return (
            all(type(layer) is DynamicLayer for layer in self.cache.layers)
            and "position_ids" in _parameters(self.model)
            and getattr(config, "_attn_implementation", None) in ("sdpa", "eager")
            and not getattr(config, "alibi", False)
        )


def _both(mine: Any, theirs: Any, name: str) -> tuple[Tensor, Tensor]:
    return getattr(mine, name), getattr(theirs, name)


def _parameters(model: Any) -> set[str]:
    return set(inspect.signature(model.forward).parameters)
