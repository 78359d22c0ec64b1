"""Recordings: what is read of them, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unalike.data import AudioColumn, open_collection
from unalike.data.sound import RATE, decode_sound, read_header
from unalike.encoders import build_encoder
from unalike.errors import DataError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def tone(seconds: float, rate: int = 16_000, hertz: float = 440.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_a_tone_keeps_its_pitch_at_any_rate(tmp_path: Path, rate: int) -> None:
    both = np.stack([tone(1.0, rate), tone(1.0, rate)], axis=1)
    soundfile.write(tmp_path / "tone.wav", both, rate)
    samples = decode_sound(tmp_path / "tone.wav").samples
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE, abs=2)
    assert np.abs(np.fft.rfft(samples)).argmax() == pytest.approx(440, abs=1)


def test_only_the_beginning_is_decoded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", tone(5.0), 16_000)
    whole, part = decode_sound(tmp_path / "long.flac"), decode_sound(tmp_path / "long.flac", seconds=0.5)
    assert len(part.samples) == 8000
    np.testing.assert_array_equal(part.samples, whole.samples[:8000])
    with pytest.raises(DataError, match=r"hours; at most 0\.001"):
        read_header(tmp_path / "long.flac", max_seconds=3.6)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(16_000), "silent"),
        (np.zeros(0), "0 samples"),
        (np.ones(1) / 2, "1 sample, "),
        (tone(0.02), r"20 ms; at least 25 ms"),
    ],
)
def test_what_holds_nothing_is_said(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    soundfile.write(tmp_path / "x.wav", samples, 16_000)
    with pytest.raises(DataError, match=reason):
        decode_sound(tmp_path / "x.wav")


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is a letter, not a sound\n" * 50)
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    for name, reason in (
        ("text.wav", "no recording"),
        ("empty.wav", "file is empty"),
        ("none.wav", "no such file"),
        ("nan.wav", "not finite"),
    ):
        with pytest.raises(DataError, match=reason):
            decode_sound(tmp_path / name)


def folder(place: Path, count: int = 6) -> Path:
    for name, hertz in (("low", 200), ("high", 900)):
        (place / name).mkdir(parents=True)
        for number in range(count):
            soundfile.write(place / name / f"{number}.wav", tone(0.5, hertz=hertz), 16_000)
    return place


def test_sub_folders_are_labels_and_other_rates_are_noted(tmp_path: Path) -> None:
    place = folder(tmp_path / "sounds")
    soundfile.write(place / "low" / "telephone.wav", tone(0.5, 8000), 8000)
    found = open_collection(place)
    assert found.roles("audio") == ["audio"]
    assert found.label is not None
    assert sorted(found.label.names) == ["high", "low"]
    assert any("several rates" in note and "1 at 8000 Hz" in note for note in found.notes)


def test_a_bad_file_among_many_is_left_out_and_listed_and_too_many_are_an_error(tmp_path: Path) -> None:
    place = folder(tmp_path / "sounds")
    (place / "low" / "letter.wav").write_text("not a sound")
    with pytest.raises(DataError, match=r"letter\.wav"):
        open_collection(place)
    found = open_collection(place, tolerance=0.2)
    assert len(found) == 12
    assert [each.id for each in found.skipped] == ["low/letter.wav"]


def test_a_table_names_recordings_beside_it(tmp_path: Path) -> None:
    folder(tmp_path / "sounds")
    rows = [f"sounds/low/{n}.wav,word {n}" for n in range(4)]
    (tmp_path / "pairs.csv").write_text("file,said\n" + "\n".join([*rows, ",nothing heard"]) + "\n")
    found = open_collection(tmp_path / "pairs.csv", roles={"audio": "file", "text": "said"})
    assert found["audio"].present.tolist() == [True] * 4 + [False]


def test_silent_and_clipped_recordings_are_counted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.clip(9 * tone(0.5), -1, 1), 16_000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16_000)
    soundfile.write(tmp_path / "good.wav", tone(0.5), 16_000)
    column = AudioColumn([str(tmp_path / name) for name in ("loud.wav", "silent.wav", "good.wav")])
    packed = build_encoder("mel", [column.select([2])], mels=16, width=16, depth=1, heads=1).prepare(column)
    assert packed.present.tolist() == [True, False, True]
    assert "silent" in str(packed.failures[1])
    assert any("1 recording is clipped" in note for note in packed.notes)


def test_more_than_memory_should_hold_is_refused_by_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "long.wav", np.sin(np.arange(32000)[:, None] / np.array([5.0, 9.0])), 16000)
    monkeypatch.setattr("unalike.data.sound.MAX_SAMPLES", 40_000)
    with pytest.raises(DataError, match=r"32,000 samples of 2 channels.*ask for its first seconds"):
        decode_sound(tmp_path / "long.wav")
    assert len(decode_sound(tmp_path / "long.wav", seconds=1.0).samples) == RATE


@pytest.mark.parametrize("left", [0.0, 1e-3])
def test_channels_that_cancel_each_other_are_not_silent(left: float, tmp_path: Path) -> None:
    tone = 0.5 * np.sin(np.arange(16_000) / 5)
    soundfile.write(tmp_path / "apart.wav", np.stack([tone, (left - 0.9) * tone], 1), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "opposite.wav", np.stack([tone, (left - 1) * tone], 1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(decode_sound(tmp_path / "opposite.wav").samples, tone, atol=1e-6)
    # Where enough is left of both, their mean is taken as ever.
    np.testing.assert_allclose(decode_sound(tmp_path / "apart.wav").samples, (0.05 + left / 2) * tone, atol=1e-6)


def test_the_rate_of_the_result_can_be_chosen(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(8000) / 5), 8000)
    assert [len(decode_sound(tmp_path / "tone.wav", rate=rate).samples) for rate in (8000, 16_000, 48_000)] == [
        8000, 16_000, 48_000,
    ]  # fmt: skip
    assert decode_sound(tmp_path / "tone.wav").rate == 8000
