"""What a training asks of the processes that share it; one process alone answers at once."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class Group:
    """A training in one process. `unalike.training.distributed` answers the same questions for several."""

    leads: bool = True
    """Whether this process writes the run's files."""

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; every process asks at the same points."""
        return flag

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Leave in each parameter the gradient of the loss of the whole batch."""
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
