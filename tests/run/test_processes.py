"""Two real processes on one model: what they learn, embed and score is what one process does; one of them may die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import unalike
from unalike.training import Alone, joined

ROOT = Path(__file__).parents[2]

if not torch.distributed.is_available():
    pytest.skip("torch without torch.distributed", allow_module_level=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Textured pictures in two folders."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for number in range(42):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), np.uint8)).resize((24, 24), Image.BICUBIC)
        place = folder / "photos" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        coarse.save(place)
    return folder


def command(*words: str | Path, processes: int = 1) -> list[str]:
    """The command of a user, alone or under torchrun."""
    start = [sys.executable, "-m", "unalike"]
    if processes > 1:
        group = ["--nproc-per-node", str(processes), "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
        start = [sys.executable, "-m", "torch.distributed.run", *group, "-m", "unalike"]
    return [*start, *map(str, words)]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def say(*words: str | Path, cwd: Path, processes: int = 1) -> str:
    done = subprocess.run(
        command(*words, processes=processes), cwd=cwd, capture_output=True, text=True, env=environment(), timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SMALL = ["--size", "16", "--batch-size", "16", "--device", "cpu", "--optimizer", "sgd", "--learning-rate", "0.001"]


def test_two_processes_train_embed_and_score_as_one_does(photos: Path) -> None:
    small = {"size": 16, "batch_size": 16, "device": "cpu", "optimizer": "sgd", "learning_rate": 0.001, "steps": 6}
    run = unalike.fit(photos / "photos", out=photos / "one", **small)
    said = say("fit", "photos", *SMALL, "--steps", "6", "--out", "two", cwd=photos, processes=2)
    assert said.count("Search: unalike search") == 1  # the first process alone prints
    for file in ("weights.safetensors", "vectors.safetensors"):
        one, two = (load_file(photos / name / file) for name in ("one", "two"))
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert torch.allclose(value.double(), two[key].double(), rtol=1e-5, atol=1e-5), key
    said = say("embed", "one", "photos", "--out", "two.parquet", cwd=photos, processes=2)
    assert said.count("written to") == 1
    found = np.stack(pq.read_table(photos / "two.parquet")["vector"].to_numpy())
    assert np.abs(found - run.embed(photos / "photos").vectors).max() < 1e-6
    said = say("evaluate", "one", "--data", "photos", "--json", "two.json", cwd=photos, processes=2)
    assert said.count("knn_accuracy") == 1
    for one, two in zip(run.evaluate(photos / "photos"), json.loads((photos / "two.json").read_text()), strict=True):
        assert two["name"] == one.name
        assert two["value"] == pytest.approx(one.value, abs=1e-5)


def test_one_process_killed_ends_the_other_and_the_run_goes_on(photos: Path) -> None:
    words = ["fit", "photos", *SMALL, "--steps", "4000", "--checkpoint-minutes", "0.0001", "--out", "torn"]
    runner = subprocess.Popen(
        command(*words, processes=2),
        cwd=photos,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list((photos / "torn" / "checkpoints").glob("0*")):
            assert time.monotonic() < deadline and runner.poll() is None
            time.sleep(0.05)
        workers = children(runner.pid)
        assert len(workers) == 2
        os.kill(workers[-1], signal.SIGKILL)
        began = time.monotonic()
        said, _ = runner.communicate(timeout=60)
    finally:
        runner.kill()
    assert time.monotonic() - began < 30
    assert runner.returncode != 0
    assert "another process of this training has ended" in said or "unalike fit --resume" in said, said
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    record = photos / "torn" / "run.json"
    assert '"state": "training"' in record.read_text()


def children(number: int) -> list[int]:
    """The processes that a process started, oldest first."""
    return [int(word) for word in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def test_the_systems_that_keep_state_agree() -> None:
    names = ["moco-v2", "swav", "isogclr", "simcse"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "processes.py", "--steps", "4", "--nudges", "0", "--systems", *names],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    for name in names:
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(name))
        numbers = [float(word.rstrip(",")) for word in line.split() if "e-" in word or "e+" in word]
        assert len(numbers) == 2, line
        assert max(numbers) < 1e-5, line


def test_alone_nobody_is_waited_for() -> None:
    with joined("cpu") as group:
        assert type(group) is Alone
        assert group.leads
        assert group.told(lambda: "here") == "here"
        assert group.any(False) is False
        group.same(3, "things")
