"""The names of roles: a kind of column, and with several columns of one kind a variant of each."""

from __future__ import annotations


def kind_of(role: str) -> str:
    """The kind of column that holds a role: the name without its variant.

    Example:
        >>> kind_of("text:de"), kind_of("image")
        ('text', 'image')
    """
    return role.partition(":")[0]


def variant_of(role: str) -> str:
    """What tells a role from others of its kind; empty where there is nothing to tell.

    Example:
        >>> variant_of("text:de"), variant_of("image")
        ('de', '')
    """
    return role.partition(":")[2]
