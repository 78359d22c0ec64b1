"""Continue texts with a language model: one loop for all decoders, and the contrasts that they choose tokens by."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
