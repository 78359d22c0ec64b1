"""What objectives refuse, said the same way everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from unalike.errors import DataError, SettingsError


def same_shape(**tensors: Tensor) -> None:
    """Refuse matrices that are not `(B, D)` of one and the same shape."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 2 for shape in shapes.values()):
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"got {given}; expected matrices (B, D) of the same shape, row i of each one sample")


def same_length(**tensors: Tensor) -> None:
    """Refuse tensors whose first dimensions differ."""
    lengths = {name: len(tensor) for name, tensor in tensors.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise DataError(f"got {given}; expected one for each row")


def at_least(rows: int, tensor: Tensor, why: str) -> None:
    """Refuse a batch of fewer than `rows` rows."""
    if len(tensor) < rows:
        raise DataError(f"got a batch of {len(tensor)}; expected {rows} or more: {why}")


def several_views(views: Sequence[Tensor], least: int = 2) -> None:
    """Refuse fewer than `least` views, or views of different shapes."""
    if len(views) < least:
        raise DataError(f"got {len(views)} view(s); expected a sequence of {least} or more, each (B, D)")
    same_shape(**{f"view_{number}": view for number, view in enumerate(views)})


def finite(**settings: float | Tensor) -> None:
    """Refuse settings that are NaN or infinite (tensors are taken on trust: looking would wait for the device)."""
    wrong = {
        name: value for name, value in settings.items() if not isinstance(value, Tensor) and not math.isfinite(value)
    }
    if wrong:
        given = ", ".join(f"{name}={value}" for name, value in wrong.items())
        raise SettingsError(f"got {given}; expected finite numbers")


def positive(**settings: float | Tensor) -> None:
    """Refuse settings that are not above zero (tensors are taken on trust: looking would wait for the device)."""
    wrong = {name: value for name, value in settings.items() if not isinstance(value, Tensor) and not value > 0}
    if wrong:
        given = ", ".join(f"{name}={value}" for name, value in wrong.items())
        raise SettingsError(f"got {given}; expected numbers above zero")
