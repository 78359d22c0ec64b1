"""Who meets whom: which pairs are positive, negative or ignored, and how much each weighs."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
