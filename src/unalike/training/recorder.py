"""What a measurement may want to know of every training that runs inside it, whoever began it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field


class Enough(BaseException):
    """Training ends here because the recorder has what it wanted; no error, so that nothing catches it as one."""


@dataclass
class Recorder:
    """Hears the loss of each optimiser step.

    Args:
        most: after so many losses training is broken off; never if None.
        losses: of the steps, in order; of systems with several updates a step, the sum.
    """

    most: int | None = None
    losses: list[float] = field(default_factory=list)

    def step(self, loss: float) -> None:
        self.losses.append(loss)
        if self.most is not None and len(self.losses) >= self.most:
            raise Enough


_CURRENT: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def current_recorder() -> Recorder | None:
    """The recorder of this context; None if nobody records."""
    return _CURRENT.get()


@contextlib.contextmanager
def recording(most: int | None = None) -> Iterator[Recorder]:
    """While open, the losses of every training of this context are recorded.

    Args:
        most: break training off after so many steps: leaves the block as if it had ended.

    Example:
        >>> from unalike.training.recorder import current_recorder, recording
        >>> with recording(most=1) as recorder:
        ...     current_recorder().step(0.5)
        ...     current_recorder().step(0.4)
        >>> recorder.losses
        [0.5]
    """
    recorder = Recorder(most)
    token = _CURRENT.set(recorder)
    try:
        with contextlib.suppress(Enough):
            yield recorder
    finally:
        _CURRENT.reset(token)
