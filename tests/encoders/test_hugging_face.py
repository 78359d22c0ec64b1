"""Models of transformers give what transformers gives: texts, pictures and recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unalike.data import AudioColumn, ImageColumn, TextColumn
from unalike.encoders import Encoder, TransformersEncoder, build_encoder, restore_encoder
from unalike.errors import DataError, SettingsError

transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "cat", "dog", "sat", "on", "mat", "red"]
TEXTS = ["the cat sat on the mat", "a dog", "red cat", "a red red red dog sat on the mat", "red"]
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def words(**special: str) -> Any:
    import tokenizers

    own = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="[PAD]", unk_token="[UNK]", model_max_length=12, **special
    )


def saved(model: Any, folder: Path, *others: Any) -> str:
    for each in (model, *others):
        each.save_pretrained(folder)
    return str(folder)


def drawn(config: Any, kind: str = "AutoModel") -> Any:
    torch.manual_seed(0)
    return getattr(transformers, kind).from_config(config).eval()


def again(encoder: Encoder) -> Encoder:
    """The encoder as a run that is opened again makes it."""
    restored = restore_encoder(json.loads(json.dumps(encoder.config())), encoder.assets())
    restored.load_state_dict(encoder.state_dict())
    return restored.eval()


def bert(**more: Any) -> Any:
    return drawn(transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **SIZE, **more))


CAUSAL = {"vocab_size": len(WORDS), "max_position_embeddings": 32, **SIZE, "num_key_value_heads": 2}


@pytest.mark.parametrize(
    ("make", "files", "expected"),
    [
        (bert, {}, "mean"),
        (lambda: drawn(transformers.MistralConfig(**CAUSAL), "AutoModelForCausalLM"), {}, "last"),
        (lambda: drawn(transformers.MistralConfig(**CAUSAL)), {}, "last"),  # saved without its head
        (lambda: drawn(transformers.Gemma3TextConfig(**CAUSAL, use_bidirectional_attention=True)), {}, "mean"),
        (lambda: drawn(transformers.T5Config(
            vocab_size=12, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)), {}, "mean"),
        (bert, {"1_Pooling/config.json": {"pooling_mode": "cls"}}, "first"),
        (bert, {"1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}}, "first"),
        (bert, {"1_Pooling/config.json": {"pooling_mode_lasttoken": True, "include_prompt": True}}, "last"),
        (bert, {"1_Pooling/config.json": {"pooling_mode_max_tokens": True}}, "max"),
        (bert, {"modules.json": [{"type": "sentence_transformers.models.Pooling", "path": "x"}],
                "x/config.json": {"pooling_mode": "cls"}, "1_Pooling/config.json": {"pooling_mode": "max"}}, "first"),
    ],
)  # fmt: skip
def test_tokens_are_pooled_as_the_folder_and_the_model_say(
    make: Any, files: Any, expected: str, tmp_path: Path
) -> None:
    model, tokenizer = make(), words(padding_side="left")
    folder = saved(model, tmp_path / "model", tokenizer)
    for name, content in files.items():
        (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_text(json.dumps(content))
    encoder = build_encoder(f"hf:{folder}", TextColumn(TEXTS))
    assert encoder.pooling == expected
    (note,) = encoder.prepare(TextColumn(TEXTS)).notes
    assert note.startswith(f"hf:model pools by {expected!r}, ") and note.endswith("reads 12 tokens of a text")
    told = build_encoder(f"hf:{folder}", TextColumn(TEXTS), pooling="max", max_tokens=7)
    assert told.pooling == "max" and "as was asked for; reads 7 tokens" in told.prepare(TextColumn(TEXTS)).notes[0]
    tower = model.get_encoder() if model.config.is_encoder_decoder else getattr(model, "model", model)
    for each in (encoder, again(encoder)):
        for text, vector in zip(TEXTS, each.encode(TEXTS), strict=True):
            with torch.no_grad():
                ids = tokenizer([text], return_tensors="pt")["input_ids"]
                states = tower(input_ids=ids).last_hidden_state[0].numpy()
            right = {"mean": states.mean(0), "last": states[-1], "first": states[0], "max": states.max(0)}[expected]
            np.testing.assert_allclose(vector, right, atol=1e-5)


def test_poolings_that_are_not_known_are_refused(tmp_path: Path) -> None:
    folder = saved(bert(), tmp_path / "model", words())
    with pytest.raises(SettingsError, match="pooled by mean, first, last, max, own; given: 'median'"):
        TransformersEncoder(folder, pooling="median")
    (tmp_path / "model" / "1_Pooling").mkdir()
    for content in ({"pooling_mode": ["cls", "mean"]}, {"pooling_mode": "weightedmean"}):
        (tmp_path / "model" / "1_Pooling" / "config.json").write_text(json.dumps(content))
        with pytest.raises(SettingsError, match="open it as st:"):
            TransformersEncoder(folder)
        assert TransformersEncoder(folder, pooling="first").pooling == "first"
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text("{")
    with pytest.raises(SettingsError, match="is damaged"):
        TransformersEncoder(folder)


def test_prompts_that_are_left_out_are_named(tmp_path: Path) -> None:
    folder = saved(bert(), tmp_path / "model", words())
    content = {"prompts": {"query": "query: ", "document": ""}}
    (tmp_path / "model" / "config_sentence_transformers.json").write_text(json.dumps(content))
    assert "prompts that the folder holds (query)" in TransformersEncoder(folder).prepare(TextColumn(["a"])).notes[1]


def pictures(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in ((40, 40), (60, 45), (30, 80), (16, 17))]


def clip() -> Any:
    text = {"vocab_size": len(WORDS), "max_position_embeddings": 12, "eos_token_id": 3, **SIZE}
    vision = {"image_size": 32, "patch_size": 8, **SIZE}
    return drawn(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=10))


def siglip() -> Any:
    text = {"vocab_size": len(WORDS), "max_position_embeddings": 12, "pad_token_id": 0, **SIZE}
    return drawn(transformers.SiglipConfig(
        text_config=text, vision_config={"image_size": 32, "patch_size": 8, **SIZE}))  # fmt: skip


SMALL = {"height": 32, "width": 32}
IMAGES: dict[str, tuple[Any, Any, str]] = {
    "vit": (lambda: drawn(transformers.ViTConfig(image_size=32, patch_size=8, **SIZE)),
            lambda: transformers.ViTImageProcessor(size=SMALL), "own"),
    "vit of a classifier": (lambda: drawn(transformers.ViTConfig(image_size=32, patch_size=8, num_labels=3, **SIZE),
                                          "AutoModelForImageClassification"),
                            lambda: transformers.ViTImageProcessor(size=SMALL), "first"),
    "dinov2": (lambda: drawn(transformers.Dinov2WithRegistersConfig(
        image_size=32, patch_size=8, num_register_tokens=3, **SIZE)),
        lambda: transformers.BitImageProcessor(size={"shortest_edge": 36}, crop_size=SMALL), "own"),
    "convnext": (lambda: drawn(transformers.ConvNextConfig(hidden_sizes=[8, 8, 12, 16], depths=[1, 1, 1, 1])),
                 lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 32}), "own"),
    "swin": (lambda: drawn(transformers.SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1],
                                                   num_heads=[1, 2], window_size=4)),
             lambda: transformers.ViTImageProcessor(size=SMALL), "own"),
    "resnet": (lambda: drawn(transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])),
               lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.9), "own"),
    "clip": (clip, lambda: transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SMALL), "own"),
    "siglip": (siglip, lambda: transformers.SiglipImageProcessor(size=SMALL), "own"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_pictures(name: str, tmp_path: Path) -> None:
    make, processed, pooling = IMAGES[name]
    model, processor = make(), processed()
    folder = saved(model, tmp_path / "model", processor)
    column = ImageColumn([*pictures(), None, b"no picture"])
    encoder = build_encoder(f"hf:{folder}", column, size=64).eval()
    assert (encoder.pooling, encoder.size) == (pooling, 32)
    prepared = encoder.prepare(column)
    assert prepared.present.tolist() == [True] * 4 + [False] * 2 and list(prepared.failures) == [5]
    assert f"pools by {pooling!r}" in prepared.notes[0]
    pixels = processor(images=[Image.fromarray(each) for each in pictures()], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        if name in ("clip", "siglip"):
            expected = model.get_image_features(pixel_values=pixels).pooler_output
        elif pooling == "first":
            expected = model.vit(pixel_values=pixels).last_hidden_state[:, 0]
        else:
            expected = model(pixel_values=pixels).pooler_output.flatten(1)
        for each in (encoder, again(encoder)):
            found = each(each.plain(each.prepare(column).take(range(4))))
            torch.testing.assert_close(found.vector, expected, atol=1e-5, rtol=1e-4)
            assert each.width == expected.shape[1]
        if found.tokens is not None:
            assert found.tokens.shape[2] == encoder.token_width
            patches = {"convnext": 1, "resnet": 16, "swin": 16}.get(name, 16)
            assert found.tokens.shape[1] == patches, found.tokens.shape
    # A view of another size is scaled, and learns.
    encoder.train()(torch.randn(2, 3, 24, 24)).vector.square().mul(torch.rand(2, 1)).sum().backward()
    assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in encoder.parameters()) > 5


@pytest.mark.parametrize("make", [clip, siglip])
def test_texts_of_two_towers(make: Any, tmp_path: Path) -> None:
    model, tokenizer = make(), words(eos_token="[SEP]")
    import tokenizers

    tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A [SEP]", special_tokens=[("[SEP]", 3)]
    )
    encoder = build_encoder(f"hf:{saved(model, tmp_path / 'model', tokenizer)}", TextColumn(TEXTS))
    padding = {"padding": "max_length", "max_length": 12} if make is siglip else {"padding": True}
    given = tokenizer(TEXTS, return_tensors="pt", **padding)
    given = {"input_ids": given["input_ids"]} | ({} if make is siglip else {"attention_mask": given["attention_mask"]})
    with torch.no_grad():
        expected = model.get_text_features(**given).pooler_output.numpy()
    for each in (encoder, again(encoder)):
        np.testing.assert_allclose(each.encode(TEXTS), expected, atol=1e-5)
    assert not any("vision" in name for name, _ in encoder.named_parameters())


def test_what_reads_no_squares_is_refused(tmp_path: Path) -> None:
    model = drawn(transformers.ViTConfig(image_size=32, patch_size=8, **SIZE))
    folder = saved(model, tmp_path / "model", transformers.ViTImageProcessor(size={"height": 32, "width": 48}))
    with pytest.raises(SettingsError, match=r"ViTImageProcessor.* makes .*32, 48.* of a picture"):
        build_encoder(f"hf:{folder}", ImageColumn(pictures()))
    saved(transformers.ViTImageProcessor(size=SMALL), tmp_path / "model")
    with pytest.raises(SettingsError, match="pooled by own, first, mean; given: 'max'"):
        build_encoder(f"hf:{folder}", ImageColumn(pictures()), pooling="max")
    (tmp_path / "model" / "preprocessor_config.json").unlink()
    with pytest.raises(SettingsError, match=r"preprocessor_config.json is missing"):
        build_encoder(f"hf:{folder}", ImageColumn(pictures()))


soundfile = pytest.importorskip("soundfile")
CONV = {"conv_dim": (8, 8), "conv_kernel": (10, 3), "conv_stride": (5, 2), "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "vocab_size": 5}  # fmt: skip


@pytest.fixture
def recordings(tmp_path: Path) -> AudioColumn:
    rng = np.random.default_rng(0)
    for number, seconds in enumerate((0.3, 0.21, 0.3, 0.45)):
        soundfile.write(tmp_path / f"{number}.wav", 0.3 * rng.normal(size=int(seconds * 8000)), 8000, subtype="FLOAT")
    (tmp_path / "4.wav").write_bytes(b"no sound")
    return AudioColumn([*(f"{number}.wav" for number in range(5)), None], root=tmp_path)


@pytest.mark.parametrize("config", ["Wav2Vec2", "Hubert", "WavLM"])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_recordings(config: str, norm: str, recordings: AudioColumn, tmp_path: Path) -> None:
    model = drawn(getattr(transformers, f"{config}Config")(**SIZE, **CONV, feat_extract_norm=norm))
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000, return_attention_mask=norm == "layer")
    folder = saved(model, tmp_path / "model", extractor)
    encoder = build_encoder(f"hf:{folder}", recordings, seconds=0.4).eval()
    prepared = encoder.prepare(recordings)
    assert (encoder.rate, encoder.samples, encoder.width) == (8000, 3200, 16)
    assert prepared.notes == ("1 of 6 recordings are cut after 0.4 s",)
    assert list(prepared.failures) == [4] and prepared.present.tolist() == [True] * 4 + [False] * 2
    assert prepared.raw(range(6)).shape == (6, 128) and prepared.raw([5]).abs().sum() == 0
    for each in (encoder, again(encoder)):
        with torch.no_grad():
            found = each(each.plain(each.prepare(recordings).take(range(4))))
            for row in range(4):
                samples, _ = soundfile.read(recordings[row], dtype="float32")
                alone = extractor(samples[:3200], sampling_rate=8000, return_tensors="pt")["input_values"]
                expected = model(alone).last_hidden_state[0].mean(0)
                torch.testing.assert_close(found.vector[row], expected, atol=1e-5, rtol=1e-4)
    # Its own way to hide frames would draw from a state that no checkpoint keeps.
    looks = [encoder.train()(encoder.plain(prepared.take([0, 1]))).vector for _ in range(2)]
    looks[0].square().mul(torch.rand(2, 1)).sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_recordings_of_another_rate_are_resampled(recordings: AudioColumn, tmp_path: Path) -> None:
    model = drawn(transformers.Wav2Vec2Config(**SIZE, **CONV))
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=4000, do_normalize=False)
    encoder = build_encoder(f"hf:{saved(model, tmp_path / 'model', extractor)}", recordings)
    assert encoder.samples == 1800  # the longest recording's
    waves = encoder.prepare(recordings).take([3])[0, 0]
    import soxr

    samples, _ = soundfile.read(recordings[3], dtype="float32")
    np.testing.assert_allclose(waves, soxr.resample(samples, 8000, 4000), atol=1e-6)
    torch.testing.assert_close(encoder.plain(waves), waves)


def test_models_of_spectrograms_are_refused(recordings: AudioColumn, tmp_path: Path) -> None:
    config = transformers.WhisperConfig(d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1,
                                        decoder_attention_heads=1, vocab_size=60, pad_token_id=0, bos_token_id=1,
                                        eos_token_id=2, decoder_start_token_id=1)  # fmt: skip
    folder = saved(drawn(config), tmp_path / "model", transformers.WhisperFeatureExtractor())
    with pytest.raises(SettingsError, match=r"WhisperFeatureExtractor of WhisperModel makes input_features"):
        build_encoder(f"hf:{folder}", recordings)
    with pytest.raises(SettingsError, match=r"of a recording 0\.1 to 600 seconds"):
        build_encoder(f"hf:{folder}", recordings, seconds=0)
    with pytest.raises(DataError, match="reads recordings"):
        model = drawn(transformers.Wav2Vec2Config(**SIZE, **CONV))
        extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000)
        encoder = build_encoder(f"hf:{saved(model, tmp_path / 'waves', extractor)}", recordings)
        encoder.prepare(TextColumn(["a"]))
