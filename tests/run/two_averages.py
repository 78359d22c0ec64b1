"""One of two processes: trains SimCLR's parts twice, averaged by the house and by torch's DistributedDataParallel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from unalike import encoders, objectives, training
from unalike.data import open_set

STEPS, BATCH = 10, 16


class Apart(training.Group):
    """Leaves the averaging of gradients to the module that is trained."""

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        loss.backward()


class Vector(nn.Module):
    """An encoder as torch knows it: pictures in, vectors out."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Tensor) -> Tensor:
        return self.encoder(pictures).vector


def learner(encode: Callable[[encoders.Encoder, Tensor], Tensor]) -> training.Learner:
    """The same parts whoever averages: an encoder without batch statistics, a projector, and the loss of all rows."""
    encoder = encoders.VisionTransformer(size=16, width=32, depth=1, heads=2, seed=0)
    projector = encoders.projector(32, 32, 16, batch_norm=False, seed=1)

    def views(batch: training.Batch, generator: torch.Generator) -> Tensor:
        [(entries, _)] = batch.choose(["image"], generator)
        pictures = encoder.plain(entries)
        noise = 0.3 * torch.randn(2, *pictures.shape, generator=generator)
        return (pictures + noise).flatten(0, 1)

    def loss(pictures: Tensor) -> Tensor:
        vectors = encoders.unit(projector(encode(encoder, pictures)))
        return objectives.nt_xent(*vectors.chunk(2), temperature=0.2)

    return training.Learner(
        modules={"encoder": encoder, "projector": projector}, encoders={"image": encoder}, views=views, loss=loss
    )


def main(rank: int, store: str, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    wrapped: list[DistributedDataParallel] = []

    def by_torch(encoder: encoders.Encoder, pictures: Tensor) -> Tensor:
        if not wrapped:
            wrapped.append(DistributedDataParallel(Vector(encoder)))
        return objectives.gather(wrapped[0](pictures.chunk(2)[rank]))

    def by_house(encoder: encoders.Encoder, pictures: Tensor) -> Tensor:
        return encoder(pictures).vector

    digits = open_set("digits")
    settings = training.Training(
        steps=STEPS, batch_size=BATCH, optimizer="sgd", learning_rate=0.05, weight_decay=0.0, warmup=0.0, device="cpu"
    )
    for name, encode in {"ddp": by_torch, "house": by_house}.items():
        found = learner(encode)
        prepared = found.encoders["image"].prepare(digits["image"])
        inputs = training.Inputs({"image": training.Rows(prepared, np.arange(64))})
        if rank == 0:
            training.save_tensors(out / "first.safetensors", found.module.state_dict())
        if name == "ddp":
            training.train(found, inputs, settings, processes=Apart())
        else:
            with training.joined("cpu") as group, training.sharing(found.module, group):
                training.train(found, inputs, settings, processes=group)
        if rank == 0:
            training.save_tensors(out / f"{name}.safetensors", found.module.state_dict())
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
