"""Audits: what hidden triggers and poisoned rows do to a model, how they show, and how they are driven out."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
