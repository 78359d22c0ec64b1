"""Texts in, texts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unalike.decoding.decoder import Decoder, Listener, check_model, check_prompt, greedy, run
from unalike.decoding.texts import Texts
from unalike.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """What a model went on with.

    Args:
        prompt: what it was given, without the context.
        text: what it added.
        tokens: the same as token ids; the last one may be an end of text.
        ended: whether it came to an end by itself, before ``max_new_tokens``.
    """

    prompt: str
    text: str
    tokens: tuple[int, ...]
    ended: bool


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    decoder: Decoder | None = None,
    max_new_tokens: int = 64,
    contexts: str | Sequence[str] | None = None,
    second: Any = None,
    batch_size: int = 8,
    listener: Listener | None = None,
) -> list[Continuation]:
    """Continue each prompt.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        tokenizer: its tokenizer.
        prompts: texts, none of them empty.
        decoder: chooses the tokens; greedily unless given.
        max_new_tokens: tokens to add at most; an end of text stops earlier.
        contexts: what a decoder with two branches knows in the first and not in the second: a text for all prompts,
            or one for each. With one branch it is read before the prompt.
        second: the model of the second branch, with the same tokenizer; the same model unless given.
        batch_size: prompts at a time, padded on the left.
        listener: called with the `Texts` before each token and the tokens that were chosen.

    Returns:
        One for each prompt, in order.

    Raises:
        SettingsError: no prompt or an empty one, contexts that are missing or do not match, a prompt that does not fit
            the model's window, or branches with different vocabularies.

    Example:
        >>> from unalike.decoding import load_language_model
        >>> model, tokenizer = load_language_model("smollm2")  # doctest: +SKIP
        >>> generate(model, tokenizer, ["The capital of France is"], max_new_tokens=3)[0].text  # doctest: +SKIP
        ' Paris.'
    """
    decoder = greedy() if decoder is None else decoder
    if isinstance(prompts, str) or not prompts:
        raise SettingsError("got no list of prompts; expected one text or more: generate(model, tokenizer, ['...'])")
    if second is not None and decoder.branches == 1:
        raise SettingsError("got a second model; this decoder has one branch and asks one model")
    if batch_size < 1 or max_new_tokens < 1:
        raise SettingsError(f"got batch_size={batch_size}, max_new_tokens={max_new_tokens}; expected 1 or more")
    whole = _with_contexts(prompts, contexts, decoder)
    models = [model] if decoder.branches == 1 else [model, model if second is None else second]
    for each in models:
        check_model(each, decoder)
    sides = [whole] if decoder.branches == 1 else [whole, list(prompts)]
    ends = _ends(model, tokenizer)
    found: list[Continuation] = []
    for start in range(0, len(prompts), batch_size):
        batch = [_tokenise(tokenizer, side[start : start + batch_size], start, model.device) for side in sides]
        for each, (ids, mask) in zip(models, batch, strict=True):
            check_prompt(each, ids, mask, max_new_tokens)
        with torch.no_grad():
            texts = Texts(models, batch, hidden=decoder.hidden)
        ids = batch[0][0]
        length = ids.shape[1]
        stops = torch.tensor(ends, device=ids.device)

        def stop(so_far: Tensor, length: int = length, stops: Tensor = stops) -> Tensor:
            return torch.isin(so_far[:, -1], stops) | (so_far.shape[1] >= length + max_new_tokens)

        tokens = run(decoder, texts, ids, pad=ends[0] if ends else 0, stop=stop, listener=listener)
        for prompt, row in zip(prompts[start : start + batch_size], tokens[:, length:].tolist(), strict=True):
            found.append(_continuation(tokenizer, prompt, row, ends))
    return found


@torch.no_grad()
def hidden_states(model: Any, tokenizer: Any, texts: Sequence[str], *, max_tokens: int = 512) -> list[Tensor]:
    """The last layer's states of each text, ``(T, D)`` in float32, as `unalike.evaluation.isotropy` compares them.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        texts: none of them empty.
        max_tokens: what is longer is cut.

    Raises:
        SettingsError: an empty text, or more tokens than the model's window has.
    """
    found = []
    for number, text in enumerate(texts):
        ids, mask = _tokenise(tokenizer, [text], number, model.device)
        ids, mask = ids[:, :max_tokens], mask[:, :max_tokens]
        check_prompt(model, ids, mask)
        # Without the head, whose logits nobody asks for.
        states = model.base_model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[-1]
        found.append(states[0].float().cpu())
    return found


def _with_contexts(prompts: Sequence[str], contexts: str | Sequence[str] | None, decoder: Decoder) -> list[str]:
    if contexts is None:
        if decoder.branches == 2:
            raise SettingsError("this decoder contrasts a prompt with its context and without: give contexts")
        return list(prompts)
    each = [contexts] * len(prompts) if isinstance(contexts, str) else list(contexts)
    if len(each) != len(prompts):
        raise SettingsError(f"got {len(each)} contexts for {len(prompts)} prompts; expected one for each, or one text")
    return [f"{context}\n{prompt}" for context, prompt in zip(each, prompts, strict=True)]


def _tokenise(tokenizer: Any, texts: Sequence[str], first: int, device: Any) -> tuple[Tensor, Tensor]:
    rows = tokenizer(list(texts))["input_ids"]
    for number, (text, row) in enumerate(zip(texts, rows, strict=True), start=first + 1):
        if not text or not row:
            raise SettingsError(f"prompt {number} is empty; expected a text to continue")
    length = max(map(len, rows))
    # By hand: a tokenizer without a padding token refuses, and the padding side is the tokenizer's global state.
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, length - len(row) :] = torch.tensor(row)
        mask[place, length - len(row) :] = True
    return ids.to(device), mask.to(device)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def _continuation(tokenizer: Any, prompt: str, row: list[int], ends: list[int]) -> Continuation:
    stops = [place for place, token in enumerate(row) if token in ends]
    kept = row[: stops[0] + 1] if stops else row
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return Continuation(prompt=prompt, text=text, tokens=tuple(kept), ended=bool(stops))
