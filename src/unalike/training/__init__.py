"""The loop, and what it needs: learners, optimisers, schedules, checkpoints, logs, the watch for collapse."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
