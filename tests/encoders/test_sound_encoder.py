"""Spectrograms against librosa; the encoder of recordings and its codebook."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from unalike.data import AudioColumn
from unalike.encoders import (
    GumbelQuantizer,
    MelTransformer,
    PackedSound,
    Vector,
    build_encoder,
    log_mel,
    restore_encoder,
)
from unalike.errors import DataError, SettingsError

soundfile = pytest.importorskip("soundfile")


def wave(seconds: float, hertz: float = 440.0, rate: int = 16000) -> np.ndarray:
    rng = np.random.default_rng(int(hertz))
    time = np.arange(int(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * hertz * time) + 0.02 * rng.normal(size=len(time))).astype(np.float32)


@pytest.fixture
def column(tmp_path: Path) -> AudioColumn:
    paths = []
    for number in range(6):
        soundfile.write(tmp_path / f"{number}.wav", wave(0.4 + 0.2 * number, 300 + 100 * number), 16000)
        paths.append(f"{number}.wav")
    return AudioColumn([*paths, None], root=tmp_path)


def test_the_spectrogram_is_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    samples = wave(0.7)
    power = librosa.feature.melspectrogram(
        y=np.pad(samples, (56, 56)),  # librosa puts the window into the middle of the transform
        sr=16000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        center=False,
        n_mels=40,
        htk=True,
        norm=None,
        window="hann",
    )
    ours = log_mel(torch.from_numpy(samples), mels=40).numpy()
    assert ours.shape == (40, 1 + (len(samples) - 400) // 160)
    np.testing.assert_allclose(ours, np.log(power[:, : ours.shape[1]] + 1e-6), atol=2e-3)


def test_a_spectrogram_needs_one_window() -> None:
    assert log_mel(torch.zeros(400)).shape == (64, 1)
    with pytest.raises(DataError, match="399 samples"):
        log_mel(torch.zeros(399))


def test_padding_changes_nothing(column: AudioColumn) -> None:
    encoder = build_encoder("mel", [column], mels=40, width=32, depth=2, heads=2).eval()
    inputs = encoder.plain(encoder.prepare(column).take([0, 3]))
    alone = encoder(inputs[:1])
    together = encoder(inputs)
    torch.testing.assert_close(alone.vector, together.vector[:1], atol=1e-5, rtol=1e-4)
    length = alone.tokens.shape[1]
    torch.testing.assert_close(alone.tokens, together.tokens[:1, :length], atol=1e-5, rtol=1e-4)
    assert together.mask[0].sum() == length < together.tokens.shape[1]
    assert together.mask[0].sum() == math.ceil(38 / 4)  # 0.4 s: 38 windows of 25 ms
    assert torch.equal(encoder.standing(inputs), together.mask)


def test_a_missing_recording_is_zero_and_not_nan(column: AudioColumn) -> None:
    encoder = build_encoder("mel", [column], width=16, depth=1).eval()
    packed = encoder.prepare(column)
    assert packed.present.tolist() == [True] * 6 + [False]
    encoded = encoder(encoder.plain(packed.take([6])))
    assert bool((encoded.vector == 0).all())
    assert bool(torch.isfinite(encoded.tokens).all())
    assert packed.raw([6]).abs().sum() == 0


def test_restores_and_reads_no_more_than_was_asked(column: AudioColumn) -> None:
    encoder = build_encoder("mel", [column], seconds=0.5, width=16, depth=1)
    assert isinstance(encoder, MelTransformer)
    assert encoder.frames == 50
    assert encoder.prepare(column).take([5]).shape == (1, 64, 50)
    restored = restore_encoder(encoder.config(), encoder.assets())
    restored.load_state_dict(encoder.state_dict())
    inputs = encoder.prepare(column).take([1, 5])
    assert torch.equal(restored(restored.plain(inputs)).vector, encoder(encoder.plain(inputs)).vector)


def test_bands_are_standardised_and_dead_ones_not_blown_up(column: AudioColumn, tmp_path: Path) -> None:
    encoder = build_encoder("mel", [column])
    inputs = encoder.plain(encoder.prepare(column).take(range(6)))
    known = inputs[~inputs.isnan()]
    assert abs(float(known.mean())) < 0.05
    assert float(encoder.std.min()) >= 0.1


def test_the_cache_gives_the_same_and_is_used(column: AudioColumn, tmp_path: Path) -> None:
    encoder = build_encoder("mel", [column])
    first = encoder.prepare(column, cache=tmp_path / "cache")
    files = sorted((tmp_path / "cache").glob("*.npy"))
    assert len(files) == 1
    stamp = files[0].stat().st_mtime_ns
    second = encoder.prepare(column, cache=tmp_path / "cache")
    assert files[0].stat().st_mtime_ns == stamp
    assert torch.equal(first.take([0]).nan_to_num(), second.take([0]).nan_to_num())
    plain = encoder.prepare(column)
    assert torch.equal(plain.take([5]).nan_to_num(), second.take([5]).nan_to_num())


@pytest.mark.parametrize(
    ("options", "message"), [({"seconds": 0}, "seconds=0"), ({"width": 30}, "multiple"), ({"depth": 0}, "at least 1")]
)
def test_settings_out_of_range(column: AudioColumn, options: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build_encoder("mel", [column], **options)


def test_raw_is_mean_and_deviation_over_time() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 9)).astype(np.float16)
    values[1, :, 5:] = np.nan
    raw = PackedSound(values).raw([0, 1]).numpy()
    np.testing.assert_allclose(raw[1, :3], values[1, :, :5].astype(np.float64).mean(1), atol=1e-3)
    np.testing.assert_allclose(raw[0, 3:], values[0].astype(np.float64).std(1), atol=1e-3)


def test_the_quantiser_draws_in_training_only_and_lets_gradients_through() -> None:
    torch.manual_seed(0)
    quantizer = GumbelQuantizer(8, 16, 4)
    features = torch.randn(5, 7, 8, requires_grad=True)
    drawn = [quantizer(features).vectors for _ in range(2)]
    assert not torch.equal(*drawn)
    entries = {tuple(row.tolist()) for row in quantizer.entries.detach().round(decimals=4)}
    assert {tuple(row.tolist()) for row in drawn[0].detach().reshape(-1, 4).round(decimals=4)} <= entries
    drawn[0].square().sum().backward()
    assert features.grad is not None
    assert bool((features.grad != 0).any())
    quantizer.eval()
    found = quantizer(features)
    assert torch.equal(found.vectors, quantizer.entries[found.codes])
    assert torch.equal(found.codes, found.probabilities.argmax(-1))


def test_a_cool_draw_is_the_likeliest_code() -> None:
    torch.manual_seed(0)
    quantizer = GumbelQuantizer(8, 4, 4)
    with torch.no_grad():
        quantizer.choose.weight.mul_(100)
    features = torch.randn(200, 8)
    found = quantizer(features)
    same = (found.vectors.detach() - quantizer.entries[found.codes]).abs().amax(-1) < 1e-5
    assert float(same.float().mean()) > 0.9
    quantizer.cool(0.25)
    assert float(quantizer.state_dict()["temperature"]) == 0.25


@pytest.mark.parametrize("wrong", [{"codes": 1}, {"temperature": 0.0}])
def test_quantiser_settings(wrong: dict) -> None:
    with pytest.raises(SettingsError):
        GumbelQuantizer(**{"width": 4, "codes": 4, "output": 4} | wrong)


def test_one_vector_stands_where_something_is_hidden() -> None:
    vector, others = Vector(3), torch.zeros(2, 2, 3)
    seen = vector.at(torch.tensor([[True, False], [False, False]]), others)
    assert torch.equal(seen[0, 0], vector.entry)
    assert float(seen.detach().abs().sum()) == pytest.approx(float(vector.entry.detach().abs().sum()))


def chirps(seed: int, seconds: float = 1.0, rate: int = 44100) -> np.ndarray:
    """Tones that rise and fall from 100 Hz to 3.5 kHz, other ones for each seed, and noise above them."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    parts = [
        np.sin(2 * np.pi * np.cumsum(low * (high / low) ** (0.5 + 0.5 * np.sin(2 * np.pi * speed * time))) / rate)
        for low, high, speed in zip(
            rng.uniform(200, 900, 4), rng.uniform(2500, 7000, 4), rng.uniform(1, 6, 4), strict=True
        )
    ]
    return (0.1 * np.sum(parts, 0) + 0.003 * rng.normal(size=len(time))).astype(np.float32)


