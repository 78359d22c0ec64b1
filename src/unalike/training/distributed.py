"""Several processes that train one model: each encodes its share of every batch, and all see the whole.

Every process runs the same program with the same seed. Within an encoder a batch is cut into as many parts as there are
processes; outside of it (heads, losses, queues, prototypes, states of single samples, hooks) every process holds all
rows. What a system computes is therefore what one process computes with the whole batch, whatever the system does with
its vectors, and nothing in a system's file speaks of processes. The price: heads and losses are paid in each process.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unalike.errors import RunError, SettingsError, TrainingError
from unalike.training.group import Group

BUCKET = 2**23
"""Numbers that are averaged over processes at once."""

PATIENCE = 600.0
"""Seconds that a process waits for the others at most, unless ``UNALIKE_PATIENCE`` says otherwise."""


class LostProcess(TrainingError):
    """Another process of the group has stopped or hangs; this one cannot go on without it."""


class Alone(Group):
    """One process, which waits for nobody."""

    def wait(self) -> None:
        """Go on when every process has come here."""

    def told(self, make: Callable[[], str]) -> str:
        """What the leading process makes.

        Raises:
            RunError: it could not; every process says so.
        """
        return make()

    def same(self, value: int, what: str) -> None:
        """Make sure that every process found the same number.

        Raises:
            RunError: they did not; the message says ``what`` differs.
        """


@contextlib.contextmanager
def joined(device: str = "auto") -> Iterator[Alone]:
    """The group of processes that this one belongs to: those that ``torchrun`` started, else it is alone.

    Args:
        device: where the training computes; decides between the backends gloo and nccl.

    Raises:
        LostProcess: inside, when another process of the group stops, or does not come to an exchange in the time that
            the environment variable ``UNALIKE_PATIENCE`` gives, in seconds (600 unless given).
        SettingsError: that variable is no positive number.

    Example:
        >>> from unalike.training.distributed import joined
        >>> with joined() as group:
        ...     group.leads
        True
    """
    if dist.is_available() and dist.is_initialized():
        with calling():
            yield Together() if dist.get_world_size() > 1 else Alone()
        return
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Alone()
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    limit = datetime.timedelta(seconds=patience())
    with waiting("other processes to start"):
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=limit)
    with calling():
        try:
            yield Together()
        finally:
            dist.destroy_process_group()


def patience() -> float:
    """Seconds that a process waits for the others at most: ``UNALIKE_PATIENCE``, else `PATIENCE`.

    Raises:
        SettingsError: the variable is no positive number.
    """
    given = os.environ.get("UNALIKE_PATIENCE")
    try:
        seconds = PATIENCE if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"UNALIKE_PATIENCE is a number of seconds above 0; given: {given!r}")
    return seconds


@contextlib.contextmanager
def calling() -> Iterator[None]:
    """Say in plain words that another process is gone, where torch says which socket was closed."""
    with waiting("the others"):
        yield


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """An exchange of all processes; ``what`` this one waits for is told when another is gone or does not come.

    Raises:
        LostProcess: another process ended, cannot be reached, or hangs.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error).lower()
        if not (isinstance(error, dist.DistError) or "gloo" in said):
            raise
        me = f"process {os.environ.get('RANK', '?')} of {os.environ.get('WORLD_SIZE', '?')} stops"
        if "timed out" in said or "timeout" in said:
            why = (
                f"it has waited {patience():g} seconds for {what}, and another process of this training neither came "
                "nor ended: it hangs, or is that much slower (UNALIKE_PATIENCE=SECONDS waits longer)"
            )
        else:
            why = f"another process of this training has ended or cannot be reached (this one was waiting for {what})"
        raise LostProcess(
            f"{me}: {why}. What was saved is untouched: go on with unalike fit --resume RUN, in as many processes as "
            "there are now"
        ) from error


class Together(Alone):
    """The processes of torch.distributed's default group."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.leads = self.rank == 0
        # What is not data of the model travels where the backend can carry it.
        self.device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")

    def most(self, number: int) -> int:
        with waiting("all to finish a step or a part of the work"):
            largest = torch.tensor([number], device=self.device)
            dist.all_reduce(largest, op=dist.ReduceOp.MAX)
            return int(largest.item())

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        with waiting("the gradients of all"):
            super().backward(loss, parameters)
            average([parameter.grad for parameter in parameters if parameter.grad is not None])

    def wait(self) -> None:
        self.any(False)

    def told(self, make: Callable[[], str]) -> str:
        message: dict[str, str] = {}
        if self.leads:
            try:
                message = {"text": make()}
            except RunError as error:
                message = {"error": str(error)}
        # JSON, not torch's own messages between processes, which are pickles.
        content = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8).to(self.device)
        length = torch.tensor([len(content)], device=self.device)
        with waiting("what the first process says"):
            dist.broadcast(length, src=0)
            if not self.leads:
                content = torch.empty(int(length), dtype=torch.uint8, device=self.device)
            dist.broadcast(content, src=0)
            message = json.loads(bytes(content.cpu().tolist()))
        if "error" in message:
            raise RunError(message["error"])
        return message["text"]

    def same(self, value: int, what: str) -> None:
        own = torch.tensor([value], device=self.device)
        found = [torch.empty_like(own) for _ in range(self.size)]
        with waiting(f"the {what} of all"):
            dist.all_gather(found, own)
        numbers = [int(each) for each in found]
        if len(set(numbers)) > 1:
            raise RunError(
                f"the processes see different {what}: {', '.join(map(str, numbers))}. Give all of them one shared "
                "file system, and the same data"
            )


def average(gradients: Sequence[Tensor]) -> None:
    """Replace gradients by their mean over all processes, a bucket of them at a time."""
    size, gathered = 0, list[Tensor]()
    for number, gradient in enumerate(gradients, start=1):
        gathered.append(gradient)
        size += gradient.numel()
        if size < BUCKET and number < len(gradients):
            continue
        flat = torch.cat([wide(each).reshape(-1) for each in gathered])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for each, part in zip(gathered, torch.split(flat, [each.numel() for each in gathered]), strict=True):
            each.copy_(part.view(each.shape))
        size, gathered = 0, []


def wide(numbers: Tensor) -> Tensor:
    """Half precision as float32, which sums are taken in; what is finer stays as it is."""
    return numbers if numbers.dtype == torch.float64 else numbers.float()
