"""Contrastive learning for every modality: vectors, a search and an honest verdict.

Example:
    >>> import unalike
    >>> run = unalike.fit("digits", system="simclr", steps=3, batch_size=32, size=16, out=tmp / "digits")
    >>> len(run.search(run.items.ids[0], k=5))
    5
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
