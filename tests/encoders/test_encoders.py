"""What every encoder must do, and what each does on its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from unalike.data import ArrayColumn, Column, ImageColumn, TextColumn
from unalike.encoders import (
    MLP,
    ConvNet,
    EMATeacher,
    Encoder,
    Ensemble,
    GridNet,
    NgramEncoder,
    TextTransformer,
    TimmEncoder,
    VisionTransformer,
    build_encoder,
    default_encoder,
    fresh_encoder,
    restore_encoder,
)
from unalike.encoders.text_transformer import train_bpe
from unalike.errors import DataError, RunError, SettingsError
from unalike.views import Tokens

TEXTS = ["a red bicycle", "grinning face with big eyes", "日本語のテキスト", "🙂", "eine sehr lange Zeile " * 9, "x"]


def pictures() -> ImageColumn:
    rng = np.random.default_rng(0)
    return ImageColumn([rng.integers(0, 256, (20, 24, 3), np.uint8) for _ in range(6)])


def numbers() -> ArrayColumn:
    return ArrayColumn(np.random.default_rng(0).normal(50, 9, (6, 5)).astype(np.float32))


def texts() -> TextColumn:
    return TextColumn(TEXTS)


MAKERS: dict[str, tuple[Callable[[int], Encoder], Callable[[], Column]]] = {
    "conv": (lambda seed: ConvNet(size=16, widths=(8, 12), depths=(1, 1), seed=seed), pictures),
    "grid": (lambda seed: GridNet(size=16, widths=(8, 10), width=12, seed=seed), pictures),
    "vit": (lambda seed: VisionTransformer(size=16, patch=4, width=12, depth=2, heads=2, seed=seed), pictures),
    "vit class": (
        lambda seed: VisionTransformer(size=16, patch=8, width=12, depth=1, heads=2, pool="class", seed=seed),
        pictures,
    ),
    "timm": (lambda seed: TimmEncoder("resnet10t", size=32, seed=seed), pictures),
    "timm wide": (lambda seed: TimmEncoder("mobilenetv3_small_050", size=32, seed=seed), pictures),
    "timm vit": (lambda seed: TimmEncoder("test_vit", size=32, seed=seed), pictures),
    "ngram": (lambda seed: NgramEncoder(buckets=300, table=8, hidden=9, width=12, tokens=True, seed=seed), texts),
    "transformer": (
        lambda seed: TextTransformer.from_texts(TEXTS, vocabulary=300, width=12, depth=2, heads=2, seed=seed),
        texts,
    ),
    "transformer class": (
        lambda seed: TextTransformer.from_texts(
            TEXTS, vocabulary=300, width=12, depth=1, heads=2, pool="class", length=9, seed=seed
        ),
        texts,
    ),
    "ensemble": (
        lambda seed: Ensemble([ConvNet(size=16, widths=(8, 12), depths=(0, 1), seed=seed + i) for i in range(2)]),
        pictures,
    ),
    "mlp": (lambda seed: MLP.from_columns([numbers()], width=12, hidden=7, seed=seed), numbers),
    "mlp linear": (lambda seed: MLP.from_columns([numbers()], width=12, depth=0, seed=seed), numbers),
}


@pytest.fixture(params=MAKERS)
def made(request) -> tuple[Callable[[int], Encoder], Any]:
    make, column = MAKERS[request.param]
    return make, make(0).prepare(column())


def test_shapes_and_finiteness(made):
    make, prepared = made
    encoder = make(0)
    encoded = encoder(encoder.plain(prepared.take(range(6))))
    assert encoded.vector.shape == (6, encoder.width)
    assert encoded.vector.dtype == torch.float32
    assert encoded.vector.isfinite().all()
    assert (encoded.tokens is None) == (encoded.mask is None)
    if encoded.tokens is not None:
        assert encoded.tokens.shape == (*encoded.mask.shape, encoder.token_width)
        assert encoded.mask.dtype == torch.bool
        assert encoded.tokens[encoded.mask].isfinite().all()


def test_gradient_reaches_every_parameter(made):
    make, prepared = made
    encoder = make(0).train()
    torch.manual_seed(0)
    # Residual blocks start as the identity: their first layers get a gradient once the last ones have moved.
    for parameter in encoder.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    encoder(encoder.plain(prepared.take(range(6)))).vector.square().mul(torch.rand(6, encoder.width)).sum().backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_weights_follow_from_the_seed_alone(made):
    make, _ = made
    torch.manual_seed(1)
    first = make(3).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second, other = make(3).state_dict(), make(4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_teacher_can_be_made_of_it(made):
    make, prepared = made
    encoder = make(0).eval()
    teacher = EMATeacher(encoder)
    inputs = encoder.plain(prepared.take(range(6)))
    torch.testing.assert_close(teacher(inputs).vector, encoder(inputs).vector)


def test_restored_from_json_and_assets_gives_the_same_vectors(made):
    make, prepared = made
    encoder = make(0)
    inputs = encoder.plain(prepared.take(range(6)))
    encoder.train()(inputs)  # statistics of batch normalisation move
    restored = restore_encoder(json.loads(json.dumps(encoder.config())), encoder.assets())
    restored.load_state_dict(encoder.state_dict())
    assert type(restored) is type(encoder)
    assert restored.config() == encoder.config()
    with torch.no_grad():
        assert torch.equal(encoder.eval()(inputs).vector, restored.eval()(inputs).vector)
    assert f"{encoder.width} numbers" in restored.describe()


def test_a_row_does_not_depend_on_its_batch(made):
    make, prepared = made
    encoder = make(0).eval()
    with torch.no_grad():
        together = encoder(encoder.plain(prepared.take(range(6)))).vector
        alone = torch.cat([encoder(encoder.plain(prepared.take([i]))).vector for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, (_, column) in MAKERS.items() if column is texts])
def test_padding_changes_nothing(name):
    encoder = MAKERS[name][0](0).eval()
    short = encoder.prepare(texts()).take([0, 5])
    padded = Tokens(
        torch.cat([short.ids, torch.full((2, 5), 7)], 1), torch.cat([short.mask, torch.zeros(2, 5).bool()], 1)
    )
    with torch.no_grad():
        a, b = encoder(short), encoder(padded)
    torch.testing.assert_close(a.vector, b.vector, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(a.tokens[a.mask], b.tokens[b.mask], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, (_, column) in MAKERS.items() if column is texts])
def test_missing_texts_are_finite_and_do_not_disturb_others(name):
    encoder = MAKERS[name][0](0)
    prepared = encoder.prepare(TextColumn(["red", None, "", "blue"]))
    assert prepared.present.tolist() == [True, False, False, True]
    for training in (False, True):
        vectors = encoder.train(training)(prepared.take([0, 1, 2, 3])).vector
        assert vectors.isfinite().all()
        vectors.sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("name", [name for name, (_, column) in MAKERS.items() if column is texts])
def test_encode_gives_what_forward_gives(name):
    encoder = MAKERS[name][0](0).train()
    vectors = encoder.encode(TEXTS, batch_size=4)
    assert encoder.training
    with torch.no_grad():
        expected = encoder.eval()(encoder.prepare(texts()).take(range(6))).vector.numpy()
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.width)


@pytest.mark.parametrize("name", ["ngram", "transformer"])
def test_dropout_makes_two_looks_at_one_text(name):
    encoder = MAKERS[name][0](0).train()
    tokens = encoder.prepare(texts()).take(range(6))
    first, second = encoder(tokens).vector, encoder(tokens).vector
    assert not torch.allclose(first, second, atol=1e-4)
    encoder.eval()
    assert torch.equal(encoder(tokens).vector, encoder(tokens).vector)


def test_plain_standardises_and_resizes():
    encoder = ConvNet(size=16, widths=(4,), depths=(0,))
    grey = torch.full((1, 3, 16, 16), 255, dtype=torch.uint8)
    expected = torch.tensor([(1 - m) / s for m, s in [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]])
    torch.testing.assert_close(encoder.plain(grey)[0, :, 3, 5], expected)
    assert grey.eq(255).all()
    large = torch.nn.functional.interpolate(grey, (40, 40))
    torch.testing.assert_close(encoder.plain(large), encoder.plain(grey))


def test_a_margin_keeps_pictures_larger_than_the_encoder_reads():
    encoder = ConvNet(size=16, widths=(4,), depths=(0,), margin=1.5)
    kept = encoder.prepare(pictures()).take([0])
    assert kept.shape == (1, 3, 24, 24)
    assert encoder.plain(kept).shape == (1, 3, 16, 16)
    assert restore_encoder(encoder.config(), {}).margin == 1.5


def test_conv_net_halves_at_every_stage_and_lies_channels_last():
    encoder = ConvNet(size=48)
    encoded = encoder(torch.zeros(2, 3, 48, 48))
    assert encoded.tokens.shape == (2, 3 * 3, 256)
    torch.testing.assert_close(encoded.vector, encoded.tokens.mean(1))
    assert encoder.stages[1][0].weight.is_contiguous(memory_format=torch.channels_last)


def test_vision_transformer_takes_crops_of_other_sizes():
    encoder = VisionTransformer(size=32, patch=8, width=12, depth=1, heads=2).eval()
    assert encoder(torch.randn(1, 3, 16, 24)).tokens.shape == (1, 6, 12)


def test_vision_transformer_knows_where_a_patch_is():
    encoder = VisionTransformer(size=16, patch=8, width=12, depth=1, heads=2).eval()
    picture = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(encoder(picture).vector, encoder(picture.flip(3)).vector, atol=1e-4)


def test_transformer_knows_the_order_of_words():
    encoder = TextTransformer.from_texts(TEXTS, vocabulary=300, width=16, depth=1, heads=2)
    first, second = encoder.encode(["red bicycle", "bicycle red"])
    assert np.abs(first - second).max() > 1e-4


def test_tokenizer_reads_any_language_and_loses_nothing():
    tokenizer = train_bpe(["only english"], vocabulary=300)
    for text in ["日本語", "🙂🙃", "ñandú", "tab\tand\nline"]:
        assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text
    assert tokenizer.encode("RED").ids == tokenizer.encode("red").ids
    assert 0 not in tokenizer.encode("any text\0").ids  # the number of the padding


def test_tokenizer_is_the_same_every_time():
    many = [f"{a} {b}" for a in TEXTS for b in TEXTS] * 20
    assert len({train_bpe(many, vocabulary=400).to_str() for _ in range(4)}) == 1


def test_tokenizer_needs_texts_and_room():
    with pytest.raises(DataError, match="there is none"):
        train_bpe([])
    with pytest.raises(SettingsError, match="given: 100"):
        train_bpe(TEXTS, vocabulary=100)


def test_mlp_standardises_by_its_own_rows():
    column = ArrayColumn([[1.0, 5.0], [3.0, 5.0], [np.nan, 1.0]])
    encoder = MLP.from_columns([column.select([0, 2]), column.select([1])], width=4, depth=0)
    assert encoder.mean.tolist() == [2.0, 5.0]
    assert encoder.std.tolist() == [1.0, 1.0]  # the second never varies
    rows = encoder.prepare(column).take([0, 1])
    weight, bias = encoder.layers[0].weight, encoder.layers[0].bias
    torch.testing.assert_close(encoder(rows).vector, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]) @ weight.T + bias)


def test_mlp_refuses_rows_of_another_length_or_none():
    encoder = MLP(3, width=4)
    with pytest.raises(DataError, match="rows of 2 numbers"):
        encoder.prepare(ArrayColumn([[1.0, 2.0]]))
    with pytest.raises(DataError, match="all of them are missing"):
        MLP.from_columns([ArrayColumn([[np.nan, 1.0]])])
    with pytest.raises(DataError, match="differ in length"):
        MLP.from_columns([ArrayColumn([[1.0]]), ArrayColumn([[1.0, 2.0]])])


def test_encoders_refuse_columns_of_another_kind():
    for encoder, column in [
        (ConvNet(size=8, widths=(4,), depths=(0,)), texts()),
        (NgramEncoder(buckets=10, width=4), numbers()),
        (MLP(5), pictures()),
    ]:
        with pytest.raises(DataError, match=column.kind):
            encoder.prepare(column)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ConvNet(widths=(4, 8), depths=(1,)), "depths"),
        (lambda: ConvNet(widths=(), depths=()), "widths"),
        (lambda: ConvNet(size=8, widths=(4,) * 4, depths=(0,) * 4), "size=16"),
        (lambda: ConvNet(fit="stretch"), "stretch"),
        (lambda: ConvNet(margin=0.5), "margin=0.5"),
        (lambda: VisionTransformer(size=30, patch=8), "size=30"),
        (lambda: VisionTransformer(width=30, heads=4), "heads=4"),
        (lambda: VisionTransformer(pool="max"), "max"),
        (lambda: NgramEncoder(buckets=0), "buckets"),
        (lambda: TextTransformer.from_texts(TEXTS, vocabulary=300, pool="max"), "max"),
        (lambda: MLP(0), "features=0"),
        (lambda: TimmEncoder("no_such_net"), "no_such_net"),
        (lambda: TimmEncoder("hf-hub:someone/something"), "someone"),
        (lambda: TimmEncoder("resnet10t", weights="missing.safetensors"), "missing.safetensors"),
    ],
)
def test_impossible_settings_are_named(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


@pytest.mark.parametrize(
    ("spec", "column", "kind"),
    [
        ("conv", pictures, ConvNet),
        ("vit", pictures, VisionTransformer),
        ("timm:resnet10t", pictures, TimmEncoder),
        ("ngram", texts, NgramEncoder),
        ("transformer", texts, TextTransformer),
        ("mlp", numbers, MLP),
        (None, pictures, ConvNet),
        (None, texts, NgramEncoder),
        (None, numbers, MLP),
    ],
)
def test_names_build_their_encoders(spec, column, kind):
    encoder = build_encoder(spec, [column(), column()], size=32, seed=2)
    assert type(encoder) is kind
    assert getattr(encoder, "size", 32) == 32
    assert len(encoder.prepare(column())) == 6


@pytest.mark.parametrize("spec", ["conv", "vit", "ngram", "transformer", "mlp"])
def test_width_and_other_settings_are_passed_on(spec):
    column = {"conv": pictures, "vit": pictures, "mlp": numbers}.get(spec, texts)()
    options: dict[str, Any] = {"vocabulary": 300, "depth": 1} if spec == "transformer" else {}
    encoder = build_encoder(spec, column, size=32, width=48, **options)
    inputs = encoder.plain(encoder.prepare(column).take(range(6)))
    assert encoder(inputs).vector.shape == (6, 48)


@pytest.mark.parametrize("spec", ["resnet", "ngram", "conv:3", "timm:", "timm", "", ":"])
def test_unknown_names_list_the_choices(spec):
    with pytest.raises(SettingsError, match="conv, grid, drawing, vit, pixels, timm:NAME"):
        build_encoder(spec, pictures())


def test_unknown_settings_are_named():
    with pytest.raises(SettingsError, match=r"no setting bucket;.*buckets"):
        build_encoder("ngram", texts(), bucket=3)
    with pytest.raises(SettingsError, match="one kind; given: image, text"):
        build_encoder("ngram", [texts(), pictures()])


def test_long_texts_ask_for_a_transformer():
    assert default_encoder([TextColumn(["short", "names"])]) == "ngram"
    assert default_encoder([TextColumn(["a long story " * 40, None, "x" * 500])]) == "transformer"


@pytest.mark.parametrize(
    ("config", "assets"),
    [
        ({"name": "pickle"}, {}),
        ({}, {}),
        ({"name": "conv", "size": 32, "colour": 1}, {}),
        ({"name": "transformer", "width": 8, "heads": 2}, {}),
        ({"name": "transformer", "width": 8, "heads": 2}, {"tokenizer.json": b"{}"}),
        ({"name": "conv", "size": 1}, {}),
    ],
)
def test_records_that_do_not_fit_are_refused(config, assets):
    with pytest.raises(RunError, match="encoder"):
        restore_encoder(config, assets)


def test_frozen_encoders_stay_as_they_are():
    encoder = ConvNet(size=8, widths=(4,), depths=(1,)).freeze()
    torch.nn.ModuleDict({"encoder": encoder}).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    vector: Tensor = encoder(torch.randn(4, 3, 8, 8)).vector
    assert not vector.requires_grad
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_an_ensemble_compares_by_the_mean_of_its_towers_cosines():
    towers = [ConvNet(size=16, widths=(8, width), depths=(0, 0), seed=width) for width in (4, 9)]
    both = Ensemble(towers).eval()
    inputs = both.plain(both.prepare(pictures()).take(range(6)))
    with torch.no_grad():
        vectors = both(inputs).vector.double()
        parts = [torch.nn.functional.normalize(tower(inputs).vector.double(), dim=1) for tower in towers]
    cosines = torch.nn.functional.normalize(vectors, dim=1)
    torch.testing.assert_close(
        cosines @ cosines.T, (parts[0] @ parts[0].T + parts[1] @ parts[1].T) / 2, atol=1e-6, rtol=0
    )


def test_an_ensemble_refuses_encoders_that_read_other_things():
    with pytest.raises(SettingsError, match=r"ConvNet of image at size 16, ConvNet of image at size 32"):
        Ensemble([ConvNet(size=size, widths=(8,), depths=(0,)) for size in (16, 32)])
    with pytest.raises(SettingsError, match="at least one"):
        Ensemble([])
    with pytest.raises(SettingsError, match="other tokenizers"):
        Ensemble([TextTransformer.from_texts(texts, width=8, heads=2) for texts in (TEXTS, TEXTS[:3])])


def test_an_ensemble_carries_the_assets_of_each_tower():
    towers = [TextTransformer.from_texts(TEXTS, vocabulary=300, width=8, depth=i + 1, heads=2) for i in range(2)]
    both = Ensemble(towers).eval()
    restored = restore_encoder(json.loads(json.dumps(both.config())), both.assets()).eval()
    restored.load_state_dict(both.state_dict())
    tokens = both.prepare(texts()).take(range(6))
    with torch.no_grad():
        assert torch.equal(restored(restored.prepare(texts()).take(range(6))).vector, both(tokens).vector)


def test_a_fresh_encoder_draws_its_weights_and_keeps_the_rest(made):
    make, prepared = made
    encoder = make(0)
    other, again = fresh_encoder(encoder, seed=7), fresh_encoder(encoder, seed=7)
    assert other.config() == encoder.config()
    assert any(not torch.equal(a, b) for a, b in zip(other.parameters(), encoder.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(other.buffers(), encoder.buffers(), strict=True))
    torch.manual_seed(0)
    drawn = [fresh_encoder(encoder) for _ in range(2)]
    inputs = encoder.plain(prepared.take(range(6)))
    with torch.no_grad():
        one, two = (each.eval()(inputs).vector for each in drawn)
    assert not torch.equal(one, two)


def test_weights_that_were_trained_elsewhere_are_no_initial_weights(tmp_path):
    trained = TimmEncoder("resnet10t", size=32, seed=3)
    path = tmp_path / "weights.safetensors"
    save_file(trained.model.state_dict(), path)
    encoder = TimmEncoder("resnet10t", weights=path, size=32)
    other = fresh_encoder(encoder, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), trained.parameters(), strict=True))
