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
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from unalike.encoders import Encoded, Encoder, Tokens
from unalike.errors import RunError, SettingsError, TrainingError
from unalike.objectives import gather
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


def topmost(module: nn.Module) -> list[Encoder]:
    """The encoders within a module that lie within no other encoder."""
    encoders = [part for part in module.modules() if isinstance(part, Encoder)]
    inner = {part for encoder in encoders for part in encoder.modules() if part is not encoder}
    return [encoder for encoder in encoders if encoder not in inner]


@contextlib.contextmanager
def sharing(module: nn.Module, group: Alone) -> Iterator[None]:
    """While open, each encoder within a module computes only this process's share of a batch and returns all of it.

    Copies made meanwhile (teachers, averages) share too. Inputs that are no tensor and no `Tokens`, such as graphs,
    and batches with fewer rows than processes, are computed in every process.
    """
    if not isinstance(group, Together):
        yield
        return
    shares = Shares(group)
    hooks = []
    for encoder in topmost(module):
        hooks.append(encoder.register_forward_pre_hook(shares.begin, with_kwargs=True))
        hooks.append(encoder.register_forward_hook(shares.end, with_kwargs=True, always_call=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class Shares:
    """Cuts what goes into an encoder and puts together what comes out; calls may lie within each other."""

    def __init__(self, group: Together) -> None:
        self.group = group
        self.open: list[Share | None] = []

    def begin(self, encoder: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        whole = given[0] if len(given) == 1 and not named else None
        count = len(whole.ids) if isinstance(whole, Tokens) else len(whole) if isinstance(whole, Tensor) else 0
        if count < self.group.size or any(self.open):
            self.open.append(None)
            return None
        share = Share(count, self.group)
        self.open.append(share)
        share.enter(training=encoder.training)
        own = slice(share.start, share.start + share.rows)
        part = Tokens(whole.ids[own], whole.mask[own]) if isinstance(whole, Tokens) else whole[own]  # type: ignore[index]
        return (part,), named

    def end(self, encoder: nn.Module, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> Any:
        share = self.open.pop()
        if share is None:
            return None
        share.leave()
        return None if result is None else Gathered(result, share)


class Share:
    """This process's rows of one batch; the first processes take one more where they cannot be even."""

    def __init__(self, count: int, group: Together) -> None:
        self.count, self.size = count, group.size
        self.least, more = divmod(count, group.size)
        self.start = group.rank * self.least + min(group.rank, more)
        self.rows = self.least + (group.rank < more)
        self.modes = contextlib.ExitStack()

    def enter(self, *, training: bool) -> None:
        if training:
            self.modes.enter_context(WholeStatistics())
            self.modes.enter_context(WholeDraws(self))

    def leave(self) -> None:
        self.modes.close()

    def gather(self, own: Tensor) -> Tensor:
        """All rows in their order, from each process's own."""
        more = self.count % self.size
        if not more:
            with waiting("the vectors of all"):
                return gather(own)
        longest = self.least + 1
        padded = torch.cat([own, own.new_zeros(longest - len(own), *own.shape[1:])])
        places = torch.arange(longest * self.size, device=own.device)
        real = (places % longest < self.least) | (places // longest < more)
        with waiting("the vectors of all"):
            return gather(padded)[places[real]]


class Gathered(Encoded):
    """What an encoder returns, of all processes; tokens travel only if somebody asks for them."""

    def __init__(self, own: Encoded, share: Share) -> None:
        object.__setattr__(self, "parts", {"vector": share.gather(own.vector)})
        object.__setattr__(self, "later", {"tokens": own.tokens, "mask": own.mask})
        object.__setattr__(self, "share", share)

    def __getattribute__(self, name: str) -> Any:
        if name not in ("vector", "tokens", "mask"):
            return object.__getattribute__(self, name)
        if name not in self.parts:
            own = self.later[name]
            # Yes and no travel as numbers: no backend adds them up.
            moved = None if own is None else self.share.gather(own.to(torch.uint8) if own.dtype == torch.bool else own)
            self.parts[name] = moved if moved is None else moved.to(own.dtype)
        return self.parts[name]


class WholeStatistics(TorchFunctionMode):
    """Batch normalisation over the rows of all processes."""

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        if function is nn.functional.batch_norm:
            return batch_norm(*given, **(named or {}))
        return function(*given, **(named or {}))


def batch_norm(
    inputs: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm` over the rows of all processes; torch's own synchronised one needs a GPU.

    Args:
        inputs: ``(B, C, ...)``, this process's rows.
        running_mean: ``(C,)``, moved in place while training.
        running_var: ``(C,)``, likewise.
        weight: ``(C,)``.
        bias: ``(C,)``.
        training: use the statistics of the batch.
        momentum: share of the batch in the running statistics.
        eps: added to the variance.
    """
    if not training:
        return nn.functional.batch_norm(inputs, running_mean, running_var, weight, bias, False, momentum, eps)
    over = [0, *range(2, inputs.ndim)]
    own_var, own_mean = torch.var_mean(wide(inputs), over, correction=0)
    count = inputs.numel() // inputs.shape[1]
    with waiting("the statistics of all for batch normalisation"):
        found = gather(torch.stack([own_mean, own_var, torch.full_like(own_mean, count)])).view(-1, 3, inputs.shape[1])
    means, variances, counts = found.unbind(1)
    total = counts.sum(0)
    mean = (counts * means).sum(0) / total
    variance = (counts * (variances + (means - mean).square())).sum(0) / total
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * total / (total - 1)).to(running_var), momentum)
    scale = (variance + eps).rsqrt()
    shape = (1, -1, *[1] * (inputs.ndim - 2))
    result = (inputs - mean.view(shape)) * scale.view(shape)
    if weight is not None:
        result = result * weight.view(shape)
    return (result if bias is None else result + bias.view(shape)).to(inputs.dtype)


class WholeDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dropout draws for the rows of all processes and takes its own, so that it drops what one process would drop."""

    def __init__(self, share: Share) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.share = share

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        if function is not torch.ops.aten.bernoulli_.float:
            return function(*given, **(named or {}))
        mask: Tensor = given[0]
        each, odd = divmod(len(mask), self.share.rows)
        if odd:
            raise TrainingError(
                f"dropout over {len(mask)} entries for {self.share.rows} rows cannot be shared by processes; train "
                "this encoder in one process"
            )
        layout = sorted(range(mask.ndim), key=lambda axis: (-mask.stride()[axis], axis))
        whole = torch.empty_permuted(
            (each * self.share.count, *mask.shape[1:]), layout, dtype=mask.dtype, device=mask.device
        )
        function(whole, *given[1:], **(named or {}))
        return mask.copy_(whole[each * self.share.start :][: len(mask)])
