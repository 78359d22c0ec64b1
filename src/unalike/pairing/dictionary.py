"""A dictionary of keys that outlives the batch: a slow teacher makes them, a queue keeps them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unalike.encoders import EMATeacher, Encoder, unit
from unalike.pairing.state import Queue


class MomentumDictionary(nn.Module):
    """MoCo's dictionary: the keys are a slow teacher's, and those of earlier batches wait in a queue as negatives.

    Paper: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
    section 3.2. There the queue begins with random vectors; here it begins empty and grows.

    Args:
        encoder: the student's.
        projector: the student's, from the encoder's vectors to ``width``.
        momentum: of the teacher of both.
        size: how many keys the queue keeps.
        width: length of a key.
        codes: how many codes each key comes with, of what it holds (`unalike.pairing.Queue`).

    Raises:
        ValueError: the momentum is not between 0 and 1. SettingsError: size or width is below 1.

    Example:
        >>> import torch
        >>> from unalike.encoders import ConvNet, projector
        >>> from unalike.pairing import MomentumDictionary
        >>> encoder = ConvNet(size=16, widths=(8, 16), depths=(0, 0))
        >>> head = projector(encoder.width, 16, 4)
        >>> dictionary = MomentumDictionary(encoder, head, momentum=0.99, size=8, width=4)
        >>> keys = dictionary.keys(torch.rand(3, 3, 16, 16))
        >>> dictionary.push(keys)
        >>> dictionary.negatives().shape
        torch.Size([3, 4])
    """

    updates: Tensor

    def __init__(
        self, encoder: Encoder, projector: nn.Module, *, momentum: float, size: int, width: int, codes: int = 0
    ) -> None:
        super().__init__()
        self.teacher = EMATeacher(encoder, momentum)
        self.projector = EMATeacher(projector, momentum)
        self.queue = Queue(size, width, codes=codes)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def keys(self, inputs: Any) -> Tensor:
        """The teacher's unit vectors ``(B, width)`` of prepared inputs, without gradient."""
        return unit(self.projector(self.teacher(inputs).vector))

    def negatives(self, same: Tensor | None = None) -> Tensor:
        """What the queue holds ``(K, width)``, K = 0 at first; a copy, safe from later pushes.

        Without the keys of what a batch holds, whose codes are ``same`` ``(B, codes)``.
        """
        vectors = self.queue.vectors()
        return vectors if same is None else vectors[self.queue.unlike(same)]

    def push(self, keys: Tensor, same: Tensor | None = None) -> None:
        """Put the keys of a batch ``(B, width)``, with their codes, into the queue; the oldest leave."""
        self.queue.push(keys, same)

    def follow(self, step: int) -> None:
        """Move the teacher one step towards the student: a learner's ``after_step``. ``updates`` counts the calls."""
        self.teacher.update()
        self.projector.update()
        self.updates += 1
