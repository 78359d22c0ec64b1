"""One arm, one seed, of a claim about decoders: a language model goes on with prompts, and metrics look at how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unalike import decoding
from unalike.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model is asked to go on with.

    Args:
        text: the prompt.
        context: what is read before it; a decoder with two branches sees the prompt without it too.
        answer: the right answer, or the way the real text went on, where there is one.
        group: what metrics tell prompts apart by.
    """

    text: str
    context: str | None = None
    answer: str | None = None
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A decoder's continuations at one seed, as metrics see them.

    Args:
        arm: its name.
        seed: of the prompts, and of decoders that draw.
        model, tokenizer: the language model, the same for every arm.
        decoder: chooses the tokens.
        settings: the system's resolved settings.
        prompts: what was asked.
        found: what the model went on with, one for each.
    """

    arm: str
    seed: int
    model: Any
    tokenizer: Any
    decoder: decoding.Decoder
    settings: Any
    prompts: Sequence[Prompt]
    found: Sequence[decoding.Continuation]

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """The tokens of the first continuations."""
        return {f"prompt {n}": np.array([each.tokens], float) for n, each in enumerate(self.found[:count])}

    def again(self, **options: Any) -> list[decoding.Continuation]:
        """Go on with the same prompts in another way; options are those of `unalike.decoding.generate`."""
        return _continue(self.model, self.tokenizer, self.prompts, **options)


def run_generation(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    decoder: decoding.Decoder,
    *,
    arm: str,
    seed: int,
    count: int | None,
    settings: Any = None,
    **options: Any,
) -> Generation:
    """Go on with ``count`` prompts drawn by the seed alone, so that every arm of a seed gets the same.

    Raises:
        SettingsError: there is no prompt, or some have a context and others none.
    """
    if not prompts or len({prompt.context is None for prompt in prompts}) > 1:
        raise SettingsError(f"got {len(prompts)} prompts; expected one or more, with a context all of them or none")
    drawn = np.random.default_rng(seed).permutation(len(prompts))[:count]
    chosen = [prompts[int(place)] for place in drawn]
    found = _continue(model, tokenizer, chosen, decoder=decoder, **options)
    return Generation(
        arm=arm,
        seed=seed,
        model=model,
        tokenizer=tokenizer,
        decoder=decoder,
        settings=settings,
        prompts=chosen,
        found=found,
    )


def _continue(model: Any, tokenizer: Any, prompts: Sequence[Prompt], **options: Any) -> list[decoding.Continuation]:
    contexts = [prompt.context for prompt in prompts if prompt.context is not None]
    texts = [prompt.text for prompt in prompts]
    return decoding.generate(model, tokenizer, texts, contexts=contexts or None, **options)
