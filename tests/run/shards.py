"""One process of several, or the only one: trains systems of the benchmark, with or without shards.

python shards.py whole|shard FOLDER:SYSTEM:STEPS:STOP ..., where STOP is a step after which it stops (0 for none); what
is in FOLDER is gone on with. Several processes are told by RANK, WORLD_SIZE and STORE. In float64, with AdamW, weight
decay and clipped gradients.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from processes import as_double, learner_of

from unalike import encoders, training


def in_turns(learner: training.Learner) -> training.Learner:
    """A learner whose head takes a step on every batch before its encoder does, which has a parameter without parts."""
    whole, head = learner.loss, learner.modules["projector"]
    encoder = learner.encoders["image"]
    assert whole is not None
    encoder.bend = torch.nn.Parameter(torch.tensor(0.1))
    encoder.register_forward_hook(bent)

    def updates(views: Any) -> Iterator[training.Update]:
        yield whole(views), head.parameters()
        yield whole(views), encoder.parameters()

    return dataclasses.replace(learner, loss=None, updates=updates)


def bent(encoder: torch.nn.Module, given: Any, found: encoders.Encoded) -> encoders.Encoded:
    """The vectors of an encoder, changed in a way that no normalisation undoes."""
    return dataclasses.replace(found, vector=found.vector + encoder.bend * found.vector.square())


def train(folder: Path, system: str, steps: int, stop: int, group: training.Alone, shard: bool) -> None:
    learner, inputs, settings = learner_of(system.removesuffix(" in turns"), steps, 1e-3)
    if system.endswith(" in turns"):
        learner = in_turns(learner)
    settings = dataclasses.replace(settings, optimizer="adamw", weight_decay=0.1, clip_norm=0.5)
    learner.module.double()
    for part in learner.module.modules():
        if isinstance(part, encoders.Encoder):
            part.register_forward_pre_hook(as_double)

    def heard(step: int, total: int, row: Mapping[str, float]) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    processes: training.Group = group
    if shard:
        counts = [sum(p.numel() for p in encoder.parameters()) for encoder in learner.encoders.values()]
        processes = training.shard(learner.module, training.shardable(group, settings))
        own = [sum(p.to_local().numel() for p in e.parameters() if p.ndim) for e in learner.encoders.values()]
        assert all(mine < 0.55 * count for mine, count in zip(own, counts, strict=True)), (own, counts)
    listener = training.Listener(on_step=heard)
    folder.mkdir(exist_ok=True)
    try:
        with training.sharing(learner.module, group):
            training.train(
                learner, inputs, settings, folder=folder, resume=True, listener=listener, processes=processes
            )
    except training.Interrupted:
        assert stop
        return
    weights = processes.whole(learner.module.state_dict())
    if processes.leads:
        training.save_tensors(folder / "weights.safetensors", weights)


def main(way: str, *jobs: str) -> None:
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        dist.init_process_group("gloo", init_method=f"file://{os.environ['STORE']}", rank=rank, world_size=size)
    with training.joined("cpu") as group:
        for job in jobs:
            folder, system, steps, stop = job.split(":")
            train(Path(folder), system, int(steps), int(stop), group, way == "shard")
            group.wait()
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
