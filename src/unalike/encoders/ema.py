"""A teacher that is the moving average of its student."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class EMATeacher(nn.Module):
    """A slow copy of a module: after each step ``teacher = m * teacher + (1 - m) * student``.

    Momentum encoder of MoCo (arXiv:1911.05722), target network of BYOL (arXiv:2006.07733). Parameters are averaged;
    buffers, such as the statistics of batch normalisation, are copied. No gradient reaches the teacher. ``train()``
    and ``eval()`` act on it as on any module, and its state is the copy alone.

    Args:
        student: the module that learns; several go into one `torch.nn.Sequential` or `torch.nn.ModuleDict`.
        momentum: share of the old value that is kept, from 0 (a copy) to 1 (never moves).

    Raises:
        ValueError: the momentum is not between 0 and 1.

    Example:
        >>> import torch
        >>> from unalike.encoders import EMATeacher
        >>> student = torch.nn.Linear(2, 1, bias=False)
        >>> teacher = EMATeacher(student, momentum=0.9)
        >>> _ = student.weight.data.fill_(1.0), teacher.module.weight.data.fill_(0.0)
        >>> teacher.update()
        >>> [round(w, 4) for w in teacher.module.weight[0].tolist()]
        [0.1, 0.1]
    """

    def __init__(self, student: nn.Module, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = _checked(momentum)
        self.module = copy.deepcopy(student).requires_grad_(False)
        self._student = (student,)  # in a tuple, so that the student is no part of the teacher's state

    @torch.no_grad()
    def update(self, momentum: float | None = None) -> None:
        """Move one step towards the student, with another momentum for this step if one is given."""
        m = self.momentum if momentum is None else _checked(momentum)
        (student,) = self._student
        for old, new in zip(self.module.parameters(), student.parameters(), strict=True):
            old.lerp_(new, 1 - m)
        for kept, current in zip(self.module.buffers(), student.buffers(), strict=True):
            kept.copy_(current)

    @torch.no_grad()
    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.module(*inputs, **options)


def _checked(momentum: float) -> float:
    if not 0 <= momentum <= 1:
        raise ValueError(f"a momentum lies between 0 and 1; given: {momentum}")
    return momentum
