"""How the looks are made: random views, drawn for each sample on its own, over whole batches of tensors."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
