"""All of a computation in float64, whatever number format the code asks for.

In float32 the last bits of a sum depend on the number of threads, on the processor and on the library, and a few steps
of training make of them what a changed learning rate would. In float64 the two are seven orders of magnitude apart.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

FLOATS = (torch.float32, torch.float64)


class Float64(TorchFunctionMode):
    """While open, every operation of torch that would compute in float32 computes in float64.

    What is changed in place stays what it was; its other operands are brought to it.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__", "requires_grad_", "backward", "register_hook", "detach_", "retain_grad"):
            return func(*args, **kwargs)
        if func is Tensor.float:
            return args[0].to(torch.float64)
        args, kwargs = (_wanted(each) for each in (args, kwargs))
        if kwargs.get("out") is not None:
            return func(*args, **kwargs)
        if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")):
            own = args[0] if args else None
            if isinstance(own, Tensor) and own.is_floating_point():
                args = (own, *_cast(args[1:], own.dtype))
                kwargs = _cast(kwargs, own.dtype)
            return func(*args, **kwargs)
        return _cast(func(*_cast(args), **_cast(kwargs)))


def _wanted(values: Any) -> Any:
    """Arguments with float64 where they name float32."""
    if isinstance(values, dict):
        return {name: torch.float64 if value is torch.float32 else value for name, value in values.items()}
    return tuple(torch.float64 if value is torch.float32 else value for value in values)


def _cast(values: Any, to: torch.dtype = torch.float64) -> Any:
    """Values with every tensor of float32 or float64 in one format."""
    # Written out: this runs some ten thousand times a step, and torch's own walk over such values takes most of it.
    if type(values) in (tuple, list):
        return type(values)([_cast(each, to) for each in values])
    if type(values) is dict:
        return {name: _cast(each, to) for name, each in values.items()}
    if isinstance(values, tuple) and hasattr(values, "_fields"):
        return type(values)(*[_cast(each, to) for each in values])
    if isinstance(values, Tensor) and values.dtype in FLOATS and values.dtype is not to:
        with torch._C.DisableTorchFunction():
            return values.to(to)
    return values


@contextlib.contextmanager
def in_float64() -> Iterator[None]:
    """While open, parameters are made, and all of torch computes, in float64.

    Example:
        >>> import torch
        >>> from unalike.claims.precise import in_float64
        >>> with in_float64():
        ...     layer, inputs = torch.nn.Linear(3, 2), torch.ones(1, 3, dtype=torch.float32)
        ...     layer(inputs).float().dtype
        torch.float64
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with Float64():
            yield
    finally:
        torch.set_default_dtype(before)
