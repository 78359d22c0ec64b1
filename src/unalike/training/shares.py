"""Within an encoder each process has its share of a batch, and all get the whole: rows, batch statistics, dropout."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from unalike.encoders import Encoded, Encoder, Tokens
from unalike.errors import TrainingError
from unalike.objectives import gather
from unalike.training.distributed import Alone, Together, waiting, wide


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
