"""Pictures, texts and recordings in one table with gaps: a whole run, its scores, and a search by several things."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import unalike as command
from PIL import Image
from safetensors.torch import load_file
from squares import GERMAN, INKS, on_white

import unalike
from unalike.errors import DataError

soundfile = pytest.importorskip("soundfile")

ROWS = 48


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square's colour is told by the text, its size by the pitch; every role has gaps, and one row only a picture."""
    folder = tmp_path_factory.mktemp("three")
    generator = np.random.default_rng(0)
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "de", "c", "nothing", "silent", "zero", "words"])
        for row in range(ROWS):
            name, size = list(INKS)[row % 4], row // 4 % 4
            on_white(folder / f"{row}.png", name, 6 + 4 * size)
            tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * size) * np.arange(2000) / 8000)
            soundfile.write(folder / f"{row}.wav", tone + 0.01 * generator.normal(size=2000), 8000)
            rows.writerow(
                [
                    "" if row % 9 == 8 else f"{row}.png",
                    "" if row % 5 == 4 or row == 1 else f"a {name} square no. {row}",
                    "" if row % 2 or row == 1 else f"ein {GERMAN[name]}es Quadrat Nr. {row}",
                    "" if row % 7 == 6 or row == 1 else f"{row}.wav",
                    "",
                    "silent.wav" if row == 3 else f"{row}.wav",
                    "zero.wav" if row == 3 else f"{row}.wav",
                    "words.wav" if row == 3 else f"{row}.wav",
                ]
            )
    soundfile.write(folder / "silent.wav", np.zeros(8000), 8000)
    (folder / "zero.wav").write_bytes(b"")
    (folder / "words.wav").write_text("this is a text", encoding="utf-8")
    return folder / "pairs.csv"


