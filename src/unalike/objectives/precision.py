"""Objectives are computed in float32 or better, whatever the precision of the embeddings and of autocast."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def raised(value: Any) -> Any:
    """The value with every half-precision tensor in it (also in lists and tuples) raised to float32."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if type(value) in (list, tuple):
        return type(value)(raised(item) for item in value)
    return value


def _device(values: tuple[Any, ...]) -> str:
    for value in values:
        if isinstance(value, Tensor):
            return value.device.type
        if isinstance(value, list | tuple) and value:
            return _device(tuple(value))
    return "cpu"


def full_precision(objective: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate an objective so that it computes in float32 (float64 stays), outside of autocast.

    Sums of exponentials and variances lose their digits in half precision; the embeddings need not keep more.
    """

    @functools.wraps(objective)
    def inner(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with torch.autocast(_device(args), enabled=False):
            return objective(
                *(raised(value) for value in args), **{name: raised(value) for name, value in kwargs.items()}
            )

    return inner
