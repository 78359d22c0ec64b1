"""How far a training has come, for losses that change on the way."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StepCounter(nn.Module):
    """The number of steps made, in a buffer, so that a resumed run knows it as well.

    Put it among a learner's modules and give `follow` as its ``after_step``, or call it there.

    Example:
        >>> from unalike.training import StepCounter
        >>> counter = StepCounter()
        >>> counter.follow(0)
        >>> int(counter)
        1
    """

    made: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("made", torch.zeros((), dtype=torch.int64))

    def __int__(self) -> int:
        return int(self.made)

    def follow(self, step: int) -> None:
        """Note that ``step``, counted from 0, has been made."""
        self.made.fill_(step + 1)
