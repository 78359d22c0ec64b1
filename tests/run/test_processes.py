"""Two real processes on one model: what they learn, embed and score is what one process does; one of them may die."""

from __future__ import annotations

import json
import os
import signal
import socket
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
from unalike.errors import SettingsError
from unalike.training import Alone, joined
from unalike.training.distributed import LostProcess, patience, waiting

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.in_turn("src/unalike/training/", "benchmarks/processes.py")

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


TEXTURED = ["fit", "photos", *SMALL, "--steps", "60", "--checkpoint-minutes", "0.0001"]


@pytest.fixture(scope="module")
def undisturbed(photos: Path) -> dict[str, torch.Tensor]:
    """The weights of one process that nobody disturbed."""
    say(*TEXTURED, "--out", "undisturbed", cwd=photos)
    return load_file(photos / "undisturbed" / "weights.safetensors")


def started(words: list[str], out: Path, *, cwd: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Two processes under torchrun that have saved a checkpoint into a run, and their numbers."""
    runner = subprocess.Popen(
        command(*words, "--out", out, processes=2),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
    )
    until_saved(out, runner)
    workers = children(runner.pid)
    assert len(workers) == 2
    return runner, workers


def until_saved(run: Path, process: subprocess.Popen[str]) -> None:
    """Wait for the first checkpoint."""
    deadline = time.monotonic() + 120
    while not list((run / "checkpoints").glob("0*")):
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail(f"no checkpoint: {process.communicate()[0]}")
        time.sleep(0.05)


@pytest.mark.parametrize(("killed", "resumed_in"), [(-1, 1), (0, 2)])
def test_one_process_killed_ends_the_other_and_the_run_goes_on(
    photos: Path, undisturbed: dict[str, torch.Tensor], killed: int, resumed_in: int
) -> None:
    run = photos / f"torn{resumed_in}"
    runner, workers = started(TEXTURED, run, cwd=photos)
    try:
        os.kill(workers[killed], signal.SIGKILL)
        began = time.monotonic()
        said, _ = runner.communicate(timeout=60)
    finally:
        runner.kill()
    assert time.monotonic() - began < 30
    assert runner.returncode != 0
    assert "another process of this training has ended" in said or "unalike fit --resume" in said, said
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert '"state": "training"' in (run / "run.json").read_text()
    assert len((run / "metrics.jsonl").read_text().splitlines()) < 60
    say("fit", "--resume", run, cwd=photos, processes=resumed_in)
    assert json.loads((run / "run.json").read_text())["state"] == "done"
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [*range(1, 61)]
    found = load_file(run / "weights.safetensors")
    for key, value in undisturbed.items():
        # Two processes for a part of the way are one process to rounding, which rectifiers enlarge.
        assert torch.allclose(found[key].double(), value.double(), rtol=1e-3, atol=1e-3), key


def test_a_process_that_hangs_is_waited_for_as_long_as_asked(photos: Path) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    run = photos / "hung"
    words = command("fit", "photos", *SMALL, "--steps", "4000", "--checkpoint-minutes", "0.0001", "--out", run)
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port, "UNALIKE_PATIENCE": "4"}
    # Without torchrun, which would wait another half minute for the one that hears no SIGTERM.
    processes = [
        subprocess.Popen(
            words,
            cwd=photos,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment() | group | {"RANK": str(rank)},
            text=True,
        )
        for rank in range(2)
    ]
    try:
        until_saved(run, processes[0])
        processes[1].send_signal(signal.SIGSTOP)
        began = time.monotonic()
        said, _ = processes[0].communicate(timeout=60)
        seconds = time.monotonic() - began
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert 3 < seconds < 30
    assert processes[0].returncode == 2
    said = " ".join(said.split())
    assert "process 0 of 2 stops: it has waited 4 seconds for " in said, said
    assert "UNALIKE_PATIENCE=SECONDS" in said
    assert "unalike fit --resume" in said
    assert '"state": "training"' in (run / "run.json").read_text()


@pytest.mark.parametrize("given", ["soon", "0", "-5", "inf", "nan", ""])
def test_a_patience_that_is_no_time_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNALIKE_PATIENCE", given)
    with pytest.raises(SettingsError, match="number of seconds above 0"):
        patience()
    monkeypatch.setenv("UNALIKE_PATIENCE", "2.5")
    assert patience() == 2.5
    monkeypatch.delenv("UNALIKE_PATIENCE")
    assert patience() == 600


def test_what_was_waited_for_is_told() -> None:
    with pytest.raises(LostProcess, match="waited 600 seconds for the gradients"), waiting("the gradients"):
        raise RuntimeError("[gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 600000ms for recv")
    with pytest.raises(LostProcess, match=r"cannot be reached .*for the gradients"), waiting("the gradients"):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    with pytest.raises(RuntimeError, match="shapes"), waiting("the gradients"):
        raise RuntimeError("shapes cannot be multiplied")  # an error of this process stays what it is


def children(number: int) -> list[int]:
    """The processes that a process started, oldest first."""
    return [int(word) for word in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """What the benchmark says of systems that keep state, and of one whose rounding is enlarged."""
    script, told = ROOT / "benchmarks" / "processes.py", tmp_path_factory.mktemp("compared") / "told.json"
    names = ["moco-v2", "swav", "isogclr", "simcse", "simclr, digits"]
    done = subprocess.run(
        [sys.executable, script, "--steps", "5", "--nudges", "0", "--json", told, "--systems", *names],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return {row["system"]: row for row in json.loads(told.read_text())["systems"]}


def test_the_systems_that_keep_state_agree(compared: dict[str, dict[str, float]]) -> None:
    for name in ("moco-v2", "swav", "isogclr", "simcse"):
        row = compared[name]
        assert max(row["parameter"], row["buffer"], row["parameter double"], row["buffer double"]) < 1e-5, name


def test_in_float64_two_processes_do_what_one_does_where_rounding_is_enlarged(
    compared: dict[str, dict[str, float]],
) -> None:
    # Flat pictures and large steps: in float32 rectifiers turn over and parameters part by 1e-2.
    row = compared["simclr, digits"]
    for way in ("double", "shared out"):
        assert max(row[f"parameter {way}"], row[f"buffer {way}"]) < 1e-11
    assert min(row["parameter"], row["buffer"]) > 1e-9  # float64 was float64


def test_torch_s_own_average_of_gradients_gives_the_same_parameters(tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_averages.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(tmp_path / "store"), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    house, torch_s, first = (load_file(tmp_path / f"{name}.safetensors") for name in ("house", "ddp", "first"))
    assert house.keys() == torch_s.keys() == first.keys()
    for key, value in house.items():
        assert torch.allclose(value, torch_s[key], rtol=1e-5, atol=1e-6), key
    assert max(float((house[key] - first[key]).abs().max()) for key in house) > 1e-2  # they have moved


def test_alone_nobody_is_waited_for() -> None:
    with joined("cpu") as group:
        assert type(group) is Alone
        assert group.leads
        assert group.told(lambda: "here") == "here"
        assert group.any(False) is False
        group.same(3, "things")
