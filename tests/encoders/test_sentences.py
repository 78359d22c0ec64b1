"""A folder of sentence-transformers gives its vectors, whatever stack it holds, or says which module it cannot use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unalike.data import TextColumn
from unalike.encoders import SentenceTransformersEncoder, build_encoder, embed_texts, restore_encoder
from unalike.errors import RunError, SettingsError
from unalike.views import Tokens

transformers = pytest.importorskip("transformers")
sentence_transformers = pytest.importorskip("sentence_transformers")
modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
base = pytest.importorskip("sentence_transformers.base.modules")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "cat", "dog", "sat", "on", "mat", "##s", "red", ":"]
WORDS += ["query", "passage", "by", "of", "two"]
TEXTS = ["the cat sat on the mat", "a dog", "red cats", "a red red red dog sat on the mat the cat sat on", "two"]
SIZE = {
    "vocab_size": len(WORDS), "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32,
}  # fmt: skip


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**SIZE, max_position_embeddings=24)).save_pretrained(folder)
    transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return str(folder)


def causal(folder: Path, kind: str) -> str:
    """A decoder, and a tokenizer that pads on the left."""
    import tokenizers

    own = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32, padding_side="left"
    )
    torch.manual_seed(0)
    if kind == "gpt2":  # positions of its own for each place, and no rotation
        config = transformers.GPT2Config(vocab_size=len(WORDS), n_embd=24, n_layer=2, n_head=2, n_positions=32)
        transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    else:
        config = transformers.MistralConfig(**SIZE, num_key_value_heads=2, max_position_embeddings=32)
        transformers.MistralForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return str(folder)


def transformer(bert: str, **options: Any) -> Any:
    return base.Transformer(bert, **options)


def static(seed: int, width: int = 24) -> Any:
    import tokenizers

    own = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    weights = np.random.default_rng(seed).normal(size=(len(WORDS), width)).astype(np.float32)
    return modules.StaticEmbedding(own, embedding_weights=weights)


def words(seed: int = 0) -> Any:
    own = modules.tokenizer.WhitespaceTokenizer(WORDS, stop_words=set(), do_lower_case=True)
    weights = np.random.default_rng(seed).normal(size=(len(WORDS), 24)).astype(np.float32)
    return modules.WordEmbeddings(own, weights, max_seq_length=9)


PROMPTS = {"query": "query: ", "document": "passage: "}


def router(bert: str, **options: Any) -> list[Any]:
    torch.manual_seed(4)
    document = [transformer(bert), modules.Pooling(24, "mean"), base.Dense(24, 16)]
    return [base.Router.for_query_document([static(1, 16)], document, **options), base.Normalize()]


def layers(bert: str) -> list[Any]:
    first = transformer(bert, config_kwargs={"output_hidden_states": True})
    return [first, modules.WeightedLayerPooling(24, num_hidden_layers=2, layer_start=1), modules.Pooling(24, "mean")]


STACKS: dict[str, Callable[[str], tuple[list[Any], dict[str, Any]]]] = {
    **{
        f"pooled by {mode}": lambda bert, mode=mode: ([transformer(bert), modules.Pooling(24, mode)], {})
        for mode in ("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("cls", "mean"))
    },
    "dense and of length one": lambda bert: (
        [transformer(bert), modules.Pooling(24, "mean"), base.Dense(24, 12), base.Normalize()], {},
    ),
    "a default prompt": lambda bert: (
        [transformer(bert), modules.Pooling(24, "mean")], {"prompts": PROMPTS, "default_prompt_name": "document"},
    ),
    "prompts for both sides": lambda bert: ([transformer(bert), modules.Pooling(24, "mean")], {"prompts": PROMPTS}),
    "a passage's prompt": lambda bert: (
        [transformer(bert), modules.Pooling(24, "mean")], {"prompts": {"passage": "passage: "}},
    ),
    "prompts that are not pooled": lambda bert: (
        [transformer(bert), modules.Pooling(24, "mean", include_prompt=False)],
        {"prompts": PROMPTS | {"short": "a "}, "default_prompt_name": "short"},
    ),
    "truncated": lambda bert: ([transformer(bert), modules.Pooling(24, "mean"), base.Normalize()], {"truncate_dim": 7}),
    "static": lambda bert: ([static(0)], {"prompts": PROMPTS}),
    "static and dense": lambda bert: ([static(0), base.Dense(24, 5), base.Normalize()], {}),
    "routes with a default": lambda bert: (router(bert), {"prompts": PROMPTS}),
    "routes without a default": lambda bert: (router(bert, default_route=None, allow_empty_key=False), {}),
    "words through an LSTM": lambda bert: ([words(), modules.LSTM(24, 8), modules.Pooling(16, "max")], {}),
    "words of one place": lambda bert: ([words(), modules.CNN(24, 8, [1]), modules.Pooling(8, "mean")], {}),
    "weighted words": lambda bert: (
        [transformer(bert), modules.WordWeights(WORDS, {"the": 0.1, "cat": 2.0}), modules.Pooling(24, "mean")], {},
    ),
    "layers": lambda bert: (layers(bert), {}),
    "normed and dropped out": lambda bert: (
        [transformer(bert), modules.Pooling(24, "mean"), modules.LayerNorm(24), modules.Dropout(0.5)], {},
    ),
    "lengths of each side": lambda bert: (
        [transformer(bert, query_length=5, document_length=8), modules.Pooling(24, "mean")], {},
    ),
    "half precision": lambda bert: (
        [transformer(bert, model_kwargs={"dtype": torch.float16}), modules.Pooling(24, "mean")], {},
    ),
}  # fmt: skip


def saved(parts: list[Any], folder: Path, **options: Any) -> str:
    torch.manual_seed(1)
    sentence_transformers.SentenceTransformer(modules=parts, device="cpu", **options).save_pretrained(str(folder))
    return str(folder)


def theirs(folder: str, side: str | None, texts: list[str]) -> np.ndarray:
    model = sentence_transformers.SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.float32})
    if side is None and Path(folder).name != "routes without a default":
        return model.encode(texts)
    return (model.encode_query if side == "query" else model.encode_document)(texts)


@pytest.mark.parametrize("name", STACKS)
def test_the_vectors_are_those_of_sentence_transformers(name: str, bert: str, tmp_path: Path) -> None:
    parts, options = STACKS[name](bert)
    folder = saved(parts, tmp_path / name, **options)
    encoder = SentenceTransformersEncoder(folder)
    restored = restore_encoder(json.loads(json.dumps(encoder.config())), encoder.assets())
    restored.load_state_dict(encoder.state_dict())
    for side in (None, "query", "document"):
        expected = theirs(folder, side, TEXTS)
        assert encoder.width == expected.shape[1]
        np.testing.assert_allclose(encoder.encode(TEXTS, batch_size=2, side=side), expected, atol=1e-5)
        np.testing.assert_allclose(embed_texts(encoder, TEXTS, side=side), expected, atol=1e-5)
        np.testing.assert_allclose(embed_texts(restored, TEXTS, side=side), expected, atol=1e-5)
        # And as a run would: prepared once, then cut into batches.
        tokens = encoder.prepare(TextColumn([None, *TEXTS]), side=side).take(range(1, len(TEXTS) + 1))
        np.testing.assert_allclose(encoder.eval()(tokens).vector.detach(), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["mistral", "gpt2"])
def test_padding_on_the_left_changes_nothing(kind: str, tmp_path: Path) -> None:
    parts = [base.Transformer(causal(tmp_path / kind, kind)), modules.Pooling(24, "lasttoken")]
    folder = saved(parts, tmp_path / "model")
    # One at a time: sentence-transformers itself gives a model that counts places other vectors beside longer texts.
    model = sentence_transformers.SentenceTransformer(folder, device="cpu")
    expected = model.encode(TEXTS, batch_size=1)
    np.testing.assert_allclose(SentenceTransformersEncoder(folder).encode(TEXTS), expected, atol=1e-5)
    if kind == "mistral":
        np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-5)


def test_sides_meet_in_one_batch(bert: str, tmp_path: Path) -> None:
    encoder = SentenceTransformersEncoder(saved(router(bert), tmp_path / "routes")).train()
    query, document = (encoder.prepare(TextColumn(TEXTS), side=side).take([0, 1]) for side in ("query", "document"))
    mixed = Tokens.join([query, document])
    vectors = encoder.eval()(mixed).vector
    expected = [encoder.encode(TEXTS[:2], side="query"), encoder.encode(TEXTS[:2], side="document")]
    np.testing.assert_allclose(vectors.detach(), np.concatenate(expected), atol=1e-5)
    encoder.train()(mixed).vector.square().mul(torch.rand(4, 1)).sum().backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None and "pooler" not in name]
    assert silent == []


def test_a_prompt_is_noted(bert: str, tmp_path: Path) -> None:
    parts, options = STACKS["a default prompt"](bert)
    encoder = build_encoder(f"st:{saved(parts, tmp_path / 'prompted', **options)}", TextColumn(TEXTS))
    assert encoder.prepare(TextColumn(TEXTS)).notes == ("st:prompted puts 'passage: ' before each text",)
    assert encoder.prepare(TextColumn(TEXTS), side="query").notes == ("st:prompted puts 'query: ' before each text",)
    with pytest.raises(SettingsError, match="'query' or 'document'"):
        encoder.prepare(TextColumn(TEXTS), side="answer")


@pytest.mark.parametrize("name", ["pooled by mean", "words through an LSTM", "static", "routes with a default"])
def test_fewer_tokens_can_be_read_and_the_longer_are_counted(name: str, bert: str, tmp_path: Path) -> None:
    folder = saved(STACKS[name](bert)[0], tmp_path / name)
    long, short = "red dog " * 10, "red dog " * 40
    whole = build_encoder(f"st:{folder}", TextColumn(TEXTS))
    encoder = build_encoder(f"st:{folder}", TextColumn(TEXTS), max_tokens=4)
    again = restore_encoder(json.loads(json.dumps(encoder.config())), encoder.assets())
    for side in (None, "query", "document"):
        for each in (encoder, again):
            packed = each.prepare(TextColumn([long, "dog", short, None]), side=side)
            assert "2 of 3 texts have more than 4 tokens and are cut" in packed.notes
            assert packed.counts.max() == 4
        assert whole.prepare(TextColumn([long]), side=side).counts.max() > 4
    assert not any("cut" in note for note in encoder.prepare(TextColumn(["a"]), side="query").notes)


def test_questions_of_their_own_length_are_counted_so(bert: str, tmp_path: Path) -> None:
    parts, _ = STACKS["lengths of each side"](bert)
    encoder = SentenceTransformersEncoder(saved(parts, tmp_path / "lengths"))
    texts = TextColumn(["a red dog", "a red dog sat", "a red dog sat on the mat"])  # 5, 6 and 9 tokens
    notes = [encoder.prepare(texts, side=side).notes for side in ("query", "document", None)]
    assert notes == [
        ("2 of 3 texts have more than 5 tokens and are cut",),
        ("1 of 3 texts has more than 8 tokens and is cut",),
        (),
    ]


REFUSED = {
    "BoW": lambda bert: [modules.BoW(WORDS)],
    "CNN": lambda bert: [words(), modules.CNN(24, 8, [1, 3]), modules.Pooling(16, "mean")],
    "Pooling": lambda bert: [transformer(bert)],
    "token_type_ids": lambda bert: [xlnet(bert), modules.Pooling(24, "mean")],
    "query_expansion": lambda bert: [
        transformer(bert, query_expansion={"strategy": "fixed", "length": 8, "attend": True}),
        modules.Pooling(24, "mean"),
    ],
}


def xlnet(bert: str) -> Any:
    """A tokenizer that gives its last token a kind of its own."""
    import tokenizers

    own = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    own.post_processor = tokenizers.processors.TemplateProcessing(single="$A:0 [SEP]:1", special_tokens=[("[SEP]", 3)])
    first = transformer(bert)
    first.processor = transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="[PAD]", model_input_names=["input_ids", "token_type_ids", "attention_mask"]
    )
    return first


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_named(name: str, bert: str, tmp_path: Path) -> None:
    folder = saved(REFUSED[name](bert), tmp_path / "model")
    with pytest.raises(SettingsError, match=name):
        SentenceTransformersEncoder(folder)


def test_other_vectors_than_theirs_are_refused(bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved([transformer(bert), modules.Pooling(24, "mean")], tmp_path / "model")
    real = modules.Pooling.forward

    def odd(self: Any, features: dict[str, Any]) -> dict[str, Any]:
        found = real(self, features)
        kept = "modality" in features and features["input_ids"].shape[0] > 1
        return found | {"sentence_embedding": found["sentence_embedding"] * (1.1 if kept else 1.0)}

    monkeypatch.setattr(modules.Pooling, "forward", odd)
    with pytest.raises(SettingsError, match=r"Transformer, Pooling .* differ from those"):
        SentenceTransformersEncoder(folder)


def test_classes_from_elsewhere_are_not_imported(bert: str, tmp_path: Path) -> None:
    folder = Path(saved(router(bert), tmp_path / "routes"))
    encoder = SentenceTransformersEncoder(folder)
    lists = {"modules.json": ("Normalize", "os.path.Normalize"), "router_config.json": (".Pooling", ".Pooling")}
    for name, (old, new) in lists.items():
        text = (folder / name).read_text().replace('"sentence_transformers', '"elsewhere') if old == new else ""
        text = text or (folder / name).read_text().replace("sentence_transformers.base.modules.normalize", "os.path")
        with pytest.raises(RunError, match="outside sentence-transformers"):
            restore_encoder(encoder.config(), {**encoder.assets(), name: text.encode()})
        whole = (folder / name).read_text()
        (folder / name).write_text(text)
        with pytest.raises(SettingsError, match="outside sentence-transformers"):
            SentenceTransformersEncoder(folder)
        (folder / name).write_text(whole)
