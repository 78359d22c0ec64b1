"""The small transformer in the parts that transformers and sentence-transformers have."""

from __future__ import annotations

import tempfile
from typing import Any

import tokenizers
import torch
from tokenizers import processors

from unalike.errors import MissingExtra

from .model_folders import require_transformers
from .text_transformer import TextTransformer

CLASS = "\ue000class\ue000"
"""The class token's name, in characters that no text has: a name that texts may hold would be read as the token."""


def parts_of(tower: TextTransformer) -> list[Any]:
    """Parts of sentence-transformers that give the vectors of an encoder.

    Its blocks are those of ESM-1b (Rives et al. 2021): positions that are learned, norms before each layer and after
    the last, and none over the embeddings. Its class token, which stands before the positions, becomes a token of the
    vocabulary; where the vector is the mean of all others, it weighs nothing.

    Raises:
        MissingExtra: sentence-transformers is not installed.
    """
    transformers = require_transformers()
    try:
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer, WordWeights
    except ImportError as error:
        raise MissingExtra("sentence-transformers", "text") from error
    with tempfile.TemporaryDirectory() as aside:
        esm_of(tower).save_pretrained(aside)
        tokenizer = tokenizer_of(tower)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="[PAD]",
            cls_token=CLASS,
            model_max_length=tower.length + 1,
            model_input_names=["input_ids", "attention_mask"],
            clean_up_tokenization_spaces=False,
        ).save_pretrained(aside)
        first = Transformer(aside, max_seq_length=tower.length + 1)
    if tower.pool == "class":
        return [first, Pooling(tower.width, "cls")]
    words = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return [first, WordWeights([word for word, _ in words], {CLASS: 0.0}), Pooling(tower.width, "mean")]


def tokenizer_of(tower: TextTransformer) -> tokenizers.Tokenizer:
    """A copy of the encoder's tokenizer that puts the class token before each text."""
    copy = tokenizers.Tokenizer.from_str(tower.assets()["tokenizer.json"].decode())
    copy.no_truncation()
    copy.add_special_tokens([tokenizers.AddedToken(CLASS, normalized=False, special=True)])
    copy.post_processor = processors.TemplateProcessing(
        single=f"{CLASS} $A", special_tokens=[(CLASS, copy.token_to_id(CLASS))]
    )
    return copy


def esm_of(tower: TextTransformer) -> Any:
    """The encoder's weights in a model of transformers, of the kind ESM."""
    transformers = require_transformers()
    vocabulary, width = tower.table.weight.shape
    layers: Any = tower.blocks.layers
    last: Any = tower.blocks.norm
    block = layers[0]
    config = transformers.EsmConfig(
        vocab_size=vocabulary + 1,
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=block.self_attn.num_heads,
        intermediate_size=block.linear1.out_features,
        max_position_embeddings=tower.length + 2,
        position_embedding_type="absolute",
        hidden_dropout_prob=block.dropout.p,
        attention_probs_dropout_prob=block.self_attn.dropout,
        layer_norm_eps=block.norm1.eps,
        emb_layer_norm_before=False,
        token_dropout=False,
        pad_token_id=0,
        mask_token_id=None,
    )
    # Its part that predicts contacts of proteins, and its pooler, are there and not used.
    model = transformers.EsmModel(config).eval()
    with torch.no_grad():
        for unused in (model.pooler, model.contact_head):
            for parameter in unused.parameters():
                parameter.zero_()
        # Positions are counted from one after the padding's: the class token is first, and has none here.
        positions = torch.cat([tower.positions.weight.new_zeros(2, width), tower.positions.weight])
        model.embeddings.position_embeddings.weight.copy_(positions)
        model.embeddings.word_embeddings.weight.copy_(torch.cat([tower.table.weight, tower.first[0]]))
        for theirs, ours in zip(model.encoder.layer, layers, strict=True):
            weights, biases = (each.chunk(3) for each in (ours.self_attn.in_proj_weight, ours.self_attn.in_proj_bias))
            attention = theirs.attention
            for part, weight, bias in zip(
                (attention.self.query, attention.self.key, attention.self.value), weights, biases, strict=True
            ):
                part.weight.copy_(weight)
                part.bias.copy_(bias)
            pairs = (
                (attention.output.dense, ours.self_attn.out_proj),
                (attention.LayerNorm, ours.norm1),
                (theirs.LayerNorm, ours.norm2),
                (theirs.intermediate.dense, ours.linear1),
                (theirs.output.dense, ours.linear2),
            )
            for part, own in pairs:
                part.load_state_dict(own.state_dict())
        model.encoder.emb_layer_norm_after.load_state_dict(last.state_dict())
    return model
