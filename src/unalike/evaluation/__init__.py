"""Is the space any good? Probes, retrieval, clustering and geometry, each beside what chance and raw features reach."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
