"""Does a paper's claim hold here? Paired seeds, equal budgets, floors, intervals and a verdict."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
