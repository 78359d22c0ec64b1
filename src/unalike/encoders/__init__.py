"""How things become vectors: encoders for each kind of column, heads and teachers."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
