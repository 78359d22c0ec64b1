"""A classifier and a generator as runs: each is scored, shown, saved and used by what it serves."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from of_tests import Denoising, Entropy, add, classifier, equal, generator
from PIL import Image

import unalike
from unalike import cli, training
from unalike.data import open_set
from unalike.errors import DataError, RunError, SettingsError


def stop(step: int, total: int, row: object) -> None:
    """Ends a training as a user does who asks it to stop."""
    if step == 12:
        signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, "entropy", classifier, Entropy, labels=True)
    add(monkeypatch, "denoising", generator, Denoising, encoder={"image": "pixels"})


@pytest.fixture(scope="module")
def digits():
    everything = open_set("digits")
    return everything.select(np.arange(400))


def fitted(data, system: str, out: Path, steps: int, **options) -> unalike.Run:
    return unalike.fit(data, system=system, steps=steps, batch_size=64, size=16, out=out, **options)


def test_a_classifier_predicts_and_is_the_same_when_loaded(digits, tmp_path: Path) -> None:
    run = fitted(digits, "entropy", tmp_path / "run", 60)
    assert run.serves == ["classifies"]
    scores = {score.name: score for score in run.scores}
    accuracy = scores["accuracy of the classifier"]
    assert accuracy.value > 0.5 > accuracy.floors["commonest class"]
    assert (
        scores["log loss of the classifier"].value
        < scores["log loss of the classifier"].floors["shares of the classes"]
    )
    assert "accuracy of the classifier" in (run.folder / "report.html").read_text("utf-8")

    found = run.predict(digits)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    head, encoder = run.learner.modules["head"], run.learner.encoders["image"]
    with torch.no_grad():
        seen = encoder(encoder.plain(encoder.prepare(digits["image"]).take(np.arange(8)))).vector
    expected = (seen @ head.weight.T + head.bias).argmax(dim=1)
    assert found.labels[:8] == [digits.label.names[code] for code in expected]
    assert np.mean([label == digits.label[row] for row, label in enumerate(found.labels)]) > 0.5
    again = unalike.load(run.folder)
    np.testing.assert_array_equal(again.predict(digits).probabilities, found.probabilities)
    [measured, _] = again.evaluate(digits)
    assert measured.value == pytest.approx(
        np.mean([label == digits.label[row] for row, label in enumerate(found.labels)])
    )
    assert run.search(digits.ids[0], 2)


def test_a_classifier_resumes_to_the_same_bits(digits, tmp_path: Path) -> None:
    straight = fitted(digits, "entropy", tmp_path / "straight", 20)
    check_resumed(straight, digits, "entropy", tmp_path / "stopped")


def test_a_generator_learns_and_shows_its_samples(digits, tmp_path: Path, capsys) -> None:
    run = fitted(digits, "denoising", tmp_path / "run", 60)
    assert run.serves == ["generates"] and run.kinds == [] and run.vectors == {}
    losses = [row["loss"] for row in run.metrics() if "loss" in row]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    assert len(list((run.folder / "samples").glob("*.png"))) == 16
    page = (run.folder / "report.html").read_text("utf-8")
    assert '<section id="samples">' in page and "16 samples of the trained model" in page
    [score] = run.scores
    assert score.name == "samples to the nearest training image"
    assert 0 < score.value < score.floors["noise"]

    found = run.sample(5, seed=3)
    assert found.images is not None
    assert found.images.shape == (5, 16, 16) and found.images.dtype == np.uint8
    assert found.images.std() > 5
    again = unalike.load(run.folder)
    np.testing.assert_array_equal(again.sample(5, seed=3).images, found.images)
    assert not np.array_equal(again.sample(5, seed=4).images, found.images)
    cli.main(["sample", str(run.folder), "--count", "2", "--seed", "3", "--out", str(tmp_path / "made")])
    assert "2 samples, written to" in " ".join(capsys.readouterr().out.split())
    first = np.asarray(Image.open(tmp_path / "made" / "0000.png"))
    assert first.shape == (16, 16)
    again.report()
    assert '<section id="samples">' in (run.folder / "report.html").read_text("utf-8")
    unalike.load(run.folder)

    for use in (lambda: run.predict(digits), lambda: run.search("1"), lambda: run.evaluate(digits)):
        with pytest.raises(DataError, match="it can unalike sample"):
            use()
    with pytest.raises(DataError, match="turns nothing into vectors; it can unalike sample"):
        run.embed(digits)
    with pytest.raises(SettingsError, match="at least one sample"):
        run.sample(0)
    (run.folder / "samples" / "0003.png").write_bytes(b"other")
    with pytest.raises(RunError, match=r"0003\.png was changed"):
        unalike.load(run.folder)


def test_a_generator_resumes_to_the_same_bits(digits, tmp_path: Path) -> None:
    straight = fitted(digits, "denoising", tmp_path / "straight", 20)
    check_resumed(straight, digits, "denoising", tmp_path / "stopped")


def check_resumed(straight: unalike.Run, digits, system: str, folder: Path) -> None:
    with pytest.raises(training.Interrupted):
        fitted(digits, system, folder, 20, listener=training.Listener(on_step=stop))
    assert list((folder / "checkpoints").iterdir()), "what was stopped goes on from a checkpoint"
    resumed = unalike.resume(folder, digits)
    assert equal(straight.learner.module, resumed.learner.module)
    assert json.loads((folder / "scores.json").read_text()) == [score.to_json() for score in straight.scores]


def test_what_a_run_serves_that_this_version_does_not_know_is_said(digits, tmp_path: Path) -> None:
    run = fitted(digits, "entropy", tmp_path / "run", 2)
    strange = unalike.Run(run.folder, {**run.record, "serves": ["acts"]})
    with pytest.raises(RunError, match="serves acts, which this version"):
        strange.predict(digits)