def test_a_telephones_recording_finds_its_own_in_full(tmp_path: Path) -> None:
    soxr = pytest.importorskip("soxr")
    for number in range(12):
        soundfile.write(tmp_path / f"{number}.wav", chirps(number), 44100)
        soundfile.write(tmp_path / f"{number}-8k.wav", soxr.resample(chirps(number), 44100, 8000), 8000)
    whole, narrow = (AudioColumn([f"{n}{end}.wav" for n in range(12)], root=tmp_path) for end in ("", "-8k"))
    encoder = build_encoder("mel", whole, width=64, depth=2).eval()
    asked = encoder.prepare(narrow, cache=tmp_path / "cache")
    assert asked.notes == (
        "12 recordings are sampled at less than 16000 Hz, 8000 at least: no sound above half of that",
    )
    assert encoder.prepare(whole).notes == ()

    def vectors(packed: PackedSound) -> torch.Tensor:
        with torch.no_grad():
            return torch.nn.functional.normalize(encoder(encoder.plain(packed.take(range(12)))).vector, dim=1)

    # The encoder is untrained: nearly all find their own among the first two all the same, and by chance if the bands
    # that are empty were taken for silence.
    held = vectors(encoder.prepare(whole))
    silent = PackedSound(asked.pixels)
    places = {
        name: ((scores := vectors(packed) @ held.T) > scores.diagonal()[:, None]).sum(1)
        for name, packed in (("filled", asked), ("silent", silent))
    }
    assert (places["filled"] == 0).sum() >= 11 and places["filled"].max() <= 1
    assert (places["silent"] == 0).sum() <= 4
    # What the cache kept says the same.
    torch.testing.assert_close(vectors(encoder.prepare(narrow, cache=tmp_path / "cache")), vectors(asked))
    again = restore_encoder(encoder.config(), encoder.assets())
    again.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(again.prepare(narrow).take([3]), asked.take([3]), equal_nan=True)
    # The bands that its rate cannot tell stand at the training recordings' mean, the others as they were heard.
    plain = encoder.plain(asked.take([0]))[0, :, :98]
    bands = int(asked.bands[0])
    assert 0 < bands < 64
    torch.testing.assert_close(plain[bands:], torch.zeros_like(plain[bands:]), atol=1e-6, rtol=0)
    assert plain[:bands].abs().mean() > 0.1


def test_bands_that_no_recording_tells_of_stay_as_they_are(tmp_path: Path) -> None:
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", chirps(number, rate=8000), 8000)
    column = AudioColumn([f"{n}.wav" for n in range(3)], root=tmp_path)
    encoder = build_encoder("mel", column, width=16, depth=1)
    packed = encoder.prepare(column)
    assert (packed.bands < 64).all()
    torch.testing.assert_close(
        packed.take(range(3)), torch.from_numpy(packed.pixels.astype(np.float32)), equal_nan=True
    )
