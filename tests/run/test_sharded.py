"""Encoders that are shared out over processes: the parameters of one process, and runs that go on either way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import unalike
from unalike import training
from unalike.errors import SettingsError

if not torch.distributed.is_available():
    pytest.skip("torch without torch.distributed", allow_module_level=True)

pytestmark = pytest.mark.in_turn("src/unalike/training/")
SCRIPT = Path(__file__).with_name("shards.py")


SYSTEMS = ("simclr", "clip", "moco-v2", "simclr in turns")


def carried_out(way: str, jobs: list[str], store: Path, processes: int = 1) -> None:
    """Trainings one after the other in so many processes."""
    started = []
    for rank in range(processes):
        group = {"RANK": str(rank), "WORLD_SIZE": str(processes), "STORE": str(store)} if processes > 1 else {}
        started.append(
            subprocess.Popen(
                [sys.executable, str(SCRIPT), way, *jobs],
                cwd=store.parent,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1"} | group,
                text=True,
            )
        )
    try:
        said = [process.communicate(timeout=300)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * processes, "\n".join(said)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each system in one process and shared out over two, and runs that went on in the other way after five steps."""
    folder = tmp_path_factory.mktemp("trained")
    stopped = ["without shards first:simclr:8:5"]
    carried_out("whole", [f"one, {system}:{system}:8:0" for system in SYSTEMS] + stopped, folder / "store 1")
    more = ["without shards first:simclr:8:0", "with shards first:simclr:8:5"]
    carried_out("shard", [f"two, {system}:{system}:8:0" for system in SYSTEMS] + more, folder / "store 2", processes=2)
    assert [path.name for path in (folder / "with shards first" / "checkpoints").iterdir()] == ["000000005"]
    carried_out("whole", ["with shards first:simclr:8:0"], folder / "store 3")
    return folder


def same(one: Path, other: Path) -> None:
    """The same weights and buffers to what float64 rounds, and the same steps in the log."""
    left, right = (load_file(folder / "weights.safetensors") for folder in (one, other))
    assert left.keys() == right.keys()
    assert max(float((value - right[key]).abs().max()) for key, value in left.items()) < 1e-9
    steps = [[json.loads(line)["step"] for line in (folder / "metrics.jsonl").open()] for folder in (one, other)]
    assert steps == [list(range(1, 9))] * 2


@pytest.mark.parametrize("system", SYSTEMS)
def test_shared_out_or_whole_the_parameters_are_those_of_one_process(trained: Path, system: str) -> None:
    same(trained / f"one, {system}", trained / f"two, {system}")


@pytest.mark.parametrize("way", ["without shards first", "with shards first"])
def test_a_run_goes_on_with_shards_or_without_them(trained: Path, way: str) -> None:
    same(trained / "one, simclr", trained / way)


def test_the_command_shares_encoders_out_and_leaves_a_run_like_any_other(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(40):
        place = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (24, 24, 3), np.uint8)).save(place)
    small = ["--size", "16", "--batch-size", "16", "--device", "cpu", "--steps", "4"]
    small += ["--optimizer", "sgd", "--learning-rate", "0.001"]
    group = ["--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *group, "-m", "unalike", "fit", "photos", *small, "--shard"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    run = unalike.load(folder)
    assert run.embed(tmp_path / "photos").vectors.shape[0] == 40
    alone = unalike.fit(
        tmp_path / "photos",
        out=tmp_path / "alone",
        size=16,
        batch_size=16,
        device="cpu",
        steps=4,
        optimizer="sgd",
        learning_rate=0.001,
    )
    vectors = [each.embed(tmp_path / "photos").vectors for each in (run, alone)]
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-5
    assert {name: tuple(t.shape) for name, t in load_file(folder / "weights.safetensors").items()} == {
        name: tuple(t.shape) for name, t in load_file(tmp_path / "alone" / "weights.safetensors").items()
    }


def test_alone_there_is_nothing_to_share(tmp_path: Path) -> None:
    with training.joined("cpu") as alone, pytest.raises(SettingsError, match="torchrun"):
        training.shardable(alone, training.Training())
    with pytest.raises(SettingsError, match="torchrun"):
        unalike.fit("digits", steps=2, batch_size=8, size=16, shard=True, out=tmp_path / "alone")
    assert not any((tmp_path / "alone").iterdir())
