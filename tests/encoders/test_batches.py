"""Texts in batches of like length: every row once, little padding, and the vectors of one text at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unalike.data import TextColumn
from unalike.encoders import (
    SentenceTransformersEncoder,
    TextTransformer,
    budget_for,
    embed_texts,
    embed_tokens,
    even_batches,
    threads_for,
)
from unalike.errors import SettingsError

WORDS = ["red", "green", "blue", "bicycle", "car", "a", "the", "of", "runs", "stands", "by", "quickly"]


def mixed(count: int) -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, generator.integers(0, 50))) for _ in range(count)]


@given(st.lists(st.integers(0, 300), max_size=200), st.integers(1, 500), st.integers(0, 100))
def test_every_row_is_in_one_batch_that_keeps_to_its_bounds(counts, budget, idle):
    batches = list(even_batches(counts, budget=budget, idle=idle))
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(counts)))
    lengths = np.array(counts, np.int64)
    for batch, following in zip(batches, [*batches[1:], None][: len(batches)], strict=True):
        padded = len(batch) * lengths[batch].max()
        padding = padded - lengths[batch].sum()
        assert len(batch) == 1 or (padded <= budget and padding <= idle)
        if following is not None:  # a batch is closed only because the next row would break a bound
            longest, extra = lengths[batch].max(), lengths[following].max()
            assert longest * (len(batch) + 1) > budget or padding + longest - extra > idle


@pytest.mark.parametrize("bounds", [{"budget": 0}, {"idle": -1}])
def test_bounds_out_of_range_are_refused(bounds):
    with pytest.raises(SettingsError, match=r"budget=.*idle="):
        list(even_batches([3], **bounds))


def test_vectors_are_those_of_one_text_at_a_time():
    texts = [*mixed(60), "", "red", "red", "a red bicycle"]
    encoder = TextTransformer.from_texts(texts, vocabulary=300, width=16, depth=2, heads=2).train()
    found = embed_texts(encoder, texts)
    assert encoder.training
    np.testing.assert_allclose(found, np.concatenate([encoder.encode([text]) for text in texts]), atol=1e-5)
    assert embed_texts(encoder, []).shape == (0, 16)


def test_equal_texts_are_computed_once_and_rows_may_be_chosen():
    texts = ["red", "a car", "red", "red", "a car", "blue"]
    encoder = TextTransformer.from_texts(texts, vocabulary=300, width=16, depth=1, heads=2).eval()
    packed = encoder.prepare(TextColumn(texts))
    seen = []

    def embed(tokens):
        seen.append(len(tokens))
        return encoder(tokens).vector

    rows = np.array([4, 3, 2, 1])
    found = embed_tokens(packed, embed, rows)
    assert sum(seen) == 2
    np.testing.assert_allclose(found, encoder.encode([texts[row] for row in rows]), atol=1e-6)


def test_smaller_models_are_given_more_tokens():
    assert budget_for(torch.nn.Linear(4000, 4000)) == 2048
    assert budget_for(torch.nn.Linear(1000, 2000)) > 2048
    assert budget_for(torch.nn.Sequential(torch.nn.Embedding(4000, 4000), torch.nn.Linear(2, 2))) == 16 * 2048


def test_sentence_transformers_vectors(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    tokenizer = transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(words)})
    tokenizer.save_pretrained(tmp_path / "bert")
    parts = [Transformer(str(tmp_path / "bert")), Pooling(32, "mean")]
    model = sentence_transformers.SentenceTransformer(modules=parts, device="cpu")
    model.save_pretrained(str(tmp_path / "sentences"))
    texts = [*mixed(100), "", "red", "red"]
    found = embed_texts(SentenceTransformersEncoder(tmp_path / "sentences"), texts)
    np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)


def test_several_batches_at_once_give_the_same_vectors():
    texts = mixed(200)
    encoder = TextTransformer.from_texts(texts, vocabulary=300, width=16, depth=1, heads=2).eval()
    packed = encoder.prepare(TextColumn(texts))
    before, seen = torch.get_num_threads(), set()

    def embed(tokens):
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return encoder(tokens).vector

    together = embed_tokens(packed, embed, budget=64, threads=3)
    assert len(seen) > 1
    assert {count for _, count in seen} == {1}
    assert torch.get_num_threads() == before
    alone = embed_tokens(packed, lambda tokens: encoder(tokens).vector, budget=64)
    np.testing.assert_allclose(together, alone, atol=1e-6)

    def fails(tokens):
        raise ValueError("this batch cannot be read")

    with pytest.raises(ValueError, match="cannot be read"):
        embed_tokens(packed, fails, budget=64, threads=3)
    assert torch.get_num_threads() == before
    assert threads_for(encoder) == before
