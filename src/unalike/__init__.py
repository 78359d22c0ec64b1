"""Contrastive learning for every modality: vectors, a search and an honest verdict.

Example:
    >>> import unalike
    >>> run = unalike.fit("digits", system="simclr", steps=2, out=tmp / "digits")
    >>> run.embed(["seven.png"]).shape  # doctest: +SKIP
    (1, 256)
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