ROLES = {"image": "a", "text": "b", "text:de": "de", "audio": "c"}
SMALL = {"steps": 4, "batch_size": 16, "size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> unalike.Run:
    out = tmp_path_factory.mktemp("runs") / "symile"
    return unalike.fit(table, system="symile", roles=ROLES, holdout=0.3, out=out, **SMALL)


def test_gaps_are_counted_and_all_modalities_learned_from(run: unalike.Run) -> None:
    notes = " | ".join(run.record["notes"])
    assert f"1 of {ROWS} rows have fewer than two modalities and are left out" in notes
    assert f"5 of {ROWS - 1} rows have no image; what else they have is used" in notes
    assert f"6 of {ROWS - 1} rows have no audio; what else they have is used" in notes
    assert run.spec.roles == {"image": ("image",), "text": ("text", "text:de"), "audio": ("audio",)}
    assert run.kinds == ["image", "text", "audio"]


def test_each_modality_is_found_from_all_others_and_never_scored_by_pairs(run: unalike.Run, table: Path) -> None:
    for scores in (run.scores, run.evaluate(table, roles=ROLES)):
        names = {score.name: score for score in scores}
        for words in (
            "text and audio find the image",
            "image and audio find the text",
            "image and text find the audio",
        ):
            assert 0 < names[f"{words}, R@1"].floors["chance"] < 0.5
        assert not [name for name in names if ">" in name or "~" in name]


def test_a_search_by_several_things_is_their_product(run: unalike.Run, table: Path) -> None:
    sound = str(table.parent / "10.wav")
    hits = run.search({"text": "a red square", "audio": sound}, k=3)
    assert [hit.role for hit in hits] == ["image"] * 3
    text, heard = (run.query(each)[0] for each in ("a red square", sound))
    scores = run.vectors["image"] @ (text * heard)
    assert hits[0].score == pytest.approx(scores[run.present("image")].max(), abs=1e-6)
    absent = run.learner.module["absent"]("audio").detach().numpy()
    alone = run.search("a red square", k=1)[0]
    assert alone.score == pytest.approx((run.vectors["image"] @ (text * absent))[run.present("image")].max(), abs=1e-6)
    picture = run.search({"image": str(table.parent / "2.png"), "audio": sound}, k=2)
    assert {hit.role for hit in picture} == {"text"}


def test_what_cannot_be_a_query(run: unalike.Run, table: Path) -> None:
    sound, picture = str(table.parent / "10.wav"), str(table.parent / "2.png")
    with pytest.raises(DataError, match="all that this run knows"):
        run.search({"text": "red", "audio": sound, "image": picture})
    with pytest.raises(DataError, match="two parts of the query are of the kind text"):
        run.search({"text": "red", "text:de": "rot"})
    with pytest.raises(DataError, match="video cannot be part of a query"):
        run.search({"video": "clip.mp4"})
    with pytest.raises(DataError, match="no recording that can be read"):
        run.search({"text": "red", "audio": str(table.parent / "words.wav")})


def test_the_command(run: unalike.Run, table: Path) -> None:
    words = ["search", run.folder, "--text", "a red square", "--audio", "10.wav", "-k", "2"]
    lines = command(*words, cwd=table.parent).splitlines()
    assert len([line for line in lines if not line.startswith("note: ")]) == 3
    for wrong in (["search", run.folder], ["search", run.folder, "red", "--text", "red"]):
        assert "takes one query, or" in command(*wrong, cwd=table.parent, code=2)
    assert "any two or more of" in command("systems", "symile", cwd=table.parent)


@pytest.mark.parametrize(
    ("column", "reason"), [("silent", "silent"), ("zero", "the file is empty"), ("words", "no recording that can be")]
)
def test_recordings_that_cannot_be_heard(table: Path, tmp_path: Path, column: str, reason: str) -> None:
    roles = {"image": "a", "text": "b", "audio": column}
    with pytest.raises(DataError, match=f"(?s)1 of 4[78].*{reason}"):
        unalike.fit(table, system="symile", roles=roles, out=tmp_path / "none", **SMALL)
    run = unalike.fit(table, system="symile", roles=roles, tolerance=0.05, out=tmp_path / "run", **SMALL)
    assert len(run.record["skipped"]) == 1
    assert reason in run.record["skipped"][0]["reason"]


def test_a_role_that_all_rows_lack_and_one_role_alone(table: Path) -> None:
    with pytest.raises(DataError, match=f"audio of pairs has no entry in any of {ROWS - 1} rows: fill"):
        unalike.fit(table, system="symile", roles={"image": "a", "text": "b", "audio": "nothing"}, **SMALL)
    with pytest.raises(DataError, match="two modalities or more"):
        unalike.fit(table, system="symile", roles={"text": "b"}, **SMALL)


def test_pairs_of_modalities_as_the_baseline_compares_them(table: Path, tmp_path: Path) -> None:
    run = unalike.fit(table, system="audioclip", roles=ROLES, out=tmp_path / "run", **SMALL)
    names = [score.name for score in run.scores]
    assert "text and audio find the image, R@1" in names
    assert "recall@1/image>text" in names
    assert run.search({"text": "a red square", "audio": str(table.parent / "10.wav")}, k=1)[0].role == "image"


@pytest.mark.in_turn("src/unalike/training/")
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
def test_two_processes_learn_what_one_does(table: Path, tmp_path: Path) -> None:
    folder, generator = table.parent, np.random.default_rng(0)
    for row in range(ROWS):  # textured: in flat pictures maxima tie, and rounding decides
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), np.uint8))
        coarse.resize((24, 24), Image.Resampling.BICUBIC).save(folder / f"textured{row}.png")
    lines = (folder / "pairs.csv").read_text(encoding="utf-8").splitlines()
    textured = [",".join([f"textured{line}" if ".png" in line.split(",")[0] else line]) for line in lines]
    (folder / "textured.csv").write_text("\n".join(textured) + "\n", encoding="utf-8")
    words = ["fit", "textured.csv", "--image", "a", "--text", "b", "--text:de", "de", "--audio", "c"]
    words += ["--system", "symile", "--steps", "50", "--size", "16", "--batch-size", "16", "--device", "cpu"]
    words += ["--optimizer", "sgd", "--learning-rate", "0.001", "--weight-decay", "0"]
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    start += ["--rdzv-endpoint", "localhost:0", "-m", "unalike"]
    for name, begin in (("one", [sys.executable, "-m", "unalike"]), ("two", start)):
        done = subprocess.run(
            [*begin, *words, "--out", str(tmp_path / name)],
            cwd=folder,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.allclose(value.double(), two[name].double(), rtol=1e-5, atol=1e-5), name
