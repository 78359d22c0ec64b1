"""A command in several processes: torchrun starts them, the first alone prints."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from unalike.cli.console import out

if TYPE_CHECKING:
    from unalike.training import Alone


@contextlib.contextmanager
def sharing_work(device: str) -> Iterator[Alone]:
    """Join the processes that torchrun started, of which the first alone prints; SIGTERM is a Ctrl-C meanwhile."""
    from unalike.training import joined

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = None
    # Signals can be handled in the main thread only; elsewhere the caller is in charge.
    with contextlib.suppress(ValueError):
        before = signal.signal(signal.SIGTERM, stop)
    try:
        with joined(device) as processes:
            out.quiet = not processes.leads
            yield processes
    finally:
        out.quiet = False
        if before is not None:
            signal.signal(signal.SIGTERM, before)
