"""Tiny language models with random weights, and a tokenizer of words for them."""

from __future__ import annotations

from typing import Any

import torch

WORDS = [
    "the",
    "a",
    "red",
    "blue",
    "old",
    "sea",
    "house",
    "keeper",
    "light",
    "sees",
    "likes",
    "of",
    "in",
    "and",
    "is",
    ".",
    "was",
    "far",
    "near",
    "ship",
]


SMALL: dict[str, Any] = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 16,
    "intermediate_size": 24,
    "bos_token_id": None,
    "eos_token_id": None,
}
"""Sizes of models of the llama family."""


def gpt2(vocabulary: int = 40, window: int = 48, seed: int = 0, scale: float = 1.0) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(
        n_layer=2, n_head=2, n_embd=16, vocab_size=vocabulary, n_positions=window, bos_token_id=None, eos_token_id=None
    )
    return _spread(GPT2LMHeadModel(config), scale)


def llama(vocabulary: int = 40, window: int = 48, seed: int = 0, scale: float = 1.0) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=vocabulary, max_position_embeddings=window, **SMALL)
    return _spread(LlamaForCausalLM(config), scale)


def mistral(vocabulary: int = 40, window: int = 48, seed: int = 0, sliding: int = 5) -> Any:
    """A window over the cache that slides: its places in the cache cannot be shared."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(seed)
    config = MistralConfig(vocab_size=vocabulary, max_position_embeddings=window, sliding_window=sliding, **SMALL)
    return _spread(MistralForCausalLM(config), 1.0)


def granite(vocabulary: int = 40, window: int = 48, seed: int = 0) -> Any:
    """Logits are the head's divided by a number: the head alone does not give them."""
    from transformers import GraniteConfig, GraniteForCausalLM

    torch.manual_seed(seed)
    config = GraniteConfig(
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        hidden_size=16,
        intermediate_size=24,
        vocab_size=vocabulary,
        max_position_embeddings=window,
        logits_scaling=0.3,
        bos_token_id=None,
        eos_token_id=None,
    )
    return _spread(GraniteForCausalLM(config), 1.0)


def _spread(model: Any, scale: float) -> Any:
    """Larger weights than at the start of a training, so that every token matters to what follows."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3 * scale)
    return model.eval()


def tokenizer() -> Any:
    """One token a word, in 40 of them; what is unknown is ``<unk>``, and ``<end>`` ends."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<end>", *WORDS]
    names += [f"w{number}" for number in range(40 - len(names))]
    made = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")
