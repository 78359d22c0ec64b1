"""What is compared: collections of things with named roles, read from folders, tables, arrays and embedded sets.

A `Collection` is rows of things; each role (``image``, ``text``, ``text:de``, ``label``, ``array``) is a `Column` that
decodes an entry only when asked. `open_collection` makes one out of whatever a user has.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
