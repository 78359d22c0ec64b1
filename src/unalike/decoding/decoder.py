"""What a system of the kind "decoder" is made of, and the loop that all of them run in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from unalike.decoding.texts import Texts
from unalike.encoders import require_transformers
from unalike.errors import SettingsError

Choose = Callable[[Texts], Tensor]
"""Chooses the next token ``(B,)`` of each text."""

Listener = Callable[[Texts, Tensor], None]
"""Called with the texts before each token and the tokens ``(B,)`` that were chosen."""


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """A way of choosing tokens, composed of parts. It is also a strategy for the ``generate`` of transformers.

        model.generate(**tokenizer(prompt, return_tensors="pt"), custom_generate=decoder)

    A decoder with two branches takes the second as ``plain_ids`` and ``plain_mask``, padded on the left; the text
    that is continued is the first.

    Args:
        choose: the next token ``(B,)`` from the texts so far.
        branches: prompts that a text is continued from; 2 contrasts a prompt with its context and without.
        hidden: whether it compares hidden states.
        largest: tokens that it must be able to choose from.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=9, n_positions=16)).eval()
        >>> ids = torch.tensor([[3, 1, 4]])
        >>> ours = model.generate(ids, custom_generate=greedy(), max_new_tokens=5, eos_token_id=None)
        >>> torch.equal(ours, model.generate(ids, max_new_tokens=5, do_sample=False, eos_token_id=None))
        True
    """

    choose: Choose
    branches: int = 1
    hidden: bool = False
    largest: int = 1

    def __post_init__(self) -> None:
        if self.largest < 1:
            raise SettingsError(f"got {self.largest} tokens to choose from; expected 1 or more")

    def __call__(
        self,
        model: Any,
        input_ids: Tensor,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        plain_ids: Tensor | None = None,
        plain_mask: Tensor | None = None,
        **model_kwargs: Any,
    ) -> Any:
        """What ``generate`` of transformers calls: token ids ``(B, L + new)``, or its output record if it wants one.

        Raises:
            SettingsError: beams, a cache that is in use, a model or a window that cannot serve, or a second prompt
                that is missing or not wanted.
        """
        if generation_config.num_beams > 1:
            raise SettingsError(f"got num_beams={generation_config.num_beams}; a decoder has no beams: leave it at 1")
        cache = model_kwargs.get("cache", model_kwargs.get("past_key_values"))
        if cache is not None and cache.get_seq_length() > 0:
            raise SettingsError("got a cache that holds tokens; expected none: a decoder reads the whole prompt itself")
        if (plain_ids is not None) != (self.branches == 2):
            wants = "plain_ids, the prompt without its context" if self.branches == 2 else "no plain_ids"
            raise SettingsError(f"this decoder has {self.branches} branch(es) and takes {wants}")
        prompts = [_masked(input_ids, model_kwargs.get("attention_mask"))]
        if plain_ids is not None:
            prompts.append(_masked(plain_ids, plain_mask))
        new = generation_config.max_length - input_ids.shape[1]
        check_model(model, self)
        for ids, mask in prompts:
            check_prompt(model, ids, mask, new)
        ends = generation_config.eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        pad = generation_config.pad_token_id
        tokens = run(
            self,
            Texts([model] * self.branches, prompts, hidden=self.hidden),
            input_ids,
            pad=pad if pad is not None else ends[0] if ends else 0,
            stop=lambda ids: stopping_criteria(ids, None),
            process=logits_processor or None,
        )
        if not generation_config.return_dict_in_generate:
            return tokens
        return require_transformers().generation.GenerateDecoderOnlyOutput(sequences=tokens)


def greedy() -> Decoder:
    """The likeliest token, always.

    Example:
        >>> greedy().branches
        1
    """
    return Decoder(choose=lambda texts: texts.logits[0].argmax(-1))


@torch.no_grad()
def run(
    decoder: Decoder,
    texts: Texts,
    ids: Tensor,
    *,
    pad: int,
    stop: Callable[[Tensor], Tensor],
    process: Callable[[Tensor, Tensor], Tensor] | None = None,
    listener: Listener | None = None,
) -> Tensor:
    """The loop: choose, append, until every text has stopped.

    Args:
        decoder: chooses.
        texts: after their prompts.
        ids: ``(B, L)`` prompts of the first branch.
        pad: what follows the end of a text that stopped before others.
        stop: says from all ids so far which texts have ended, ``(B,)`` booleans.
        process: changes the first branch's logits, given the ids so far.
        listener: told of every token.

    Returns:
        ``(B, L + new)``.
    """
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    while True:
        if process is not None:
            texts.process(partial(process, ids))
        chosen = decoder.choose(texts)
        if listener is not None:
            listener(texts, chosen)
        ids = torch.cat([ids, chosen.masked_fill(ended, pad)[:, None]], dim=1)
        ended = ended | stop(ids)
        if bool(ended.all()):
            return ids
        texts.advance(chosen)


def check_model(model: Any, decoder: Decoder) -> None:
    """Refuse a model that cannot serve.

    Raises:
        SettingsError: no causal language model, or a vocabulary smaller than what the decoder chooses from.
    """
    if model.config.is_encoder_decoder or model.get_output_embeddings() is None:
        raise SettingsError(f"{type(model).__name__} is no causal language model; expected one that continues a text")
    vocabulary = model.get_input_embeddings().num_embeddings
    if decoder.largest > vocabulary:
        raise SettingsError(
            f"the decoder chooses among the {decoder.largest} likeliest tokens; the vocabulary has {vocabulary}"
        )


def check_prompt(model: Any, ids: Tensor, mask: Tensor, new: int = 0) -> None:
    """Refuse prompts that would fail later or, worse, not fail.

    Raises:
        SettingsError: a prompt that is empty, padded on the right, outside of the vocabulary, or with the ``new``
            tokens too long for the model's window.
    """
    if ids.shape[1] == 0 or not bool(mask.any(1).all()):
        raise SettingsError("a prompt is empty; expected a token at least to continue from")
    if not bool(mask[:, -1].all()):
        raise SettingsError("a prompt is padded on the right; expected padding on the left, or none")
    vocabulary = model.get_input_embeddings().num_embeddings
    if int(ids.max()) >= vocabulary:
        raise SettingsError(
            f"a prompt has the token {int(ids.max())}; the model's vocabulary has {vocabulary}: "
            "the tokenizer is not this model's"
        )
    window = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    longest = int(mask.sum(1).max())
    if window is not None and longest + new > window:
        raise SettingsError(
            f"a prompt of {longest} tokens and {new} new ones are more than the model's window of {window}: "
            f"shorten the prompt, or ask for {max(0, window - longest)} new tokens at most"
        )


def _masked(ids: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    return ids, torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
