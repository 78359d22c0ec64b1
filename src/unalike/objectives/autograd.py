"""What autograd and the compiler are told about functions with a backward pass of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from unalike.errors import TrainingError

Backward = Callable[..., tuple[Any, ...]]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, anchor: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[None, None]:
        raise TrainingError(
            "the second derivative of a contrastive score was asked for (create_graph=True, a gradient penalty, "
            "meta-learning); it has a first one only. Write this loss with plain torch operations"
        )


def once(backward: Backward) -> Backward:
    """Decorate the backward of an autograd function: a derivative through it raises `TrainingError`.

    `torch.autograd.function.once_differentiable` raises only if the slopes from above want a gradient, and drops the
    derivative by the inputs silently otherwise.
    """

    @functools.wraps(backward)
    def inner(ctx: Any, *slopes: Tensor | None) -> tuple[Any, ...]:
        if not torch.is_grad_enabled():
            return backward(ctx, *slopes)
        with torch.no_grad():
            found = backward(ctx, *slopes)
        anchor = torch.zeros((), requires_grad=True)
        return tuple(_Once.apply(value, anchor) if isinstance(value, Tensor) else value for value in found)

    return inner


def eager(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function that `torch.compile` is not to look into: the graph breaks there, and goes on after it.

    `torch.compiler.disable` does this too, but loads the compiler at import.
    """

    @functools.wraps(function)
    def inner(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if torch.compiler.is_compiling():
            disable: Callable[..., Callable[Parameters, Result]] = torch.compiler.disable
            return disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return inner
