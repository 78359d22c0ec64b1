"""Encoders that are shared out over the processes: parameters, gradients and optimiser state (FSDP).

torch's `fully_shard` (Zhao et al. 2023, arXiv:2304.11277) does the work. What is saved is whole, with the names and
numbers of a training in one process: a run goes on in any number of processes, with shards or without.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.torch_version import TorchVersion

from unalike.encoders import Encoded
from unalike.errors import SettingsError
from unalike.training.distributed import Alone, Together, average, waiting
from unalike.training.settings import Training
from unalike.training.shares import topmost

BLOCK = 50_000
"""Numbers from which a block of an encoder is gathered by itself; smaller ones come with the rest of the encoder."""


def shardable(group: Alone, training: Training) -> Together:
    """The group, if encoders can be shared out over it with these settings.

    Raises:
        SettingsError: there is only one process, or an average of the weights is asked for.
    """
    if not isinstance(group, Together):
        raise SettingsError(
            "--shard shares the encoders out over the processes of torchrun; this is one process, which holds all of "
            "them anyway. Start it with torchrun --nproc-per-node N -m unalike fit ... --shard, or leave it out"
        )
    if training.average:
        raise SettingsError("an average of the weights (--average) cannot be shared out: leave --shard or it out")
    return group


@cache
def know_vectors() -> None:
    """Tell every version of fully_shard how to find the vectors in what an encoder returns."""
    torch.export.register_dataclass(Encoded)


def shard(module: nn.Module, group: Together) -> Sharded:
    """Share the parameters of every encoder within a module out over the processes; heads stay whole in each.

    Between uses a process holds its part of each parameter. A forward or backward pass gathers one block after the
    other and lets it go again. Parameters of a single number have no parts and stay whole too.

    Args:
        module: of a learner, on the device where it will train, before its optimiser is made.
        group: the processes.

    Returns:
        The same processes, for `train`.

    Raises:
        SettingsError: this version of torch cannot do it.
    """
    from torch.distributed.device_mesh import init_device_mesh

    if TorchVersion(torch.__version__) < "2.8":
        raise SettingsError(f"--shard needs torch 2.8 or newer; installed: {torch.__version__}")
    from torch.distributed.fsdp import fully_shard

    # The vectors of an encoder are gathered from all processes, which copies them: nothing changes them in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view", category=UserWarning)
    know_vectors()
    mesh = init_device_mesh(group.device.type, (group.size,))
    for encoder in topmost(module):
        # Channels last is no order that shards can have.
        encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        single = {parameter for parameter in encoder.parameters() if not parameter.ndim}
        if len(single) == len(list(encoder.parameters())):
            continue
        with waiting("all to share an encoder out"):
            for block in (*blocks(encoder), encoder):
                fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=single)
    return Sharded()


@contextlib.contextmanager
def forward_only() -> Iterator[None]:
    """A training with encoders that are shared out, whose parameters are whole in their forward pass only.

    Raises:
        SettingsError: the system uses parameters of an encoder apart from that.
    """
    try:
        yield
    except RuntimeError as error:
        if "mixed torch.Tensor and DTensor" not in str(error):
            raise
        raise SettingsError(
            "this system uses parameters of its encoder apart from the encoder's forward pass, and with --shard no "
            "process holds them there: leave --shard out"
        ) from error


def blocks(encoder: nn.Module) -> list[nn.Module]:
    """The layers of an encoder that are large enough to be gathered by themselves, none within another."""
    found: list[nn.Module] = []
    within: set[nn.Module] = set()
    for row in encoder.modules():  # outer ones come before what they hold
        if not isinstance(row, (nn.Sequential, nn.ModuleList)):
            continue
        for block in row:
            numbers = sum(parameter.numel() for parameter in block.parameters())
            if numbers >= BLOCK and block not in within and type(block).forward is not nn.Module.forward:
                found.append(block)
                within.update(block.modules())
    return found


def shared_out(tensor: Tensor) -> bool:
    """Whether this process holds a part of a tensor only."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


class Sharded(Together):
    """Processes of which each holds a part of the encoders; `shard` makes it."""

    def __init__(self) -> None:
        super().__init__()
        self.moving: Sequence[nn.Parameter] = ()

    def optimizer(
        self,
        parameters: Sequence[nn.Parameter],
        training: Training,
        factors: Mapping[nn.Parameter, float] | None = None,
    ) -> Optimizer:
        self.moving = parameters
        optimizer = super().optimizer(parameters, training, factors)
        for group in optimizer.param_groups:
            # Kernels for many tensors at once take none of which some are parts and some are whole.
            group |= {"fused": False, "foreach": False}
        return optimizer

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        with waiting("the gradients of all"):
            # Of all parameters: what shares an encoder out knows the gathered ones, not these.
            loss.backward()  # type: ignore[no-untyped-call]
            chosen = set(parameters)
            for parameter in self.moving:
                if parameter not in chosen:
                    parameter.grad = None
            average([p.grad for p in parameters if p.grad is not None and not shared_out(p)])

    @torch.no_grad()
    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        with waiting("the gradients of all"):
            norms = [self.complete(torch.linalg.vector_norm(gradient)) for gradient in gradients]
        factor = min(1.0, most / (float(torch.stack(norms).norm()) + 1e-6))  # as torch.nn.utils.clip_grad_norm_
        for gradient in gradients:
            gradient.mul_(factor)

    def whole(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        found = {}
        with waiting("the parts of all"):
            for name, tensor in tensors.items():
                complete = self.complete(tensor)
                # One at a time on the device, and none in those that do not write.
                found[name] = complete.cpu() if self.leads else complete.new_empty(0)
        return found

    def placed(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        from torch.distributed.tensor import DTensor, distribute_tensor

        found = dict(tensors)
        for name, tensor in tensors.items():
            target = like.get(name)
            if isinstance(target, DTensor) and target.shape == tensor.shape:
                found[name] = distribute_tensor(tensor.to(target.device), target.device_mesh, target.placements)
        return found

    @staticmethod
    def complete(tensor: Tensor) -> Tensor:
        """A tensor of which each process may hold a part, put together in each."""
        return tensor.full_tensor() if shared_out(tensor) else tensor  # type: ignore[attr-defined]
