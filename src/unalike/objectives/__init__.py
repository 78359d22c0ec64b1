"""Objectives: pure functions from embeddings, and who meets whom, to a loss."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
