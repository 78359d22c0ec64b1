"""Adapters give what the library that they adapt gives, and read from this machine only."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from unalike.data import ImageColumn, TextColumn
from unalike.encoders import (
    SentenceTransformersEncoder,
    TimmEncoder,
    TransformersEncoder,
    build_encoder,
    restore_encoder,
)
from unalike.encoders.hugging_face import positions_of
from unalike.errors import RunError, SettingsError

timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")
sentence_transformers = pytest.importorskip("sentence_transformers")

TEXTS = ["the cat sat on the mat", "a dog", "red cats", "a red red red dog sat on the mat the cat sat on", "zebra"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    """A tiny BERT with random weights, saved as transformers saves one."""
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "cat", "dog", "sat", "on", "mat", "##s", "red"]
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=16,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["mean", "cls", "dense"])
def sentences(request, bert, tmp_path_factory) -> Path:
    """The same BERT as a model of sentence-transformers, once with a dense layer and a norm behind it."""
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    folder = tmp_path_factory.mktemp("sentences")
    parts = [Transformer(str(bert)), Pooling(32, "cls" if request.param == "cls" else "mean")]
    if request.param == "dense":
        torch.manual_seed(1)
        parts += [Dense(32, 12), Normalize()]
    sentence_transformers.SentenceTransformer(modules=parts, device="cpu").save_pretrained(str(folder))
    return folder


def test_sentence_transformers_encode(sentences):
    expected = sentence_transformers.SentenceTransformer(str(sentences), device="cpu").encode(TEXTS)
    encoder = SentenceTransformersEncoder(sentences)
    np.testing.assert_allclose(encoder.encode(TEXTS, batch_size=2), expected, atol=1e-5)
    prepared = encoder.prepare(TextColumn([*TEXTS, None]))
    encoded = encoder.eval()(prepared.take(range(5)))
    np.testing.assert_allclose(encoded.vector.detach().numpy(), expected, atol=1e-5)
    assert encoded.tokens.shape == (*encoded.mask.shape, encoder.token_width)


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_transformers_model(bert, pooling):
    model = transformers.AutoModel.from_pretrained(bert).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    encoder = TransformersEncoder(bert, pooling=pooling, max_tokens=12)
    vectors = encoder.encode(TEXTS, batch_size=3)
    for vector, text in zip(vectors, TEXTS, strict=True):
        with torch.no_grad():
            states = model(**tokenizer([text], return_tensors="pt", truncation=True, max_length=12))
        states = states.last_hidden_state[0].numpy()
        expected = {"mean": states.mean(0), "first": states[0], "last": states[-1]}[pooling]
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_padding_does_not_matter_to_models_that_count_positions_from_it(tmp_path, bert):
    config = transformers.RobertaConfig(
        vocab_size=14, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=32, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    tokenizer.pad_token = "[UNK]"
    tokenizer.save_pretrained(tmp_path)
    encoder = TransformersEncoder(tmp_path)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), alone, atol=1e-5)


def test_a_model_with_fewer_positions_than_asked_for_cuts_and_counts(bert):
    long = ["a " * 15, "a " * 14, "the cat " * 40, "red"]  # 17, 16, 82 and 3 tokens with the special ones
    encoder = TransformersEncoder(bert, max_tokens=512)
    short = TransformersEncoder(bert, max_tokens=16)
    prepared = encoder.prepare(TextColumn(long))
    assert prepared.notes[1:] == ("2 of 4 texts have more than 16 tokens and are cut",)
    with pytest.warns(UserWarning, match="2 of 4"):
        vectors = encoder.encode(long)
    assert np.diff(prepared.offsets).tolist() == [16, 16, 16, 3]
    np.testing.assert_array_equal(prepared.values, short.prepare(TextColumn(long)).values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode(long)  # it is told once
        np.testing.assert_array_equal(vectors[1::2], short.encode(long[1::2]))
    assert encoder.prepare(TextColumn(long[1::2])).notes[1:] == ()
    # What was asked for is remembered, and a run of an earlier version called it by another name.
    assert restore_encoder(json.loads(json.dumps(encoder.config())), encoder.assets()).config()["max_tokens"] == 512
    old = {"name": "hf", "pooling": "mean", "length": 9, "frozen": True}
    assert restore_encoder(old, encoder.assets()).length == 9


@pytest.mark.parametrize(("tokenizer", "positions", "asked", "read"), [
    (12, 16, None, 12), (512, 16, None, 16), (12, 16, 9, 9), (12, 16, 14, 12), (10**30, None, None, 512),
    (10**30, None, 2000, 2000),
])  # fmt: skip
def test_as_many_tokens_are_read_as_the_model_says(bert, tmp_path, tokenizer, positions, asked, read):
    small = {"vocab_size": 14, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.BertConfig(**small, intermediate_size=8, max_position_embeddings=positions or 8)
    if positions is None:
        config = transformers.T5Config(vocab_size=14, d_model=8, d_kv=8, d_ff=8, num_layers=1, num_heads=1)
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    own = transformers.AutoTokenizer.from_pretrained(bert)
    own.model_max_length = tokenizer
    own.save_pretrained(tmp_path)
    encoder = build_encoder(f"hf:{tmp_path}", TextColumn(TEXTS), max_tokens=asked)
    packed = encoder.prepare(TextColumn(["a " * 3000]))
    assert encoder.length == packed.counts[0] == read
    assert packed.notes[1] == f"1 of 1 texts has more than {read} tokens and is cut"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("Bert", 20), ("Roberta", 18), ("MPNet", 18), ("DistilBert", 20), ("GPT2", 20), ("T5Encoder", None),
    ],
)  # fmt: skip
def test_positions_are_as_many_as_a_model_can_read(config, expected):
    kinds = {
        "DistilBert": {"dim": 8, "n_layers": 1, "n_heads": 1, "hidden_dim": 8, "max_position_embeddings": 20},
        "GPT2": {"n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 20},
        "T5Encoder": {"d_model": 8, "d_kv": 8, "d_ff": 8, "num_layers": 1, "num_heads": 1},
    }
    common = {
        "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8,
        "max_position_embeddings": 20,
    }  # fmt: skip
    settings = getattr(transformers, f"{config.removesuffix('Encoder')}Config")(
        vocab_size=9, **kinds.get(config, common)
    )
    model = getattr(transformers, f"{config}Model")(settings).eval()
    assert positions_of(model) == expected
    if expected is not None:
        with torch.no_grad():
            model(input_ids=torch.full((1, expected), 5))
            with pytest.raises((IndexError, RuntimeError)):
                model(input_ids=torch.full((1, expected + 1), 5))


@pytest.mark.parametrize("which", ["hf", "st"])
@pytest.mark.parametrize("frozen", [False, True])
def test_pretrained_texts_survive_saving(which, frozen, bert, sentences):
    encoder = build_encoder(f"{which}:{bert if which == 'hf' else sentences}", TextColumn(TEXTS), frozen=frozen)
    assert encoder.frozen == frozen
    assert any(p.requires_grad for p in encoder.parameters()) != frozen
    assets = encoder.assets()
    state = torch.random.get_rng_state()
    restored = restore_encoder(json.loads(json.dumps(encoder.config())), assets)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert restored.frozen == frozen
    restored.load_state_dict(encoder.state_dict())
    assert np.array_equal(restored.encode(TEXTS), encoder.encode(TEXTS))
    # The transformer's weights are kept by the caller with all others, and not twice.
    assert sum(map(len, assets.values())) < sum(p.numel() * 4 for p in encoder.parameters())


def test_tuned_texts_get_gradients(sentences):
    encoder = SentenceTransformersEncoder(sentences).train()
    encoder(encoder.prepare(TextColumn(TEXTS)).take(range(5))).vector.square().mul(torch.rand(5, 1)).sum().backward()
    silent = [n for n, p in encoder.named_parameters() if p.grad is None and "pooler" not in n]
    assert silent == []


@pytest.mark.parametrize("which", ["hf", "st"])
@pytest.mark.parametrize("place", ["sentence-transformers/all-MiniLM-L6-v2", "no/such/folder", ""])
def test_models_of_a_hub_are_not_fetched(which, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError):
        build_encoder(f"{which}:{place}", TextColumn(TEXTS))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../outside.txt", b""),
        ("/tmp/outside.txt", b""),
        ("modules.json", json.dumps([{"type": "os.System", "path": ""}]).encode()),
        ("modules.json", json.dumps([{"type": "sentence_transformers.x.Transformer", "path": "../.."}]).encode()),
    ],
)
def test_assets_of_a_stranger_name_no_other_classes_and_no_other_places(name, content, sentences):
    encoder = SentenceTransformersEncoder(sentences)
    with pytest.raises(RunError, match=r"refused|not opened"):
        restore_encoder(encoder.config(), {**encoder.assets(), name: content})


PICTURES = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "test_vit", "swin_tiny_patch4_window7_224"])
def test_timm_forward(name):
    encoder = TimmEncoder(name, size=32).eval()
    cfg = encoder.model.pretrained_cfg
    mean, std = (torch.tensor(cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        encoded = encoder(encoder.plain(PICTURES))
        expected = encoder.model((PICTURES / 255 - mean) / std)
    torch.testing.assert_close(encoded.vector, expected, atol=1e-5, rtol=1e-5)
    assert encoder.width == expected.shape[1]
    if encoder.width == encoder.token_width and name != "test_vit":  # pooled by a mean, with nothing behind it
        torch.testing.assert_close(encoded.tokens.mean(1), encoded.vector, atol=1e-5, rtol=1e-5)


def test_timm_reads_weights_from_a_file(tmp_path):
    # As published: with a classifier, which the encoder leaves out.
    torch.manual_seed(3)
    whole = timm.create_model("resnet10t", pretrained=False).eval()
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    spec = f"timm:resnet10t@{tmp_path / 'weights.safetensors'}"
    encoder = build_encoder(spec, ImageColumn([np.zeros((4, 4), np.uint8)]), size=32, frozen=True)
    pictures = encoder.plain(PICTURES)
    with torch.no_grad():
        expected = whole.forward_head(whole.forward_features(pictures), pre_logits=True)
    torch.testing.assert_close(encoder.train()(pictures).vector, expected, atol=1e-5, rtol=1e-5)
    assert not any(p.requires_grad for p in encoder.parameters())


def test_timm_refuses_a_file_of_another_model(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(SettingsError, match="resnet10t"):
        TimmEncoder("resnet10t", weights=tmp_path / "weights.safetensors")


def test_a_pickle_is_not_run(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "weights.bin").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(SettingsError):
        TimmEncoder("resnet10t", weights=tmp_path / "weights.bin")
    assert not (tmp_path / "ran").exists()
