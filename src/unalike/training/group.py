"""What a training asks of the processes that share it; one process alone answers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from unalike.training.optimizers import make_optimizer
from unalike.training.settings import Training


class Group:
    """A training in one process.

    `unalike.training.distributed` answers the same questions for several, and `unalike.training.sharded` where each
    of them holds a part of the parameters only.
    """

    leads: bool = True
    """Whether this process writes the run's files."""

    def most(self, number: int) -> int:
        """The largest number that any process has; every process asks at the same points."""
        return number

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        return bool(self.most(int(flag)))

    def optimizer(
        self,
        parameters: Sequence[nn.Parameter],
        training: Training,
        factors: Mapping[nn.Parameter, float] | None = None,
    ) -> Optimizer:
        """What moves the parameters, each at its factor of the learning rate."""
        return make_optimizer(parameters, training, factors)

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Leave in each parameter the gradient of the loss of the whole batch."""
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> None:
        """Shorten the gradient of all these parameters together where it is longer than ``most``."""
        nn.utils.clip_grad_norm_(parameters, most)

    def whole(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Tensors to save, put together in the process that leads; every process asks at the same time."""
        return tensors

    def placed(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Inverse of `whole`, in each process: its part of tensors that were read, as it holds ``like``."""
        return tensors
